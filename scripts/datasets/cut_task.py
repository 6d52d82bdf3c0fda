"""What a process that cuts the clips of one item is told."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scripts.common.clip_form import AT_KEYFRAMES, OF_COPIES, changes_pictures, changes_sound
from scripts.common.encoder import Coding
from scripts.common.frame_table import FrameTable
from scripts.common.timeline import NS
from scripts.datasets.clip_picture import grid
from scripts.datasets.clip_times import ROUNDING_S


@dataclass(frozen=True)
class CutTask:
    """What a process is told. clips: (name, start_s, stop_s); formats: modality -> form; folder: where files go."""

    url: str
    sound_url: str
    frames: FrameTable
    clips: list[tuple[str, float, float]]
    facts: dict[str, Any]
    video: dict[str, Any]
    audio: dict[str, Any]
    formats: dict[str, str]
    precision: str
    folder: str

    @property
    def fps(self) -> Fraction | None:
        """Frames a second of the clips; None for the item's own."""
        return Fraction(self.video["fps"]) if self.video["fps"] else None

    @property
    def coding(self) -> Coding:
        """How its clips are encoded."""
        return Coding(self.video["codec"] or "h264", self.video["crf"], self.video["preset"])

    @property
    def copies(self) -> bool:
        """Whether the packets of the item serve its clips as they are."""
        changes = changes_pictures(self.video) or changes_sound(self.audio)
        return self.precision in AT_KEYFRAMES and self.formats == OF_COPIES and not changes

    def begins_between(self, start_s: float) -> bool:
        """Whether a start lies behind a keyframe: pictures of another clip then stand between the two."""
        keys_s = self.frames.time_ns[self.frames.keyframe] / NS
        before = keys_s[keys_s <= start_s + ROUNDING_S]
        return bool(len(before)) and bool(before[-1] < start_s - ROUNDING_S)

    def shown(self) -> set[int]:
        """Numbers of the frames that any of the clips shows."""
        return {int(n) for _, start, stop in self.clips for n in grid(self.frames, start, stop, self.fps)[0]}


def has_other_codec(facts: dict[str, Any], video: dict[str, Any]) -> bool:
    """Whether the config names a codec that the item's pictures, if it has any, do not have."""
    return bool(video["codec"]) and facts["video_codec"] not in ("", video["codec"])
