"""Does the GPU of this node run this env? Asked before hours are spent, in the env and on the partition of the jobs."""

import importlib
import logging
from pathlib import Path
from typing import Any

from scripts.cameras.runs_on import runs_on
from scripts.common import json_file
from scripts.common.errors import RunError
from scripts.common.job import run

log = logging.getLogger("rushes")


def check_gpu(out_report: Path, *, accelerator: str, wanted_mb: float) -> None:
    """Write what was found: torch, its build, the device, its memory, one convolution.

    Raises RunError with the env to use instead if networks cannot run here.
    """
    torch = importlib.import_module("torch")
    facts: dict[str, Any] = {"accelerator": accelerator, "torch": torch.__version__}
    if accelerator == "cpu":
        facts["message"] = "accelerator: cpu asks for no GPU"
    else:
        facts |= look(torch, accelerator, wanted_mb)
    log.info("%s", facts["message"])
    json_file.write(out_report, facts)


def look(torch: Any, accelerator: str, wanted_mb: float) -> dict[str, Any]:
    """The device, and whether a convolution on it is right. torch: the module. Raises RunError."""
    if not torch.cuda.is_available():
        built = getattr(torch.version, "cuda", None)
        why = "the job has no GPU, or its driver is too old" if built else "this build of torch knows no CUDA"
        raise RunError(
            f"accelerator: {accelerator}: torch {torch.__version__} sees no GPU ({why}); see docs/cluster.md"
        )
    device = torch.cuda.get_device_capability(0)
    free, total = torch.cuda.mem_get_info(0)
    name = torch.cuda.get_device_name(0)
    verdict = runs_on(torch.cuda.get_arch_list(), device, free_mb=free / 1e6, wanted_mb=wanted_mb, env=accelerator)
    if not verdict.ok:
        raise RunError(f"{name}: {verdict.message}")
    # Of whole numbers, so that it is exact on every device.
    pictures = torch.arange(2 * 3 * 16 * 16, dtype=torch.float32).reshape(2, 3, 16, 16) % 7
    weights = torch.arange(4 * 3 * 3 * 3, dtype=torch.float32).reshape(4, 3, 3, 3) % 5
    wanted = torch.nn.functional.conv2d(pictures, weights)
    try:
        found = torch.nn.functional.conv2d(pictures.to("cuda"), weights.to("cuda")).cpu()
    except RuntimeError as error:
        raise RunError(f"{name}: a convolution failed: {error}") from error
    if not torch.equal(found, wanted):
        raise RunError(f"{name}: a convolution gives other numbers than on the CPU; the device or its driver is faulty")
    facts = {"device": name, "compute_capability": f"{device[0]}.{device[1]}", "memory_mb": round(total / 1e6)}
    return {**facts, "message": f"{name}: {verdict.message}"}


if __name__ == "__main__":
    run(check_gpu)
