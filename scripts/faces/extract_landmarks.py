"""Landmarks of every face in a conformed video, or those of a file brought onto its frames."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common import ledger
from scripts.common.errors import InputError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.intervals import Intervals
from scripts.common.job import progress, run
from scripts.common.landmarks import Landmarks
from scripts.common.video import VideoReader
from scripts.faces.backends.given import conform_given, read_given
from scripts.faces.landmark_item import LandmarkFinder, Search, scene_numbers
from scripts.faces.smoothing import finished

log = logging.getLogger("rushes")


def extract_landmarks(
    video: Path,
    frames: Path,
    weights: list[Path],
    given: Path | None,
    out_landmarks: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    backend: str,
    batch: int,
    detect_every: int,
    min_score: float,
    media_frames: Path | None = None,
    scenes: Path | None = None,
    whole: bool = True,
    fps: str = "25",
    detector: str = "yunet",
    network: dict[str, Any] | None = None,
    interpolate_frames: int = 0,
    smooth: dict[str, Any] | None = None,
    accelerator: str = "cpu",
    threads: int = 2,
) -> None:
    """Write the landmarks of the conformed `video` by `backend`: fan, fan3d, openseeface or given.

    weights: the detector's, then the network's; none for `given`.  given: landmarks per source frame.
    media_frames: frame table of the import; whole: it holds all of the source, so `given` must be as long.
    scenes: no track goes across a cut; without them there is none.  The other settings are those of `Search`.
    Raises InputError if the video failed in an earlier step or is not the one of its table, or if `given` is
    missing or wrong; RunError if weights cannot be read.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}", "the picture failed")
    starts = Intervals.read(scenes).first[1:].tolist() if scenes else []
    search = Search(
        backend,
        batch,
        detect_every,
        min_score,
        detector,
        network or {},
        interpolate_frames,
        smooth or {},
    )
    adopted = _adopt(given, table, media_frames, recording, whole=whole) if backend == "given" else None
    with VideoReader(video, threads=max(1, threads)) as reader:
        if adopted is not None:
            context = reader.stream.codec_context
            landmarks = finished(
                replace(adopted, width=context.width, height=context.height),
                scene_numbers(starts, len(table)),
                interpolate_frames=interpolate_frames,
                smooth=search.smooth,
                fps=float(Fraction(fps)),
            )
        else:
            find = LandmarkFinder(weights, search, accelerator=accelerator, threads=threads)
            pictures = _counted(reader, len(table), f"{recording}, {camera}")
            landmarks = find(pictures, starts, float(Fraction(fps)))
    landmarks.write(out_landmarks)
    with_face = landmarks.frames_with_face
    message = f"a face in {with_face} of {len(table)} frames, at most {_most_faces(landmarks)} at once"
    if landmarks.interpolated.any():
        message += f", {int(landmarks.interpolated.sum())} interpolated"
    log.info("%s, %s: %s", recording, camera, message)
    row = ledger.Row("extract_landmarks", recording, f"{camera}.{backend}", "written", value=with_face, message=message)
    ledger.write(out_ledger, [row])


def _adopt(
    given: Path | None, table: FrameTable, media_frames: Path | None, recording: str, *, whole: bool
) -> Landmarks:
    if given is None:
        raise InputError("no_landmarks", f"{recording}: `given`, but the column `landmarks` of the sheet is empty")
    source_frame, source_frames = table.source_frame, None
    if media_frames is not None:
        media = FrameTable.read(media_frames)
        # The conformed table counts the frames of the import, and that one those of the source.
        source_frame = np.where(source_frame < 0, -1, media.source_frame[source_frame])
        source_frames = int(media.source_frame.max(initial=-1)) + 1 if whole else None
    rows = read_given(given)
    try:
        return conform_given(rows, source_frame, source_frames)
    except InputError as error:
        raise InputError(error.reason, f"{given}: {error.message}", value=error.value, limit=error.limit) from error


def _counted(pictures: Iterable[av.VideoFrame], total: int, what: str) -> Iterator[av.VideoFrame]:
    """The pictures; raises InputError if there are more or fewer than the frame table has rows."""
    count = 0
    for count, picture in enumerate(pictures, 1):
        if count > total:
            break
        progress(count, total)
        yield picture
    if count != total:
        many = f"more than {total}" if count > total else str(count)
        message = f"{what}: the video has {many} frames, its frame table has {total} rows"
        raise InputError("frame_count", message, value=count, limit=total)


def _most_faces(landmarks: Landmarks) -> int:
    return int(np.bincount(landmarks.frame).max(initial=0)) if len(landmarks) else 0


if __name__ == "__main__":
    run(extract_landmarks)
