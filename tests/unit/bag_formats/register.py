"""Where the checks of all formats are listed, and what they share."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.unit.bag_maker import (
    PERIOD_NS,
    START_NS,
    Export,
    export,
)

FRAMES = 12
RATE_HZ = 48_000
FOXGLOVE = "foxglove_msgs/msg/"
COMPRESSED_AUDIO = "builtin_interfaces/Time timestamp\nuint8[] data\nstring format\n"
RAW_IMAGE = (
    "builtin_interfaces/Time timestamp\nstring frame_id\nuint32 width\nuint32 height\nstring encoding\nuint32 step\n"
    "uint8[] data\n"
)
AUDIO1 = {"audio_common_msgs/msg/AudioData": "uint8[] data\n"}
INFO1 = {
    "audio_common_msgs/msg/AudioInfo": (
        "uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\nstring coding_format\n"
    )
}

Check = Callable[[Path], None]
FORMATS: dict[str, Check] = {}


def formats_of(*modules: ModuleType) -> dict[str, Check]:
    """All checks; naming the modules is what has made them."""
    assert modules
    return FORMATS


def form(name: str) -> Callable[[Check], Check]:
    """Make a check the test of a format."""

    def add(check: Check) -> Check:
        assert name not in FORMATS
        FORMATS[name] = check
        return check

    return add


def exported(bag: Path, folder: Path, **setting: Any) -> Export:
    return export(bag, folder / "out", {"cam": {"topic": "/cam", **setting}})


def is_whole(made: Export, count: int = FRAMES) -> None:
    """Every picture is there, at its time."""
    assert made.rows["cam"].outcome == "written", made.rows["cam"].message
    frames = made.frames("cam")
    assert (frames.time_ns - START_NS).tolist() == [number * PERIOD_NS for number in range(count)]
    assert [pts for pts, _ in made.decode("cam")] == [number * PERIOD_NS // 1000 for number in range(count)]
