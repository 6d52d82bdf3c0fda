"""Frames of clips as jpg, for whoever trains on pictures."""

from pathlib import Path
from typing import Any

from scripts.common.annotation import Lot, annotate
from scripts.common.job import run
from scripts.datasets.clip_frames import frames_of


def extract_clip_frames(
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
    """Frames of every clip of a lot."""
    files = (media, cut, clips, out_files, out_values, out_ledger)
    annotate(Lot(*files, "extract_clip_frames", dataset, annotation, settings, working), frames_of, threads)


if __name__ == "__main__":
    run(extract_clip_frames)
