"""The data files of a run, compared byte by byte, and the jobs that Snakemake lists."""

import hashlib
import re
from pathlib import Path

# Times of jobs and file systems, not data.
NOT_DATA = {"logs", "benchmarks"}


def digest(results: Path) -> dict[str, str]:
    """sha256 of every data file below `results`, by its path there."""
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[0] not in NOT_DATA and path.name != ".snakemake_timestamp"
    }


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Files that only one side has, or that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def job_counts(output: str) -> dict[str, int]:
    """How many jobs of each rule Snakemake lists in its table of jobs; without `all` and the total."""
    _, _, table = output.partition("\nJob stats:\n")
    rows = re.findall(r"^(\w+) +(\d+)$", table.partition("\n\n")[0], re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule not in ("all", "total")}
