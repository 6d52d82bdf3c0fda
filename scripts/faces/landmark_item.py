"""Landmarks of one video, whatever it is part of: faces are detected and followed, a network finds their points.

Between two looks the box is a guess. Where the landmarks lie beside it, it follows them, and the face is measured
again; a face whose landmarks are unsure, or lie elsewhere, is detected again in that very frame. If that does not help,
the frame does not show it.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from scripts.common.bgr_picture import Picture, in_colour
from scripts.common.errors import RunError
from scripts.common.landmarks import Landmarks, face_boxes
from scripts.faces.ahead import ahead
from scripts.faces.backends import LandmarkNetwork, open_detector, open_network
from scripts.faces.face_tracks import SAME_FACE, Detector, Sighting, follow_faces, overlap
from scripts.faces.smoothing import finished

# Landmarks whose own box shares less than this with the one that they were found in are measured again in their own:
# of a head that shakes, points are 4 times nearer then; of one at rest, 0.85 and more is shared.
STEADY = 0.75
# Pictures of faces that wait for their batch, at most: one of 64 in 4K would take 1.6 GB.
WAITING_BYTES = 256_000_000


@dataclass(frozen=True)
class Search:
    """How landmarks are looked for: back end and detector by name, `network` of FAN alone, see `Fan`.

    batch: faces that go through the network together; detect_every, in frames; min_score: of the detector.
    interpolate_frames, smooth: see `finished`.
    """

    backend: str
    batch: int
    detect_every: int
    min_score: float
    detector: str = "yunet"
    network: dict[str, Any] = field(default_factory=dict)
    interpolate_frames: int = 0
    smooth: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Face:
    """One face to be measured. box: float64 (4,).

    detected: whether the detector saw it in this very frame.  followed: whether its box is that of its landmarks.
    """

    frame: int
    track: int
    picture: Picture
    box: np.ndarray
    detected: bool
    followed: bool = False


@dataclass(frozen=True)
class Found:
    """Landmarks of one face. points: float32 (68, 2)."""

    frame: int
    track: int
    points: np.ndarray
    score: float


class LandmarkFinder:
    """Detector and network, opened once for any number of videos."""

    def __init__(self, weights: Sequence[Path], search: Search, *, accelerator: str, threads: int) -> None:
        """weights: the detector's, then the network's. Raises RunError if they cannot be read."""
        if len(weights) != 2:
            raise RunError(
                f"{search.backend} wants the weights of the detector and of its network, not {len(weights)} files"
            )
        # Pictures are shared out among threads; more threads on each would wait for each other.
        cv2.setNumThreads(1)
        self._search, self._threads = search, max(1, threads)
        self._detect = open_detector(search.detector, weights[0], min_score=search.min_score, accelerator=accelerator)
        of_fan = {"detector": search.detector, **search.network} if search.backend.startswith("fan") else {}
        self._network = open_network(search.backend, weights[1], accelerator=accelerator, threads=threads, **of_fan)

    def __call__(self, pictures: Iterable[av.VideoFrame], scene_starts: Sequence[int], fps: float) -> Landmarks:
        """Landmarks of a video. scene_starts: frames after a cut."""
        looking, measuring = ThreadPoolExecutor(self._threads), ThreadPoolExecutor(self._network.at_once)
        with looking, measuring:
            seen = _Seen(ahead(in_colour, pictures, looking, self._threads))
            many = (looking, self._threads) if self._detect.parallel else ()
            sightings = follow_faces(seen, self._detect, self._search.detect_every, frozenset(scene_starts), *many)
            found = list(find_landmarks(sightings, self._network, self._detect, self._search.batch, measuring))
        raw = _gather(found, seen, self._search.backend, self._network.imputed)
        return finished(
            raw,
            scene_numbers(scene_starts, seen.count),
            interpolate_frames=self._search.interpolate_frames,
            smooth=self._search.smooth,
            fps=fps,
        )


class _Seen:
    """Pictures that are counted while they pass."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._pictures = pictures
        self.count = 0
        self.size = (0, 0)

    def __iter__(self) -> Iterator[Picture]:
        for picture in self._pictures:
            self.count += 1
            self.size = (picture.shape[1], picture.shape[0])
            yield picture


def scene_numbers(starts: Sequence[int], frames: int) -> np.ndarray:
    """Number of each frame's scene, int (frames,)."""
    return np.searchsorted(np.sort(np.asarray(starts, np.int64)), np.arange(frames), side="right")


def find_landmarks(
    sightings: Iterable[Sighting],
    network: LandmarkNetwork,
    detect: Detector,
    batch: int,
    workers: Executor | None = None,
) -> Iterator[Found]:
    """The credible landmarks of all faces, `batch` of them at a time, or fewer if their pictures are large.

    workers: threads, each of which runs the network on a batch of its own, `network.at_once` of them.
    """
    measure = partial(_measure, network=network, detect=detect)
    batches = _batches(sightings, batch)
    measured = ahead(measure, batches, workers, network.at_once) if workers else map(measure, batches)
    return chain.from_iterable(measured)


def _batches(sightings: Iterable[Sighting], batch: int) -> Iterator[list[Face]]:
    waiting: list[Face] = []
    held = 0
    for sighting in sightings:
        for track, box in sighting.faces.items():
            waiting.append(Face(sighting.frame, track, sighting.picture, box, sighting.detected))
            held += sighting.picture.nbytes
            if len(waiting) == batch or held >= WAITING_BYTES:
                yield waiting
                waiting, held = [], 0
    if waiting:
        yield waiting


def _measure(faces: list[Face], network: LandmarkNetwork, detect: Detector) -> list[Found]:
    """Landmarks of faces; where a box was no good guess, of the one that landmarks or detector give in that frame."""
    found, again = [], []
    boxes = np.array([face.box for face in faces])
    points, scores = network([face.picture for face in faces], boxes)
    own = face_boxes(points).astype(np.float64)
    shared = np.diagonal(overlap(own, boxes))
    for face, its_points, score, its_box, near in zip(faces, points, scores, own, shared, strict=True):
        there = score >= network.least_score and near >= SAME_FACE
        if there and (near >= STEADY or face.detected or face.followed):
            found.append(Found(face.frame, face.track, its_points, float(score)))
        elif there:
            again.append(replace(face, box=its_box, followed=True))
        elif not face.detected:
            seen = detect(face.picture)
            same = overlap(face.box[None], seen)[0]
            if same.max(initial=0.0) > 0:
                again.append(replace(face, box=seen[same.argmax()], detected=True))
    return found + (_measure(again, network, detect) if again else [])


def _gather(found: list[Found], seen: _Seen, backend: str, imputed: tuple[int, ...]) -> Landmarks:
    return Landmarks.make(
        np.array([face.frame for face in found], np.int32),
        np.array([face.track for face in found], np.int32),
        np.array([face.points for face in found], np.float32),
        np.array([face.score for face in found], np.float32),
        frames=seen.count,
        backend=backend,
        imputed=imputed,
        size=seen.size,
    )
