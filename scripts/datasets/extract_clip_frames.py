"""Frames of clips as jpg, for whoever trains on pictures."""

from pathlib import Path
from typing import Any

from scripts.common.annotation import ClipTask, Lot, annotate, sampled
from scripts.common.job import run
from scripts.common.jpeg import encode_pixels


def frames_of(task: ClipTask) -> dict[str, Any]:
    """`fps` pictures a second of a clip, numbered from 0 by four digits."""
    endings = []
    settings = task.settings
    for number, picture in enumerate(sampled(task.url, settings["fps"], height=settings["height"])):
        ending = f"{task.name}.{number:04d}.jpg"
        task.file(ending).write_bytes(encode_pixels(picture, settings["quality"]))
        endings.append(ending)
    return {"values": {f"{task.name}_count": len(endings)}, "files": endings}


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
