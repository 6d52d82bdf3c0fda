"""What is seen and heard in a clip."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from scripts.common.video_item import read_sound
from tests.unit.shard_maker import (
    RATE_HZ,
    tone,
)

FPS = 25


def frames_in(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def shown_frames(clip: Path, source: list[np.ndarray]) -> list[int]:
    """The source frame that each frame of a clip looks most like."""
    return [max(range(len(source)), key=lambda k: psnr(picture, source[k])) for picture in frames_in(clip)]


def pitch_start_s(path: Path) -> float:
    """Where in `tone` the sound of a clip begins, by its best match."""
    sound, rate = read_sound(f"file:{path}", Fraction(0))
    assert rate == RATE_HZ
    whole = tone(4 * RATE_HZ)
    part = sound[0, 2000:6000]
    scores = np.correlate(whole, part, "valid")
    energy = np.sqrt(np.convolve(whole**2, np.ones(len(part)), "valid"))
    return float(np.argmax(scores / energy) - 2000) / RATE_HZ
