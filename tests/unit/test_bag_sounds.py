"""Sounds of a bag, in the messages of every package that has them, become a WAV with a clock."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.unit.bag_maker import (
    DRIVERS,
    FORK,
    MS,
    MULTI,
    RAW_AUDIO,
    START_NS,
    Export,
    Ros,
    as_uint8,
    export,
    payload_of,
)

RAW = "foxglove_msgs/msg/RawAudio"
DATA = "audio_common_msgs/msg/AudioData"
STAMPED = "audio_common_msgs/msg/AudioDataStamped"
INFO = "audio_common_msgs/msg/AudioInfo"
RATE_HZ = 8_000
BLOCK = 80
BLOCK_NS = 10 * MS
BLOCKS = 100
CHANNELS = 2

# Sample format of the bag: bytes of a sample, and how a WAV names what it becomes.
FORMATS = {"s16le": (2, "s16le"), "s24le": (3, "s24le"), "s32le": (4, "s32le"), "f32le": (4, "f32le"), "u8": (1, "u8")}


def blocks_of(width: int, channels: int = CHANNELS, blocks: int = BLOCKS) -> np.ndarray:
    """Bytes of each block, uint8 (blocks, N)."""
    return np.random.default_rng(width).integers(0, 64, (blocks, BLOCK * channels * width), dtype=np.uint8)


def times(block: int) -> tuple[int, int]:
    """Start of a block and its log time: its end and a delay."""
    return START_NS + block * BLOCK_NS, START_NS + (block + 1) * BLOCK_NS + (block % 7) * MS // 10


def send_raw_audio(ros: Ros, block: int, data: np.ndarray, form: str, channels: int = CHANNELS) -> None:
    start_ns, log_ns = times(block)
    fields = {"format": form, "sample_rate": RATE_HZ, "number_of_channels": channels}
    ros.send(log_ns, "/mic", RAW, timestamp=ros.time(start_ns), data=as_uint8(data), **fields)


def send_data(ros: Ros, block: int, data: np.ndarray, topic: str = "/audio/audio") -> None:
    ros.send(times(block)[1], topic, DATA, data=as_uint8(data))


def exported(ros: Ros, tmp_path: Path, topic: str = "/mic", name: str = "", **setting: Any) -> Export:
    bag = ros.write(tmp_path / (name or ("a.bag" if ros.version == 1 else "a.mcap")))
    return export(bag, tmp_path / "out", {}, {"mic": {"topic": topic, **setting}})


@pytest.mark.parametrize("sample_format", FORMATS)
def test_samples_of_raw_audio_stand_in_the_wav_bit_by_bit(tmp_path: Path, sample_format: str) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    width, stored = FORMATS[sample_format]
    payload = blocks_of(width)
    for block, data in enumerate(payload):
        send_raw_audio(ros, block, data, f"pcm-{sample_format.removesuffix('le')}")
    made = exported(ros, tmp_path)
    samples = payload_of(made.folder / "mic.wav", stored, CHANNELS)
    assert samples.tobytes() == payload.tobytes()
    info = soundfile.info(made.folder / "mic.wav")
    assert (info.frames, info.channels, info.samplerate) == (BLOCKS * BLOCK, CHANNELS, RATE_HZ)
    assert abs(made.clock("mic").start_ns - START_NS) <= 1
    assert made.manifest["streams"]["mic"]["stamp"] == "block_start"


@pytest.mark.parametrize(("depth", "stored"), [(16, "s16le"), (24, "s24le"), (32, "s32le")])
def test_the_aviarys_fork_is_known_by_its_fields_and_stamped_at_the_end_of_a_block(
    tmp_path: Path, depth: int, stored: str
) -> None:
    ros = Ros(1, FORK)
    payload = blocks_of(depth // 8, channels=24)
    for block, data in enumerate(payload):
        form = ros.make("audio_common_msgs/msg/AudioFormat", id="x", rate=RATE_HZ, channels=24, depth=depth)
        end_ns = times(block)[1]
        ros.send(end_ns, "/mic", STAMPED, header=ros.header(end_ns), format=form, data=data)
    made = exported(ros, tmp_path)
    assert payload_of(made.folder / "mic.wav", stored, 24).tobytes() == payload.tobytes()
    assert soundfile.info(made.folder / "mic.wav").channels == 24
    assert abs(made.clock("mic").start_ns - START_NS) <= 1
    assert made.manifest["streams"]["mic"]["stamp"] == "block_end"


@pytest.mark.parametrize("name", ["S24_32LE", "FLOAT32LE", "MULAW"])
def test_samples_of_a_form_that_is_not_known_are_no_noise_but_a_failed_row(tmp_path: Path, name: str) -> None:
    ros = Ros(1, DRIVERS)
    info = {"channels": CHANNELS, "sample_rate": RATE_HZ, "sample_format": name, "bitrate": 0, "coding_format": "wave"}
    ros.send(START_NS, "/audio/audio_info", INFO, **info)
    for block, data in enumerate(blocks_of(2)):
        end_ns = times(block)[1]
        audio = ros.make(DATA, data=data)
        ros.send(end_ns, "/audio/audio_stamped", STAMPED, header=ros.header(end_ns), audio=audio)
    row = exported(ros, tmp_path, "/audio/audio_stamped").rows["mic"]
    assert (row.outcome, row.reason) == ("failed", "unsupported")
    assert f"its samples are `{name}`" in row.message


def test_the_drivers_audio_is_known_by_its_fields_and_takes_its_form_from_the_info_beside_it(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    payload = blocks_of(2)
    for block, data in enumerate(payload):
        end_ns = times(block)[1]
        audio = ros.make(DATA, data=data)
        ros.send(end_ns, "/audio/audio_stamped", STAMPED, header=ros.header(end_ns), audio=audio)
    info = {
        "channels": CHANNELS,
        "sample_rate": RATE_HZ,
        "sample_format": "S16LE",
        "bitrate": 0,
        "coding_format": "wave",
    }
    ros.send(START_NS + 500 * MS, "/audio/audio_info", INFO, **info)
    made = exported(ros, tmp_path, "/audio/audio_stamped")
    assert payload_of(made.folder / "mic.wav", "s16le", CHANNELS).tobytes() == payload.tobytes()
    assert made.clock("mic").nominal_rate_hz == RATE_HZ
    topics = {topic["name"]: topic for topic in made.manifest["topics"]}
    assert topics["/audio/audio_info"]["taken"]


@pytest.mark.parametrize(
    ("kind", "dtype", "stored"), [("float32", "<f4", "f32le"), ("int32", "<i4", "s32le"), ("int16", "<i2", "s16le")]
)
def test_the_third_audio_common_msgs_is_known_by_its_fields(tmp_path: Path, kind: str, dtype: str, stored: str) -> None:
    ros = Ros(2, MULTI)
    samples = np.random.default_rng(0).integers(-9_000, 9_000, (BLOCKS, BLOCK * CHANNELS)).astype(dtype)
    for block, data in enumerate(samples):
        end_ns = times(block)[1]
        arrays: dict[str, Any] = {
            f"{name}_data": np.array([], np.dtype(name)) for name in ("float32", "int32", "int16", "int8", "uint8")
        }
        arrays[f"{kind}_data"] = data
        info = ros.make(INFO, format=8, channels=CHANNELS, rate=RATE_HZ, chunk=BLOCK)
        audio = ros.make("audio_common_msgs/msg/Audio", audio_data=ros.make(DATA, **arrays), info=info)
        ros.send(end_ns, "/mic", "audio_common_msgs/msg/AudioStamped", header=ros.header(end_ns), audio=audio)
    made = exported(ros, tmp_path)
    assert payload_of(made.folder / "mic.wav", stored, CHANNELS).tobytes() == samples.tobytes()
    assert abs(made.clock("mic").start_ns - START_NS) <= 1


@pytest.mark.parametrize(
    ("sample_format", "change"),
    [("S16BE", lambda data: data.view(">i2").astype("<i2")), ("s8", lambda data: data ^ np.uint8(0x80))],
)
def test_samples_that_no_wav_holds_are_turned_into_those_it_does(
    tmp_path: Path, sample_format: str, change: Any
) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    payload = blocks_of(2)
    for block, data in enumerate(payload):
        send_raw_audio(ros, block, data, sample_format)
    made = exported(ros, tmp_path)
    assert (made.folder / "mic.wav").read_bytes()[104:] == change(payload).tobytes()


def test_the_rig_says_what_the_bag_does_not(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    for block, data in enumerate(blocks_of(3)):
        send_data(ros, block, data)
    setting = {"rate_hz": RATE_HZ, "channels": CHANNELS, "sample_format": "s24le"}
    made = exported(ros, tmp_path, "/audio/audio", **setting)
    assert made.clock("mic").samples == BLOCKS * BLOCK
    assert abs(made.clock("mic").start_ns - START_NS) <= 1
    assert made.manifest["streams"]["mic"]["stamps"] == {"log_times": BLOCKS}


def test_a_sound_of_unknown_rate_is_a_failed_row_that_says_what_to_add(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    send_data(ros, 0, blocks_of(2)[0])
    made = exported(ros, tmp_path, "/audio/audio")
    assert made.rows["mic"].reason == "no_format"
    assert "give rate_hz and channels in the rig" in made.rows["mic"].message
    assert made.is_empty("mic")


def test_a_rate_that_no_sound_has_is_a_failed_row(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    for block, data in enumerate(blocks_of(2)):
        send_data(ros, block, data)
    made = exported(ros, tmp_path, "/audio/audio", rate_hz=2**31 - 1, channels=1, sample_format="s16le")
    assert made.rows["mic"].reason == "bad_rate"
    assert made.is_empty("mic")


def test_mp3_in_the_same_messages_is_not_taken_for_samples(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    for block in range(10):
        send_data(ros, block, np.r_[np.array([0xFF, 0xF3, 0x84, 0xC4], np.uint8), blocks_of(2)[block]])
    made = exported(ros, tmp_path, "/audio/audio", rate_hz=RATE_HZ, channels=1)
    assert "mp3" in made.rows["mic"].message
    assert made.rows["mic"].reason == "undecodable" or made.manifest["streams"]["mic"]["dropped"]["undecodable"] > 5
    (tmp_path / "told").mkdir()
    told = exported(ros, tmp_path / "told", "/audio/audio", rate_hz=RATE_HZ, channels=1, sample_format="s16le")
    assert told.rows["mic"].outcome == "written"


def test_blocks_of_another_form_are_left_out_and_counted(tmp_path: Path) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    for block, data in enumerate(blocks_of(2)):
        send_raw_audio(ros, block, data, "pcm-s16", channels=1 if block == 50 else CHANNELS)
    made = exported(ros, tmp_path)
    assert made.manifest["streams"]["mic"]["dropped"] == {"of another format": 1}
    (gap,) = made.clock("mic").gaps
    assert (gap.start_sample, gap.stop_sample) == (50 * BLOCK, 51 * BLOCK)


def test_what_follows_a_hole_keeps_its_samples_and_its_time(tmp_path: Path) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    payload = blocks_of(2)
    for block, data in enumerate(payload):
        if not 30 <= block < 40 and not 60 <= block < 61:
            send_raw_audio(ros, block, data, "pcm-s16")
    made = exported(ros, tmp_path)
    samples = payload_of(made.folder / "mic.wav", "s16le", CHANNELS).reshape(BLOCKS, -1)
    payload[30:40] = 0
    payload[60] = 0
    assert samples.tobytes() == payload.tobytes()
    assert made.rows["mic"].value == BLOCKS * BLOCK
    assert "holes filled with zeros: 2, 0.110 s in all" in made.rows["mic"].message


@pytest.mark.parametrize(
    "wrong", [{50: 51, 51: 50}, {50: 0}, {50: 20}, {98: 99, 99: 98}, {99: 97}, {30: 31, 31: 30, 70: 40}]
)
def test_a_stamp_out_of_order_moves_no_clock(tmp_path: Path, wrong: dict[int, int]) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    for block, data in enumerate(blocks_of(2)):
        start_ns, log_ns = times(wrong.get(block, block))[0], times(block)[1]
        fields = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": CHANNELS}
        ros.send(log_ns, "/mic", RAW, timestamp=ros.time(start_ns), data=as_uint8(data), **fields)
    made = exported(ros, tmp_path)
    clock = made.clock("mic")
    assert abs(clock.start_ns - START_NS) < MS // 10
    assert len(clock.segments) == 1
    assert not clock.gaps
    assert made.manifest["streams"]["mic"]["stamps"]["stamps_out_of_order"] == (2 if len(wrong) == 3 else 1)


def test_the_latency_of_a_device_is_taken_off(tmp_path: Path) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    for block, data in enumerate(blocks_of(2)):
        send_raw_audio(ros, block, data, "pcm-s16")
    assert abs(exported(ros, tmp_path, latency_ms=4.0).clock("mic").start_ns - (START_NS - 4 * MS)) <= 1


def test_only_the_wanted_part_of_a_sound_is_exported(tmp_path: Path) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    for block, data in enumerate(blocks_of(2)):
        send_raw_audio(ros, block, data, "pcm-s16")
    bag = ros.write(tmp_path / "a.db3")
    made = export(bag, tmp_path / "out", {}, {"mic": "/mic"}, start_s=0.2, stop_s=0.5)
    assert made.clock("mic").samples == 30 * BLOCK
    assert abs(made.clock("mic").start_ns - (START_NS + 200 * MS)) <= BLOCK_NS


def test_two_microphones_may_share_a_topic(tmp_path: Path) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    for block, data in enumerate(blocks_of(2)):
        send_raw_audio(ros, block, data, "pcm-s16")
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {}, {"left": "/mic", "right": "/mic"})
    assert (made.folder / "left.wav").read_bytes() == (made.folder / "right.wav").read_bytes()


# -------------------------------------------------------------------------------------------------- public bags


def test_the_public_tone_of_300_hz_is_one(data: Path, tmp_path: Path) -> None:
    microphones = {"voice": {"topic": "/audio", "rate_hz": 16_000, "channels": 1}}
    made = export(data / "bags" / "jsk_audio_300hz.bag", tmp_path, {}, microphones)
    sound, rate_hz = soundfile.read(tmp_path / "voice.wav")
    assert (len(sound), rate_hz, made.clock("voice").samples) == (238 * 1_024, 16_000, 238 * 1_024)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(np.argmax(spectrum) * rate_hz / len(sound) - 300) < 1
    assert abs(made.clock("voice").drift_ppm) < 200


def test_public_blocks_that_come_in_bursts_leave_no_hole(data: Path, tmp_path: Path) -> None:
    microphones = {"voice": {"topic": "/audio", "rate_hz": 44_100, "channels": 2, "sample_format": "s16le"}}
    made = export(data / "bags" / "jsk_applause.bag", tmp_path, {}, microphones)
    clock = made.clock("voice")
    assert clock.samples == 1_603 * 441
    assert not clock.gaps
    assert len(clock.segments) == 1
    assert abs(clock.drift_ppm) < 100
    residual_ms = np.array(made.manifest["streams"]["voice"]["residuals"])[:, 1]
    assert residual_ms.min() >= 0
    assert 30 < residual_ms.max() < 50
