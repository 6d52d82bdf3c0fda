"""Rows of measured figures: written as JSON with versions and machine, printed as a table."""

import json
import os
import platform
import resource
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("snakemake", "av", "numpy", "pyarrow", "rosbags", "torch")


@dataclass(frozen=True)
class Row:
    """One figure. against: the peer or limit measured in the same run; ok: whether `goal` is met, None if unknown."""

    measure: str
    value: float
    unit: str
    against: str
    against_value: float | None
    ratio: float | None
    goal: str
    ok: bool | None
    command: str


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }


def _version(name: str) -> str:
    """The version of a package, empty where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def write(area: str, rows: list[Row]) -> None:
    """Write benchmarks/results/{area}.json."""
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    (RESULTS / f"{area}.json").write_text(json.dumps(content, indent=1) + "\n")


def line_of(row: Row) -> str:
    """A row as a line of the table."""
    other = f"{row.against} {row.against_value:.4g}" if row.against_value is not None else row.against
    ratio = f"x{row.ratio:.2f}" if row.ratio is not None else ""
    verdict = {True: "ok", False: "NOT MET", None: "unknown"}[row.ok]
    return f"{row.measure:<42} {row.value:>9.4g} {row.unit:<7} {other:<28} {ratio:<7} {row.goal:<14} {verdict}"


def publish(area: str, rows: list[Row]) -> None:
    """Write benchmarks/results/{area}.json and print the rows."""
    write(area, rows)
    for row in rows:
        print(line_of(row))
