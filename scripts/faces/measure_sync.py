"""How well lips and sound fit together: by a model of the user's, and by how lips open as it gets louder.

The second needs no model. It finds the lag on some clips only, so it is reported, and filters nothing.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import soundfile

from scripts.common import ledger
from scripts.common.bgr_picture import to_bgr
from scripts.common.errors import RunError, UpstreamError
from scripts.common.face_shape import MEAN_MIDDLE, lip_opening, to_crop
from scripts.common.job import progress, run
from scripts.common.landmarks import Landmarks
from scripts.common.sync_scores import FRAMES, SHIFTS, SyncScores
from scripts.common.video import VideoReader

log = logging.getLogger("rushes")

# What the model sees: the aligned face, as wide as this many distances of the eyes.
SIDE_PX, EXTENT = 224, 2.5
BATCH = 16
MAX_LAG, LEAST_FRAMES = 10, 50
# Deviations whose product is less are rounding.
STILL = 1e-12


class SyncModel:
    """An onnx model of two inputs, `face` float32 (B, 5, 3, 224, 224), red first, 0 to 1, and `sound` float32 (B, N),
    the samples of the same time; its two outputs are vectors (B, D) that are near each other where they fit."""

    def __init__(self, model: Path, *, threads: int) -> None:
        """Raises RunError if it is no such model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        # onnxruntime's own exceptions share no other base.
        except Exception as error:
            raise RunError(f"{model} is no onnx model: {' '.join(str(error).split())[:200]}") from error
        names = {entry.name for entry in self._session.get_inputs()}
        if names != {"face", "sound"} or len(self._session.get_outputs()) != 2:
            raise RunError(
                f"{model}: it wants {sorted(names)}; a sync model has inputs `face`, `sound` and two outputs"
            )
        self._model = model

    def __call__(self, faces: np.ndarray, sounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of faces and of sounds."""
        try:
            seen, heard = self._session.run(None, {"face": faces, "sound": sounds})
        except Exception as error:
            raise RunError(f"{self._model} fails: {' '.join(str(error).split())[:200]}") from error
        return np.asarray(seen, np.float32), np.asarray(heard, np.float32)


@dataclass
class _Track:
    """The last pictures of a track, and the vectors of its stretches by their first frame."""

    pictures: list[np.ndarray] = field(default_factory=list)
    last: int = -2
    vectors: dict[int, np.ndarray] = field(default_factory=dict)


def lag_of(opening: np.ndarray, level: np.ndarray) -> tuple[int, float] | None:
    """Frames by which lips open later than the sound gets louder, and the correlation there.

    opening, level: float (N,), of the same frames.  Returns None where one of them never changes.
    """
    if opening.std() * level.std() <= STILL:
        return None
    found = []
    for lag in range(-MAX_LAG, MAX_LAG + 1):
        a = opening[max(0, lag) : len(opening) + min(0, lag)]
        b = level[max(0, -lag) : len(level) - max(0, lag)]
        spread = a.std() * b.std()
        found.append(float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > STILL else 0.0)
    best = int(np.argmax(found))
    return best - MAX_LAG, found[best]


def measure_sync(
    video: Path,
    landmarks: Path,
    sound: Path,
    model: Path | None,
    out_sync: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    backend: str,
    microphone: str,
    fps: str,
    threads: int = 1,
) -> None:
    """Write the scores of every track, none without a model, and the lag of each as a diagnostic into the ledger.

    Raises InputError if face search or sound failed in an earlier step; RunError if the model cannot be used.
    """
    faces = Landmarks.read(landmarks)
    if not faces.frames or not sound.stat().st_size:
        raise UpstreamError(f"{recording}, {camera}", "picture or sound failed")
    signal, rate_hz = soundfile.read(sound, dtype="float32", always_2d=True)
    samples = int(Fraction(rate_hz) / Fraction(fps))
    heard = signal[:, 0][: faces.frames * samples]
    heard = np.pad(heard, (0, faces.frames * samples - len(heard)))
    known = np.flatnonzero(np.isfinite(faces.points).all(axis=(1, 2)))
    scores = _score(video, faces, known, heard, samples, SyncModel(model, threads=threads)) if model else _none()
    scores.write(out_sync)
    level = np.log10(np.maximum((heard.reshape(-1, samples) ** 2).mean(axis=1), 1e-10))
    said = [f"{len(scores.frame)} stretches scored"] if model else []
    for track in np.unique(faces.track[known]):
        own = known[faces.track[known] == track]
        if len(own) >= LEAST_FRAMES:
            found = lag_of(lip_opening(faces.points[own].astype(np.float64)), level[faces.frame[own]])
            said.append(f"lips of track {track} {_as_text(found)}")
    message = "; ".join(said) or "no track is long enough for a lag"
    log.info("%s, %s: %s", recording, camera, message)
    ledger.write(
        out_ledger,
        [ledger.Row("measure_sync", recording, f"{camera}.{backend}.{microphone}", "written", message=message)],
    )


def _as_text(found: tuple[int, float] | None) -> str:
    if found is None:
        return "have no lag: they, or the sound, never change"
    return f"{found[0]:+d} frames from the sound (correlation {found[1]:.2f}; a diagnostic)"


def _none() -> SyncScores:
    return SyncScores(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 2 * SHIFTS + 1), np.float32))


def _score(
    video: Path, faces: Landmarks, known: np.ndarray, heard: np.ndarray, samples: int, model: SyncModel
) -> SyncScores:
    tracks: dict[int, _Track] = {}
    of_sound: dict[int, np.ndarray] = {}
    batch: list[tuple[_Track, int, np.ndarray]] = []

    def flush() -> None:
        if batch:
            sounds = np.stack([heard[first * samples : (first + FRAMES) * samples] for _, first, _ in batch])
            seen, said = model(np.stack([pictures for _, _, pictures in batch]), sounds)
            for (track, first, _), vector, other in zip(batch, seen, said, strict=True):
                track.vectors[first] = vector
                of_sound[first] = other
            batch.clear()

    for number, track, picture in _aligned(video, faces, known):
        own = tracks.setdefault(track, _Track())
        own.pictures = [*(own.pictures if own.last == number - 1 else []), picture][-FRAMES:]
        own.last = number
        if len(own.pictures) == FRAMES:
            batch.append((own, number - FRAMES + 1, np.stack(own.pictures)))
            if len(batch) == BATCH:
                flush()
    flush()
    rows = [
        (first, track, [_distance(vector, of_sound.get(first + shift)) for shift in range(-SHIFTS, SHIFTS + 1)])
        for track, own in sorted(tracks.items())
        for first, vector in sorted(own.vectors.items())
    ]
    if not rows:
        return _none()
    frame, track_of, distance = zip(*rows, strict=True)
    return SyncScores(np.array(frame, np.int32), np.array(track_of, np.int32), np.array(distance, np.float32))


def _distance(vector: np.ndarray, other: np.ndarray | None) -> float:
    return float("nan") if other is None else float(np.linalg.norm(vector - other))


def _aligned(video: Path, faces: Landmarks, known: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Frame, track and face, float32 (3, 224, 224) of 0 to 1, red first, in the order of the frames."""
    shapes = to_crop(faces.points[known], SIDE_PX, EXTENT, MEAN_MIDDLE)
    at = 0
    with VideoReader(video) as reader:
        for number, picture in enumerate(reader):
            progress(number + 1, faces.frames)
            bgr = to_bgr(picture) if at < len(known) and faces.frame[known[at]] == number else None
            while bgr is not None and at < len(known) and faces.frame[known[at]] == number:
                pixels = cv2.warpAffine(bgr, shapes[at], (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
                face = np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1), np.float32) / 255
                yield number, int(faces.track[known[at]]), face
                at += 1


if __name__ == "__main__":
    run(measure_sync)
