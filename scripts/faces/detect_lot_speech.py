"""Where somebody speaks in the items of a lot, in seconds on each item's clock."""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from scripts.common import lots
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.lot_work import work_on
from scripts.common.speech import RATE_HZ, SpeechNetwork, packaged_weights, speech_segments
from scripts.common.versions import LOT_METHODS
from scripts.common.video_item import origin_of, read_sound
from scripts.common.working import Working


@cache
def network() -> SpeechNetwork:
    """The network, once in a process."""
    return SpeechNetwork(packaged_weights())


def speech_of(task: dict[str, Any]) -> dict[str, Any]:
    """Stretches of speech of one item. task: url, sound_url, origin (seconds in the file), rule."""
    own = task["sound_url"]
    found = read_sound(own or task["url"], Fraction(0) if own else Fraction(task["origin"]))
    if found is None:
        return {"speech": []}
    samples, rate_hz = found
    step = Fraction(RATE_HZ, rate_hz)
    sound = resample_poly(samples.mean(axis=0), step.numerator, step.denominator).astype(np.float32)
    pairs = speech_segments(network().likelihoods([sound]), len(sound), **task["rule"])
    return {"speech": [[round(start / RATE_HZ, 4), round(stop / RATE_HZ, 4)] for start, stop in pairs]}


def detect_lot_speech(
    media: Path,
    contents: Path,
    frames: Path,
    out_speech: Path,
    *,
    rule: dict[str, float],
    working: str,
    threads: int,
) -> None:
    """The stretches of speech of every item that was fetched: none for one without a sound, a reason where it fails.

    rule: threshold, min_speech_s, min_silence_s, pad_s; see `speech_segments`.
    """
    tables = lots.read_frames(frames)
    listed = [item for item in lots.read_items(contents) if item.is_there]
    place = Working(Path(working), Working.mark(LOT_METHODS["detect_lot_speech"], rule, contents))
    tasks = {
        item.key: {
            "url": lots.media_url(item, media),
            "sound_url": f"file:{item.sound}" if item.sound else "",
            "origin": str(origin_of(tables[item.key][0] if item.key in tables else FrameTable.empty())),
            "rule": rule,
        }
        for item in listed
    }
    ended = work_on(speech_of, tasks, place, threads, "items heard")
    heard = {key: lots.Speech(end.get("speech", []), end["reason"], end["message"]) for key, end in ended.items()}
    lots.write_speech(out_speech, heard)
    place.remove()


if __name__ == "__main__":
    run(detect_lot_speech)
