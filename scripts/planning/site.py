"""What a cluster is like: how fast its nodes are, and which GPUs it has. Read from the folder of its profile.

A rule says what it needs; this says what to ask SLURM for. The facts stand in `partitions.yaml` (runtime_factor,
seconds_per_frame) and `gpus.yaml` (kinds) of `profiles/slurm`, or of the folder that RUSHES_SITE names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.common.errors import ConfigError
from scripts.planning.yaml_file import read_yaml

SITE = "RUSHES_SITE"
RUNTIME_FACTOR = "RUSHES_RUNTIME_FACTOR"


@dataclass(frozen=True)
class GpuKind:
    """One kind of GPU. model: its type in SLURM's gres; feature: one that its nodes have, or ""."""

    model: str
    compute_capability: float
    memory_gb: float
    feature: str = ""


@dataclass(frozen=True)
class Site:
    """The facts of a site. runtime_factor multiplies every run time. seconds_per_frame: by rule, over its own."""

    runtime_factor: float = 1.0
    gpus: Sequence[GpuKind] = field(default=())
    seconds_per_frame: Mapping[str, float] = field(default_factory=dict)

    def gpu_request(self, *, compute_capability: float, memory_gb: float) -> dict[str, str]:
        """What narrows gpu=1 down to a GPU that has at least this: {"gpu_model": …}, {"constraint": …} or {}.

        Raises ConfigError if the site has none.
        """
        return request(self.gpus, compute_capability, memory_gb)


def request(gpus: Sequence[GpuKind], compute_capability: float, memory_gb: float) -> dict[str, str]:
    """Resources that narrow gpu=1 down. Nothing, if every kind will do or none is known."""
    enough = [gpu for gpu in gpus if gpu.compute_capability >= compute_capability and gpu.memory_gb >= memory_gb]
    if len(enough) == len(gpus):
        return {}
    if not enough:
        raise ConfigError(
            f"gpus.yaml: no GPU with compute capability {compute_capability} and {memory_gb} GB; "
            "set accelerator: cpu, or add the kinds that the site has"
        )
    if all(gpu.feature for gpu in enough):
        return {"constraint": "|".join(sorted({gpu.feature for gpu in enough}))}
    smallest = min(enough, key=lambda gpu: (gpu.memory_gb, gpu.compute_capability, gpu.model))
    return {"gpu_model": smallest.model}


def read_site(folder: Path, environment: Mapping[str, str]) -> Site:
    """The site of a profile's folder; a file that is not there says nothing. Raises ConfigError."""
    folder = Path(environment.get(SITE) or folder).expanduser()
    partitions = _read(folder / "partitions.yaml")
    kinds = _read(folder / "gpus.yaml").get("kinds") or []
    factor = environment.get(RUNTIME_FACTOR) or partitions.get("runtime_factor") or 1.0
    try:
        paces = {rule: float(pace) for rule, pace in (partitions.get("seconds_per_frame") or {}).items()}
        site = Site(float(factor), tuple(GpuKind(**kind) for kind in kinds), paces)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{folder}: {error} (partitions.yaml: runtime_factor, seconds_per_frame; gpus.yaml: kinds)"
        ) from None
    if slow := [rule for rule, pace in paces.items() if not pace > 0]:
        raise ConfigError(f"{folder}: seconds_per_frame of {slow[0]} must be above 0")
    if not site.runtime_factor > 0:
        raise ConfigError(f"{folder}: runtime_factor {site.runtime_factor} must be above 0")
    return site


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    content = read_yaml(path)
    return content if isinstance(content, dict) else {}
