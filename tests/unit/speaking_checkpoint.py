"""A checkpoint that was hardly trained, and sounds to ask it with."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from rushes.synthetic.sounds import Speech, make_noise
from tests.unit.speech_model import train
from tests.unit.talking_windows import write_dataset


def make_checkpoint(root: Path, **changes: Any) -> tuple[Path, dict[str, Any]]:
    """A checkpoint after one epoch, and the dataset that it is of."""
    inputs = write_dataset(root / "dataset", {"a": "train", "b": "val"}, seconds=5.2)
    train(inputs, root / "lips", root / "working", epochs=1, samples=1, **changes)
    return root / "lips" / "checkpoints" / "best.ckpt", inputs


def write_speech(path: Path, seconds: float, rate_hz: int = 16_000, *, seed: int = 1, channels: int = 1) -> Path:
    """A WAV of the synthetic voice with quiet noise below it."""
    count = round(seconds * rate_hz)
    voice = Speech.make(max(seconds, 1.0), [], seed).sound(count, rate_hz) + make_noise(count, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(voice[:, None], channels, axis=1), rate_hz, "FLOAT")
    return path
