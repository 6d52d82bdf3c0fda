"""Optical flow of clips: mean magnitude in the json, and if wanted the whole field as npy."""

from pathlib import Path
from typing import Any

from scripts.common.annotation import Lot, annotate
from scripts.common.job import run
from scripts.datasets.clip_flow import flow_of, method_of


def compute_flow(
    media: Path,
    cut: Path,
    clips: Path,
    out_files: Path,
    out_values: Path,
    out_ledger: Path,
    *,
    dataset: str,
    annotation: str,
    settings: dict[str, Any],
    working: str,
    threads: int,
) -> None:
    """Optical flow of every clip of a lot."""
    if settings["method"] == "raft":
        method_of("raft", settings["weights"])
    files = (media, cut, clips, out_files, out_values, out_ledger)
    annotate(Lot(*files, "compute_flow", dataset, annotation, settings, working), flow_of, threads)


if __name__ == "__main__":
    run(compute_flow)
