"""One decode of an item: its frame table, and what a small picture of every frame says about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from scripts.common.clock import Clock
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.lots import SCORES
from scripts.common.scene_cuts import ContentChange
from scripts.common.small_picture import SmallPictures
from scripts.common.timeline import NS
from scripts.common.video_item import ItemReader
from scripts.datasets.kept_pictures import KeptPictures
from scripts.datasets.perceptual_hash import perceptual_hash

# A bigger picture than any camera takes is a lie of its header.
MAX_SIDE_PX = 16384
# How many pictures stand for an item or a clip where duplicates are looked for.
HASHES = 4
SHARPNESS_EVERY = 5
JPEG_QUALITY = 85


@dataclass
class ItemScan:
    """Result of `scan_item`. facts: codec data and scores; frames: (N,) tables; hashes: uint64 perceptual hashes."""

    facts: dict[str, Any]
    frames: FrameTable
    scores: dict[str, np.ndarray]
    hashes: list[int]
    clock: Clock | None
    thumbnail: bytes = b""


def scan_item(
    url: str, *, thumbnails: bool = True, fps: Sequence[float] = (), kept: KeptPictures | None = None
) -> ItemScan:
    """Decode the pictures of an item once. Raises InputError if there is nothing in it.

    url: what ffmpeg opens.  fps: further frame rates at which the change of content is wanted.  kept: keeps pictures
    for clips.
    """
    with ItemReader(url) as reader:
        facts = reader.facts()
        if reader.video is None:
            if reader.audio is None:
                raise InputError("no_stream", "it has neither pictures nor sound")
            return _sound_only(reader, facts)
        if max(facts["width"], facts["height"]) > MAX_SIDE_PX:
            message = f"its header says {facts['width']}x{facts['height']} pixels"
            raise InputError("too_large", message, value=max(facts["width"], facts["height"]), limit=MAX_SIDE_PX)
        scan = _look(reader, facts, thumbnails, [SlowChange(Fraction(rate)) for rate in fps], kept)
        scan.clock = reader.clock()
        return scan


class SlowChange:
    """Change of content at a lower frame rate: of the pictures on screen at its ticks."""

    def __init__(self, rate: Fraction) -> None:
        self.rate, self._content = rate, ContentChange()
        self.times: list[Fraction] = []
        self.change: list[float] = []
        self._start: Fraction | None = None
        self._next_tick = 0

    def see(self, bgr: np.ndarray, instant: Fraction) -> None:
        """The next picture of the video; it counts if a tick has come since the last one that did."""
        self._start = instant if self._start is None else self._start
        ticks = (instant - self._start) * self.rate
        if ticks >= self._next_tick:
            self._next_tick = math.floor(ticks) + 1
            self.times.append(instant)
            self.change.append(self._content.score(bgr))

    def fact(self, start: Fraction) -> dict[str, list[float]]:
        """What is kept: seconds on the item's clock, and changes."""
        return {
            "time_s": [round(float(time - start), 6) for time in self.times],
            "change": [round(value, 4) for value in self.change],
        }


def _look(
    reader: ItemReader,
    facts: dict[str, Any],
    thumbnails: bool,
    slow: Sequence[SlowChange],
    kept: KeptPictures | None,
) -> ItemScan:
    small, content = SmallPictures(), ContentChange()
    times: list[Fraction] = []
    times_ns: list[int] = []
    keyframes: list[bool] = []
    rows: list[tuple[float, float, float, float]] = []
    greys: list[np.ndarray] = []
    before: np.ndarray | None = None
    middle: np.ndarray | None = None
    keep_every, sharp, start = 1, 0.0, Fraction(0)
    if kept is not None:
        kept.begin(reader.pixel_shape)
    for picture, instant in reader.pictures():
        bgr = small.bgr(picture)
        grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        moved = cv2.mean(cv2.absdiff(grey, before))[0] if before is not None and before.shape == grey.shape else 0.0
        if len(times) % SHARPNESS_EVERY == 0:
            sharp = float(cv2.Laplacian(grey, cv2.CV_16S).astype(np.float32).var())
        if len(times) % keep_every == 0:
            greys.append(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA))
            if len(greys) > 16 * HASHES:
                greys, keep_every = greys[::2], keep_every * 2
        if middle is None or (len(times) & (len(times) - 1)) == 0:
            middle = bgr
        start = start if times else reader.start(instant)
        times.append(instant)
        times_ns.append(round((instant - start) * NS))
        keyframes.append(bool(picture.key_frame))
        rows.append((content.score(bgr), moved, cv2.mean(grey)[0], sharp))
        if kept is not None:
            kept.see(picture, instant, times_ns[-1], rows[-1][0])
        for lower in slow:
            lower.see(bgr, instant)
        before = grey
    if not times:
        raise InputError("no_pictures", "none of its pictures can be decoded")
    scores = {name: np.array(column, np.float32) for name, column in zip(SCORES, zip(*rows, strict=True), strict=True)}
    pts = np.array([round(time * 1_000_000) for time in times], np.int64)
    time_ns = np.array(times_ns, np.int64)
    frames = FrameTable.make(pts, time_ns, keyframe=np.array(keyframes))
    if kept is not None:
        kept.end()
    if slow:
        facts["slow_changes"] = {f"{float(lower.rate):g}": lower.fact(start) for lower in slow}
    chosen = np.linspace(0, len(greys) - 1, min(HASHES, len(greys))).round().astype(int)
    picture_facts = {
        "frames": len(times),
        "undecoded": reader.undecoded,
        "duration_s": frames.stop_ns / NS if len(times) > 1 else facts["duration_s"],
        "keyframes_s": [round(float(t), 6) for t in time_ns[np.array(keyframes)] / NS],
    }
    return ItemScan(
        facts | picture_facts,
        frames,
        scores,
        [perceptual_hash(greys[k]) for k in chosen],
        None,
        _jpeg(middle) if thumbnails and middle is not None else b"",
    )


def _sound_only(reader: ItemReader, facts: dict[str, Any]) -> ItemScan:
    clock = reader.clock()
    if clock is None or not clock.samples:
        raise InputError("no_sound", "its sound cannot be decoded")
    facts |= {"frames": 0, "undecoded": 0, "keyframes_s": [], "duration_s": clock.samples / clock.rate_hz}
    return ItemScan(facts, FrameTable.empty(), no_scores(0), [], clock)


def no_scores(frames: int) -> dict[str, np.ndarray]:
    """The scores of pictures that nobody looked at."""
    return {name: np.full(frames, np.nan, np.float32) for name in SCORES}


def list_packets(url: str) -> ItemScan:
    """What the packets of an item say without a decoder: frame table, clock and codec data, and no score."""
    with ItemReader(url) as reader:
        facts = reader.facts()
        if reader.video is None:
            if reader.audio is None:
                raise InputError("no_stream", "it has neither pictures nor sound")
            return _sound_only(reader, facts)
        shown = sorted(reader.packet_times())
        if not shown:
            raise InputError("no_pictures", "it has no packet of a picture")
        start = reader.start(shown[0][0])
        time_ns = np.array([round((time - start) * NS) for time, _ in shown], np.int64)
        pts = np.array([round(time * 1_000_000) for time, _ in shown], np.int64)
        frames = FrameTable.make(pts, time_ns, keyframe=np.array([key for _, key in shown]))
        facts |= {"frames": len(shown), "undecoded": 0}
        facts["keyframes_s"] = [round(float(t), 6) for t in time_ns[frames.keyframe] / NS]
        facts["duration_s"] = frames.stop_ns / NS if len(shown) > 1 else facts["duration_s"]
        return ItemScan(facts, frames, no_scores(len(shown)), [], reader.clock())


def _jpeg(bgr: np.ndarray) -> bytes:
    done, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return packed.tobytes() if done else b""
