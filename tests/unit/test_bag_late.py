"""Messages that come behind later ones, with stamps that are right: pictures and samples stand where these say."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.sources.late_blocks import late_runs
from tests.unit.bag_maker import (
    COMPRESSED,
    IMAGE,
    MS,
    PERIOD_NS,
    RAW_AUDIO,
    START_NS,
    Export,
    Ros,
    as_uint8,
    export,
    payload_of,
)

RAW = "foxglove_msgs/msg/RawAudio"
BLOCK, BLOCKS, RATE_HZ, BLOCK_NS = 160, 200, 16_000, 10 * MS
SAMPLES = np.random.default_rng(0).integers(0, 255, (BLOCKS, BLOCK * 2), dtype=np.uint8)
PICTURES = 40


def heard(tmp_path: Path, late_ns: dict[int, int], kept: int = BLOCKS, jitter_ms: float = 1.0) -> Export:
    ros = Ros(2, {RAW: RAW_AUDIO})
    jitter_ns = np.random.default_rng(1).uniform(0, jitter_ms, BLOCKS) * MS
    for block in range(kept):
        start_ns = START_NS + block * BLOCK_NS
        fields = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
        stamp = ros.time(start_ns + round(jitter_ns[block]))
        log_ns = start_ns + BLOCK_NS + 2 * MS + late_ns.get(block, 0)
        ros.send(log_ns, "/mic", RAW, timestamp=stamp, data=as_uint8(SAMPLES[block]), **fields)
    return export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", microphones={"mic": "/mic"})


@pytest.mark.parametrize(
    ("late_ns", "kept"),
    [
        ({50: 15 * MS}, BLOCKS),
        ({50: 25 * MS, 51: 25 * MS}, BLOCKS),
        ({7: 95 * MS, 120: 35 * MS}, BLOCKS),
        ({98: 15 * MS}, 100),
    ],
    ids=["by-one", "two", "two-by-many", "at-the-end"],
)
def test_samples_stand_where_their_stamps_say(tmp_path: Path, late_ns: dict[int, int], kept: int) -> None:
    made = heard(tmp_path, late_ns, kept)
    assert payload_of(made.folder / "mic.wav", "s16le", 1).tobytes() == SAMPLES[:kept].tobytes()
    assert abs(made.clock("mic").start_ns - START_NS) < MS // 10
    assert not made.clock("mic").gaps
    assert made.manifest["streams"]["mic"]["stamps"] == {"late_messages": len(late_ns)}
    assert "messages that came behind later ones, put where their stamps say" in made.rows["mic"].message


def test_a_stamp_before_its_block_could_come_is_wrong_and_moves_no_sample() -> None:
    stamp_ns = START_NS + np.arange(BLOCKS) * BLOCK_NS
    log_ns = stamp_ns + BLOCK_NS
    stamp_ns[[50, 51]] = stamp_ns[[51, 50]]
    assert late_runs(stamp_ns, log_ns) == []


def test_a_stamp_too_early_where_a_block_was_lost_moves_no_sample() -> None:
    numbers = np.delete(np.arange(BLOCKS), 50)
    log_ns = START_NS + numbers * BLOCK_NS + BLOCK_NS
    stamp_ns = log_ns - BLOCK_NS
    stamp_ns[55] = START_NS + 50 * BLOCK_NS
    assert late_runs(stamp_ns, log_ns) == []


@pytest.mark.parametrize("form", ["jpeg", "png", "raw"])
def test_pictures_stand_where_their_stamps_say(tmp_path: Path, form: str) -> None:
    late = (12, 30)
    ros = Ros(1)
    for k in range(PICTURES):
        image = np.full((48, 64, 3), 5 * k, np.uint8)
        stamp_ns = START_NS + k * PERIOD_NS
        log_ns = stamp_ns + 5 * MS + (PERIOD_NS + MS if k in late else 0)
        if form == "raw":
            size = {"height": 48, "width": 64, "encoding": "bgr8", "step": 192, "is_bigendian": 0}
            ros.send(log_ns, "/cam", IMAGE, header=ros.header(stamp_ns), data=as_uint8(image), **size)
        else:
            data = as_uint8(cv2.imencode(f".{form}", image)[1].tobytes())
            ros.send(log_ns, "/cam", COMPRESSED, header=ros.header(stamp_ns), format=form, data=data)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert made.frames("cam").time_ns.tolist() == [START_NS + k * PERIOD_NS for k in range(PICTURES)]
    seen = np.array([picture[..., 0].mean() for _, picture in made.decode("cam")])
    assert np.abs(seen - 5 * np.arange(PICTURES)).max() < 2.5
    assert made.manifest["streams"]["cam"]["stamps"] == {"late_messages": 2}
