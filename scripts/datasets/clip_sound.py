"""What is heard in the clips of an item."""

from fractions import Fraction

import numpy as np

from scripts.common.video_item import origin_of, read_sound
from scripts.datasets.clip_writer import sound_of_clip
from scripts.datasets.cut_task import CutTask


def sound_of_item(task: CutTask) -> tuple[np.ndarray, int] | None:
    """The whole sound on the item's clock, float32 (channels, N), and its rate in Hz; None if there is none."""
    return read_sound(task.sound_url or task.url, Fraction(0) if task.sound_url else origin_of(task.frames))


def heard(
    task: CutTask, sound: tuple[np.ndarray, int] | None, start_s: float, stop_s: float
) -> tuple[np.ndarray, int] | None:
    """The sound of a clip at the rate and with the channels that are asked for; None if there is none."""
    if sound is None:
        return None
    rate_hz, channels = task.audio["rate_hz"], task.audio["channels"]
    return sound_of_clip(*sound, start_s, stop_s, out_rate_hz=rate_hz, out_channels=channels)
