"""Sounds whose messages end within a sample: 24 channels of 3 bytes in blocks of 4,096 bytes, as from a pipe."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.sound_writer import SoundWriter
from tests.unit.bag_maker import DRIVERS, FORK, MS, START_NS, Export, Ros, as_uint8, export, payload_of

STAMPED = "audio_common_msgs/msg/AudioDataStamped"
DATA = "audio_common_msgs/msg/AudioData"
RATE_HZ, CHANNELS, WIDTH = 48_000, 24, 3
FRAME = CHANNELS * WIDTH
SAMPLES = 24_000


def sound(samples: int = SAMPLES) -> np.ndarray:
    """Every sample and channel is another one: uint8 (N, FRAME)."""
    numbers = np.arange(samples * CHANNELS, dtype="<u4")[:, None].view(np.uint8)
    return np.ascontiguousarray(numbers[:, :WIDTH]).reshape(samples, FRAME)


def cuts(block: int, samples: int = SAMPLES) -> list[tuple[int, int]]:
    """First and last byte of each message."""
    return list(pairwise([*range(0, samples * FRAME, block), samples * FRAME]))


def exported(
    folder: Path, messages: list[tuple[int, int]], *, pauses_ns: dict[int, int] | None = None, jitter_ns: int = 0
) -> Export:
    """Messages of these bytes, stamped when their last byte is there; before some of them the device pauses."""
    ros, payload = Ros(1, FORK), sound().tobytes()
    rng, paused_ns, stamp_ns = np.random.default_rng(1), 0, 0
    for index, (first, stop) in enumerate(messages):
        paused_ns += (pauses_ns or {}).get(index, 0)
        there_ns = START_NS + paused_ns + round(stop / FRAME / RATE_HZ * 1e9)
        stamp_ns = max(stamp_ns + 1, there_ns + int(rng.integers(0, jitter_ns + 1)))
        form = ros.make("audio_common_msgs/msg/AudioFormat", id="S24LE", rate=RATE_HZ, channels=CHANNELS, depth=24)
        ros.send(
            stamp_ns, "/mic", STAMPED, header=ros.header(stamp_ns), format=form, data=as_uint8(payload[first:stop])
        )
    return export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": "/mic"})


@pytest.mark.parametrize("block", [4_096, 4_104, 1_000, 100, 50])
@pytest.mark.parametrize("jitter_ns", [0, MS // 10])
def test_a_message_goes_on_where_the_one_before_ends(tmp_path: Path, block: int, jitter_ns: int) -> None:
    made = exported(tmp_path, cuts(block), jitter_ns=jitter_ns)
    assert payload_of(made.folder / "mic.wav", "s24le", CHANNELS).tobytes() == sound().tobytes()
    clock = made.clock("mic")
    assert abs(clock.start_ns - START_NS) < 1e9 / RATE_HZ + jitter_ns
    assert not clock.gaps
    assert (made.rows["mic"].outcome, made.rows["mic"].message) == ("written", "")


def test_bytes_at_the_end_that_make_no_sample_are_said(tmp_path: Path) -> None:
    made = exported(tmp_path, cuts(4_096)[:300])
    whole, left = divmod(300 * 4_096, FRAME)
    assert payload_of(made.folder / "mic.wav", "s24le", CHANNELS).tobytes() == sound()[:whole].tobytes()
    assert made.clock("mic").samples == whole
    assert made.rows["mic"].message == f"bytes that are part of no whole sample, left out: {left}"


@pytest.mark.parametrize("lost", [(100, 101), (100, 120), (40, 47)])
def test_after_lost_messages_the_samples_and_their_times_are_right(tmp_path: Path, lost: tuple[int, int]) -> None:
    messages = cuts(4_096)
    made = exported(tmp_path, messages[: lost[0]] + messages[lost[1] :], jitter_ns=MS // 20)
    samples = payload_of(made.folder / "mic.wav", "s24le", CHANNELS)
    first, stop = messages[lost[0]][0] // FRAME, -(-messages[lost[1]][0] // FRAME)
    (gap,) = made.clock("mic").gaps
    assert gap.start_sample == first
    assert abs(gap.stop_sample - stop) <= 3
    assert samples[:first].tobytes() == sound()[:first].tobytes()
    assert samples[gap.stop_sample :].tobytes() == sound()[stop:].tobytes()
    assert "nothing says where" not in made.rows["mic"].message


def test_a_device_that_begins_anew_begins_with_a_whole_sample_and_that_is_said(tmp_path: Path) -> None:
    again = 8_000 * FRAME
    messages = cuts(4_096, 8_000)[:-1] + [(a + again, b + again) for a, b in cuts(4_096, SAMPLES - 8_000)]
    made = exported(tmp_path, messages, pauses_ns={len(cuts(4_096, 8_000)) - 1: 701_700_000})
    samples = payload_of(made.folder / "mic.wav", "s24le", CHANNELS)
    assert samples[-16_000:].tobytes() == sound()[8_000:].tobytes()
    (gap,) = made.clock("mic").gaps
    began_ns = made.clock("mic").time_ns(np.array([gap.stop_sample]))[0]
    assert abs(began_ns - (START_NS + 701_700_000 + round(8_000 / RATE_HZ * 1e9))) < 2e9 / RATE_HZ
    assert "after 1 of its holes nothing says where in one it goes on" in made.rows["mic"].message


def test_blocks_that_fit_neither_the_samples_nor_the_rate_of_the_rig_are_a_failed_row(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    for block in range(200):
        ros.send(START_NS + block * 10 * MS, "/mic", DATA, data=np.full(160, block, np.uint8))
    setting = {"topic": "/mic", "rate_hz": 8_000, "channels": 3, "sample_format": "s16le"}
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {}, {"mic": setting})
    assert made.rows["mic"].reason == "no_format"
    assert "no whole samples of 3 channels s16le, nor do its stamps fit those at 8000 Hz" in made.rows["mic"].message
    assert made.is_empty("mic")


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_pieces_of_a_payload_are_kept_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    payload = bytes(range(200))
    marks = sorted(data.draw(st.lists(st.integers(0, 200), max_size=8)))
    pieces = [(first, stop - first) for first, stop in zip(marks[::2], marks[1::2], strict=False)]
    writer = SoundWriter(path := tmp_path_factory.mktemp("kept") / "a.wav")
    writer.write(payload)
    writer.keep(pieces)
    writer.close(rate_hz=8_000, channels=1, sample_format="u8")
    kept = b"".join(payload[first : first + count] for first, count in pieces)
    assert path.read_bytes()[104:] == kept + bytes(len(kept) % 2)
