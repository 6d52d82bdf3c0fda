"""Landmarks of every face in a video: faces are detected and followed, a network finds their points.

A face whose landmarks are unsure, or lie elsewhere than its box, is detected again in that very frame. If that
does not help, the frame does not show it.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.landmarks import Landmarks, face_boxes
from scripts.common.video import VideoReader, to_bgr
from scripts.faces.backends import LandmarkNetwork, open_network
from scripts.faces.backends.given import conform_given, read_given
from scripts.faces.backends.yunet import YuNet
from scripts.faces.face_tracks import SAME_FACE, Detector, Sighting, follow_faces, overlap

log = logging.getLogger("rushes")


@dataclass(frozen=True)
class Face:
    """One face to be measured. box: float64 (4,).  detected: whether the detector saw it in this very frame."""

    frame: int
    track: int
    picture: np.ndarray
    box: np.ndarray
    detected: bool


@dataclass(frozen=True)
class Found:
    """Landmarks of one face. points: float32 (68, 2)."""

    frame: int
    track: int
    points: np.ndarray
    score: float


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
    whole: bool = True,
    precision: str = "float32",
    accelerator: str = "cpu",
    threads: int = 2,
) -> None:
    """Write the landmarks of the conformed `video` by `backend`: fan, openseeface or given.

    weights: the detector's, then the network's; none for `given`.  given: landmarks per source frame.
    media_frames: frame table of the import; whole: it holds all of the source, so `given` must be as long.
    batch: faces that go through the network together; detect_every, in frames; min_score: of the detector.
    precision: "float32" or "bfloat16" for fan.
    Raises InputError if the video failed in an earlier step or is not the one of its table, or if `given` is
    missing or wrong; RunError if weights cannot be read.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise InputError(ledger.UPSTREAM, f"{recording}, {camera}: the picture failed in an earlier step: see its row")
    if backend == "given":
        landmarks = _adopt(given, table, media_frames, recording, whole=whole)
    else:
        if len(weights) != 2:
            raise RunError(f"{backend} wants the weights of the detector and of its network, not {len(weights)} files")
        cv2.setNumThreads(threads)
        detect = YuNet(weights[0], min_score=min_score)
        network = open_network(backend, weights[1], accelerator=accelerator, threads=threads, precision=precision)
        with VideoReader(video) as reader:
            pictures = (to_bgr(picture) for picture in reader)
            sightings = _counted(follow_faces(pictures, detect, detect_every), len(table), f"{recording}, {camera}")
            found = list(find_landmarks(sightings, network, detect, batch))
        landmarks = _gather(found, len(table), backend, network.imputed)
    landmarks.write(out_landmarks)
    with_face = landmarks.frames_with_face
    message = f"a face in {with_face} of {len(table)} frames, at most {_most_faces(landmarks)} at once"
    log.info("%s, %s: %s", recording, camera, message)
    row = ledger.Row("extract_landmarks", recording, camera, "written", value=with_face, message=message)
    ledger.write(out_ledger, [row])


def find_landmarks(
    sightings: Iterable[Sighting], network: LandmarkNetwork, detect: Detector, batch: int
) -> Iterator[Found]:
    """The credible landmarks of all faces, `batch` of them at a time."""
    waiting: list[Face] = []
    for sighting in sightings:
        for track, box in sighting.faces.items():
            waiting.append(Face(sighting.frame, track, sighting.picture, box, sighting.detected))
            if len(waiting) == batch:
                yield from _measure(waiting, network, detect)
                waiting = []
    if waiting:
        yield from _measure(waiting, network, detect)


def _measure(faces: list[Face], network: LandmarkNetwork, detect: Detector) -> Iterator[Found]:
    """Landmarks of faces; where they are not credible, of the face that the detector sees in that frame."""
    boxes = np.array([face.box for face in faces])
    points, scores = network([face.picture for face in faces], boxes)
    credible = (scores >= network.least_score) & in_place(points, boxes)
    doubtful = []
    for face, its_points, score, holds in zip(faces, points, scores, credible, strict=True):
        if holds:
            yield Found(face.frame, face.track, its_points, float(score))
        elif not face.detected:
            seen = detect(face.picture)
            same = overlap(face.box[None], seen)[0]
            if same.max(initial=0.0) > 0:
                doubtful.append(replace(face, box=seen[same.argmax()], detected=True))
    if doubtful:
        yield from _measure(doubtful, network, detect)


def in_place(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether landmarks float (N, 68, 2) lie where their boxes (N, 4) are. bool (N,)."""
    own = face_boxes(points).astype(np.float64)
    return np.array([overlap(a[None], b[None])[0, 0] >= SAME_FACE for a, b in zip(own, boxes, strict=True)], bool)


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


def _counted(sightings: Iterable[Sighting], total: int, what: str) -> Iterator[Sighting]:
    """The sightings; raises InputError if there are more or fewer than the frame table has rows."""
    count = 0
    for count, sighting in enumerate(sightings, 1):
        if count > total:
            break
        progress(count, total)
        yield sighting
    if count != total:
        many = f"more than {total}" if count > total else str(count)
        message = f"{what}: the video has {many} frames, its frame table has {total} rows"
        raise InputError("frame_count", message, value=count, limit=total)


def _gather(found: list[Found], frames: int, backend: str, imputed: tuple[int, ...]) -> Landmarks:
    return Landmarks.make(
        np.array([face.frame for face in found], np.int32),
        np.array([face.track for face in found], np.int32),
        np.array([face.points for face in found], np.float32),
        np.array([face.score for face in found], np.float32),
        frames=frames,
        backend=backend,
        imputed=imputed,
    )


def _most_faces(landmarks: Landmarks) -> int:
    return int(np.bincount(landmarks.frame).max(initial=0)) if len(landmarks) else 0


if __name__ == "__main__":
    run(extract_landmarks)
