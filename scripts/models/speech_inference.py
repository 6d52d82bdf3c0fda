"""Landmarks of a sound of any length: stretches of speech, overlapping windows, and the windows blended."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scripts.common.errors import InputError, RunError
from scripts.common.landmarks import POINTS
from scripts.common.sound_features import features_at
from scripts.models.checkpoint import Identity, read_checkpoint
from scripts.models.landmark_layout import LAYOUT, in_pixels, normalised, without_statistics
from scripts.models.sounds import at_rate
from scripts.models.speech_training import SpeechTraining
from scripts.models.spoken_stretches import LOUDNESS, stretches_by

# Frames over which the face comes from rest, and goes back.
FADE = 3
BATCH = 32


@dataclass(frozen=True)
class Spoken:
    """Landmarks of a sound. pose: float32 (F, 68, 2) px from the nose tip; speech: first frame, one past the last."""

    pose: np.ndarray
    speech: list[tuple[int, int]]
    fps: str


def window_starts(first: int, stop: int, frames: int, hop: int) -> list[int]:
    """First frames of windows that cover [first, stop): every `hop`, the last ends with it or begins with it."""
    last = max(first, stop - frames)
    starts = list(range(first, last, hop))
    return [*starts, last]


def blend_weights(frames: int) -> np.ndarray:
    """Float64 (frames,): a raised cosine, so that a window fades in and out where others overlap it."""
    return np.sin(np.pi * (np.arange(frames) + 0.5) / frames) ** 2


def blend(count: int, starts: list[int], windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean of overlapping windows.

    windows: float (W, T, D), the w-th begins with frame starts[w]; what lies beyond `count` frames is dropped.
    Returns float64 (count, D), 0 where there is none, and the sum of weights, float64 (count,).
    """
    weights = blend_weights(windows.shape[1])
    total, weight = np.zeros((count, windows.shape[2])), np.zeros(count)
    for start, window in zip(starts, windows, strict=True):
        length = min(len(window), count - start)
        total[start : start + length] += weights[:length, None] * window[:length]
        weight[start : start + length] += weights[:length]
    return np.divide(total, weight[:, None], out=total, where=weight[:, None] > 0), weight


def presence(count: int, stretches: list[tuple[int, int]]) -> np.ndarray:
    """How much of each frame is speech, float64 (count,): 1 within a stretch, fading to 0 over its ends."""
    frame = np.arange(count)
    share = np.zeros(count)
    for first, stop in stretches:
        inside = np.minimum(frame - first + 1, stop - frame) / (FADE + 1)
        share = np.maximum(share, np.clip(inside, 0, 1))
    return share


class Speaker:
    """A checkpoint that makes landmarks of sounds."""

    def __init__(
        self,
        checkpoint: Path,
        *,
        hop: int,
        speech: str = LOUDNESS,
        accelerator: str = "cpu",
        threads: int = 1,
        face: Path | None = None,
        wanted: Mapping[str, Any] | None = None,
    ) -> None:
        """speech: how it is found, loudness or silero.  wanted: fields of the checkpoint's identity, as they must be.

        Raises InputError for a checkpoint of something else or without statistics of a point, and where features,
        layout or anything wanted differ.
        """
        if accelerator != "cpu" and not torch.cuda.is_available():
            raise RunError("there is no GPU that this torch can use; set accelerator: cpu, or ask for another node")
        torch.set_num_threads(threads)
        read = read_checkpoint(checkpoint)
        self.identity = Identity.of(read, checkpoint.name)
        own = {"kind": "speech_landmarks", "features": features_at(self.identity.rate_hz), "layout": LAYOUT}
        self.identity.refuse_others({**own, **(wanted or {})}, checkpoint.name)
        self._device = torch.device("cpu" if accelerator == "cpu" else "cuda")
        training = SpeechTraining(self.identity)
        try:
            training.load_state_dict(read["state_dict"])
        except (RuntimeError, KeyError) as error:
            raise InputError(
                "bad_checkpoint", f"the weights of {checkpoint.name} do not fit to what it says"
            ) from error
        self._network = training.network.eval().to(self._device)
        self._mean, self._std = np.array(self.identity.mean), np.array(self.identity.std)
        if points := without_statistics(self._mean, self._std):
            raise InputError(
                "bad_statistics",
                f"{checkpoint.name} has no statistics of the points {points}: its dataset is of an earlier version, "
                "and its resting face is wrong; train it again",
            )
        self._first = self._face(face)
        self._hop = min(hop, self.identity.frames)
        self._find = stretches_by(speech)

    def speak(self, signal: np.ndarray, rate_hz: int) -> Spoken:
        """Landmarks of a sound, float (N,); silence shows the face at rest.

        Raises InputError where the network makes no numbers of it.
        """
        identity = self.identity
        fps = Fraction(identity.fps)
        sound = at_rate(signal, rate_hz, identity.rate_hz)
        per_frame = Fraction(identity.rate_hz) / fps
        count = max(1, -int(-len(sound) // per_frame))
        stretches = [
            (int(first // per_frame), min(count, -int(-stop // per_frame)))
            for first, stop in self._find(sound, identity.rate_hz)
        ]
        starts = [s for first, stop in stretches for s in window_starts(first, stop, identity.frames, self._hop)]
        rest = np.zeros_like(self._mean) if self._first is None else self._first.astype(np.float64)
        said, weight = blend(count, starts, self._windows(sound, starts, per_frame))
        share = (presence(count, stretches) * (weight > 0))[:, None]
        pose = in_pixels(share * said + (1 - share) * rest, self._mean, self._std)
        if not np.isfinite(pose).all():
            raise InputError(
                "no_landmarks",
                "the checkpoint makes no numbers of this sound: take another one, or train it again",
            )
        return Spoken(np.ascontiguousarray(pose.transpose(0, 2, 1)), stretches, identity.fps)

    def _windows(self, sound: np.ndarray, starts: list[int], per_frame: Fraction) -> np.ndarray:
        length = int(self.identity.frames * per_frame)
        padded = np.concatenate([sound, np.zeros(length, np.float32)])
        first = torch.zeros(len(self._mean)) if self._first is None else torch.from_numpy(self._first)
        found = [np.empty((0, self.identity.frames, len(self._mean)))]
        with torch.inference_mode():
            for begin in range(0, len(starts), BATCH):
                part = [int(start * per_frame) for start in starts[begin : begin + BATCH]]
                heard = torch.from_numpy(np.stack([padded[start : start + length] for start in part]))
                faces = first.expand(len(part), -1)
                found.append(self._network(heard.to(self._device), faces.to(self._device)).cpu().numpy())
        return np.concatenate(found)

    def _face(self, face: Path | None) -> np.ndarray | None:
        """The face to begin with, normalised float32 (136,)."""
        if face is None:
            return None
        points = _array_of(face)
        if points is None or points.dtype.kind not in "fiu":
            raise InputError(
                "bad_landmarks",
                f"{face.name} is no .npy of numbers: write the {POINTS} points, ({POINTS}, 2), by numpy.save",
            )
        if points.shape not in ((POINTS, 2), (2, POINTS)) or not np.isfinite(points).all():
            raise InputError("bad_landmarks", f"{face.name} holds {points.shape}, not {POINTS} points of iBUG's layout")
        pose = points.T if points.shape == (POINTS, 2) else points
        return normalised(pose[None], self._mean, self._std)[0]


def _array_of(file: Path) -> np.ndarray | None:
    """The array of a .npy, None if it is none. Raises InputError for a file that cannot be read."""
    try:
        with file.open("rb") as content:
            return np.lib.format.read_array(content, allow_pickle=False)
    except OSError as error:
        raise InputError("bad_landmarks", f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, EOFError):
        return None
