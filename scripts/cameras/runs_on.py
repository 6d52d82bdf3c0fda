"""Whether a build of torch runs on a GPU: the decision alone, without torch and without a GPU."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# The envs of `accelerator` and the compute capabilities that their builds are made for, the newest first.
ENVS = (("cuda", (7, 5), (99, 9)), ("cuda-legacy", (6, 0), (9, 0)))

Capability = tuple[int, int]


class Verdict(NamedTuple):
    """ok: whether it runs.  message: why, and what to do if it does not."""

    ok: bool
    message: str


def runs_on(built_for: Sequence[str], device: Capability, *, free_mb: float, wanted_mb: float, env: str) -> Verdict:
    """Whether a build runs on a device.

    built_for: torch.cuda.get_arch_list(), such as ["sm_75", "sm_90", "compute_90"].  device: its compute capability.
    free_mb: its free memory.  env: the `accelerator` that was asked.

    Machine code (`sm_XY`) runs on devices of the same major number whose minor one is not lower; what `compute_XY`
    names is translated for every newer device (CUDA C++ Programming Guide, binary and PTX compatibility).
    """
    codes = [_parsed(name) for name in built_for]
    binary = any(kind == "sm" and (major == device[0] and minor <= device[1]) for kind, major, minor in codes)
    translated = any(kind == "compute" and (major, minor) <= device for kind, major, minor in codes)
    said = f"compute capability {device[0]}.{device[1]}"
    if not (binary or translated):
        known = ", ".join(built_for) or "no GPU"
        return Verdict(False, f"{said}: this build of torch is made for {known}; {_advice(device, env)}")
    if free_mb < wanted_mb:
        return Verdict(False, f"{said}: {free_mb:,.0f} MB are free, {wanted_mb:,.0f} are wanted; ask for another GPU")
    return Verdict(True, f"{said}, {free_mb:,.0f} MB free: runs")


def _advice(device: Capability, env: str) -> str:
    """Which env to use instead."""
    for name, oldest, newest in ENVS:
        if name != env and oldest <= device <= newest:
            return f"set accelerator: {name}"
    return "no env of ours has a build for it: set accelerator: cpu, or ask for another GPU (gpus.yaml)"


def _parsed(name: str) -> tuple[str, int, int]:
    """("sm", 9, 0) of "sm_90" and "sm_90a"; unknown names run on nothing."""
    found = re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", name)
    return (found[1], int(found[2]), int(found[3])) if found else ("", 0, 0)
