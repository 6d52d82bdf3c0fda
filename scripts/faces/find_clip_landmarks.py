"""Landmarks of every face in the clips of a lot, by the function that recordings use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.annotation import ClipTask, Lot, annotate_batches
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.landmarks import Landmarks
from scripts.common.small_picture import SmallPictures
from scripts.common.video_item import ItemReader
from scripts.faces.landmark_item import LandmarkFinder, Search
from scripts.faces.scene_starts import SceneStarts


def cuts_of(url: str, cuts: dict[str, Any]) -> tuple[list[int], int]:
    """Numbers of the frames that begin a scene, and how many frames there are. Raises InputError for no picture."""
    small, search = SmallPictures(), SceneStarts(**cuts)
    with ItemReader(url) as reader:
        if reader.video is None:
            raise InputError("no_pictures", "it has no picture")
        for picture, _ in reader.pictures():
            search.see(small.bgr(picture))
    frames = len(search.change)
    if not frames:
        raise InputError("no_pictures", "none of its pictures can be decoded")
    return search.found(), frames


def landmarks_of(task: ClipTask, find: LandmarkFinder, cuts: dict[str, Any]) -> tuple[Landmarks, dict[str, Any]]:
    """Landmarks of a clip's frames, and what is said of them in its json."""
    starts, frames = cuts_of(task.url, cuts)
    with ItemReader(task.url) as reader:
        pictures = (picture for picture, _ in reader.pictures())
        found = find(pictures, starts, frames / max(task.seconds, 1e-3))
    tracks = len(np.unique(found.track))
    return found, {f"{task.name}_frames": found.frames_with_face, f"{task.name}_tracks": tracks}


def find_clip_landmarks(
    media: Path,
    cut: Path,
    clips: Path,
    weights: list[Path],
    out_files: Path,
    out_values: Path,
    out_ledger: Path,
    *,
    dataset: str,
    annotation: str,
    settings: dict[str, Any],
    working: str,
    accelerator: str = "cpu",
    threads: int,
) -> None:
    """Write `<name>.npz` for each clip, see `scripts/common/landmarks.py`.

    weights: the detector's, then the network's.  settings: `search`, arguments of `Search`, and `cuts`.
    """
    find = LandmarkFinder(weights, Search(**settings["search"]), accelerator=accelerator, threads=threads)

    def of_batch(tasks: Sequence[ClipTask]) -> list[dict[str, Any]]:
        answers = []
        for task in tasks:
            landmarks, said = landmarks_of(task, find, settings["cuts"])
            ending = f"{task.name}.npz"
            landmarks.write(task.file(ending))
            answers.append({"values": said, "files": [ending]})
        return answers

    files = (media, cut, clips, out_files, out_values, out_ledger)
    lot = Lot(*files, "find_clip_landmarks", dataset, annotation, settings, working, tuple(weights))
    annotate_batches(lot, of_batch, 1)


if __name__ == "__main__":
    run(find_clip_landmarks)
