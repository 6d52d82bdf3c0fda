"""The small parts of reading a bag: fields of messages, keyframes, losses, times."""

import io
import struct
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import get_types_from_msg

from scripts.sources.annex_b import codec_of, head, is_keyframe, parameter_sets
from scripts.sources.carriers import recognise
from scripts.sources.message_layout import CorruptMessageError, Leaf, compile_reader, list_leaves, text
from scripts.sources.packet_loss import find_loss
from scripts.sources.picture_times import PictureTimes
from scripts.sources.sound_form import format_named, is_mp3
from scripts.sources.still_streams import jpeg_size
from tests.unit.bag_maker import DRIVERS, FORK, MULTI, PACKET, PACKET1, PACKET2, RAW_AUDIO, VIDEO, Ros, encode

MIXED = """\
std_msgs/Header header
bool flag
float64 real
string[] names
"""
PLAIN = """\
std_msgs/Header header
uint8 small
float64 real
string word
int16[3] three
float32[] many
uint64 last
"""


@cache
def plain_ros(version: int) -> Ros:
    return Ros(version, {"x/msg/Plain": PLAIN})


def plain_message(ros: Ros, word: str, many: list[float], last: int) -> bytes:
    message = ros.make(
        "x/msg/Plain",
        header=ros.header(1_700_000_000_123_456_789),
        small=7,
        real=2.5,
        word=word,
        three=np.array([1, -2, 3], np.int16),
        many=np.array(many, np.float32),
        last=last,
    )
    serialize = ros.store.serialize_ros1 if ros.version == 1 else ros.store.serialize_cdr
    return bytes(serialize(message, "x/msg/Plain"))


@given(
    version=st.sampled_from([1, 2]),
    word=st.text(max_size=20).filter(lambda t: "\0" not in t),
    many=st.lists(st.floats(-8, 8, width=16), max_size=9),
    last=st.integers(0, 2**64 - 1),
)
def test_fields_are_read_as_rosbags_writes_them(version: int, word: str, many: list[float], last: int) -> None:
    ros = plain_ros(version)
    leaves = list_leaves(ros.store.fielddefs, "x/msg/Plain")
    wanted = ("last", "many", "word", "real", "header.stamp.nanosec", "small")
    read = compile_reader(leaves, wanted, cdr=version == 2)
    values: list[Any] = list(read(plain_message(ros, word, many, last)))
    assert values[0] == last
    assert np.frombuffer(values[1], np.float32).tolist() == many
    assert text(values[2]) == word
    assert values[3:] == [2.5, 123_456_789, 7]


@pytest.mark.parametrize("version", [1, 2])
def test_a_message_cut_short_is_corrupt_wherever_it_is_cut(version: int) -> None:
    ros = plain_ros(version)
    read = compile_reader(list_leaves(ros.store.fielddefs, "x/msg/Plain"), ("last",), cdr=version == 2)
    whole = plain_message(ros, "word", [1.0, 2.0], 5)
    assert read(whole) == (5,)
    for length in range(len(whole)):
        with pytest.raises(CorruptMessageError):
            read(whole[:length])


def test_big_endian_messages_of_ros2_are_read() -> None:
    read = compile_reader([Leaf("a", "uint8"), Leaf("b", "uint32")], ("b",), cdr=True)
    assert read(b"\0\0\0\0" + struct.pack(">BxxxI", 1, 70_000)) == (70_000,)
    assert read(b"\0\1\0\0" + struct.pack("<BxxxI", 1, 70_000)) == (70_000,)


def test_fields_behind_one_that_cannot_be_passed_are_not_offered() -> None:
    types = get_types_from_msg(MIXED, "x/msg/Mixed")
    types |= get_types_from_msg("time stamp\nstring frame_id\n", "std_msgs/msg/Header")
    assert [leaf.path for leaf in list_leaves(types, "x/msg/Mixed")][-2:] == ["flag", "real"]


@pytest.mark.parametrize(
    ("kind", "definitions", "version", "carrier"),
    [
        (PACKET, {PACKET: PACKET1}, 1, "packet"),
        (PACKET, {PACKET: PACKET2}, 2, "packet"),
        ("foxglove_msgs/msg/CompressedVideo", {"foxglove_msgs/msg/CompressedVideo": VIDEO}, 2, "compressed"),
        ("sensor_msgs/msg/CompressedImage", {}, 1, "compressed"),
        ("sensor_msgs/msg/Image", {}, 2, "image"),
        ("foxglove_msgs/msg/RawAudio", {"foxglove_msgs/msg/RawAudio": RAW_AUDIO}, 2, "pcm"),
        ("audio_common_msgs/msg/AudioDataStamped", FORK, 1, "pcm"),
        ("audio_common_msgs/msg/AudioDataStamped", DRIVERS, 1, "pcm"),
        ("audio_common_msgs/msg/AudioData", DRIVERS, 2, "pcm"),
        ("audio_common_msgs/msg/AudioInfo", DRIVERS, 1, "sound_info"),
        ("audio_common_msgs/msg/AudioData", MULTI, 2, "multi_pcm"),
        ("audio_common_msgs/msg/AudioStamped", MULTI, 2, "multi_pcm"),
        ("audio_common_msgs/msg/AudioInfo", MULTI, 2, "sound_info"),
        ("sensor_msgs/msg/PointCloud2", {}, 1, None),
        ("std_msgs/msg/String", {}, 2, None),
        ("nav_msgs/msg/Odometry", {}, 1, None),
    ],
)
def test_what_a_topic_carries_is_known_by_its_fields(
    kind: str, definitions: dict[str, str], version: int, carrier: str | None
) -> None:
    found = recognise(list_leaves(Ros(version, definitions).store.fielddefs, kind))
    assert (found and found.kind) == carrier


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("libx264", "h264"),
        ("h264_nvenc", "h264"),
        ("libx265", "hevc"),
        ("hevc_vaapi", "hevc"),
        ("h264;yuv420p;bgr8;bgr8", "h264"),
        ("hevc/yuv420p", "hevc"),
        ("H265", "hevc"),
        ("av1", None),
        ("", None),
    ],
)
def test_a_codec_is_known_by_its_name_or_its_encoders(name: str, codec: str | None) -> None:
    assert codec_of(name) == codec


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_keyframes_are_seen_in_the_packets(codec: str) -> None:
    packets = encode(codec, 25, b_frames=2)
    assert [is_keyframe(memoryview(data), codec) for data, _, _ in packets] == [key for _, _, key in packets]
    sets = [parameter_sets(memoryview(data), codec) for data, _, _ in packets]
    assert [bool(found) for found in sets] == [key for _, _, key in packets]
    assert len({found for found in sets if found}) == 1


def losses(counters: list[int], keys: list[int]) -> tuple[list[int], int]:
    loss = find_loss(np.array(counters), np.isin(counters, keys))
    return [counters[k] for k in np.flatnonzero(loss.tainted)], loss.lost


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_head_of_a_keyframe_tells_all_that_the_whole_does(codec: str) -> None:
    context: Any = av.CodecContext.create({"h264": "libx264", "hevc": "libx265"}[codec], "w")
    context.width, context.height, context.pix_fmt, context.time_base = 640, 480, "yuv444p", Fraction(1, 25)
    context.options = {"preset": "ultrafast", "x265-params": "log-level=none:repeat-headers=1"}
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    packets = context.encode(av.VideoFrame.from_ndarray(noise, format="bgr24").reformat(format="yuv444p"))
    data = memoryview(bytes((packets + context.encode(None))[0]))
    seen = []
    for part in (data, head(data, codec)):
        with av.open(io.BytesIO(part), "r", format=codec) as container:
            of = container.streams.video[0].codec_context
            seen.append((of.width, of.height, of.pix_fmt, of.profile, of.reorder_depth, of.extradata))
    assert len(head(data, codec)) < len(data) / 4
    assert seen[0] == seen[1]


def test_a_lost_packet_taints_what_is_decoded_after_it_up_to_the_next_keyframe() -> None:
    assert losses([0, 1, 2, 4, 5, 6, 7], [0, 6]) == ([4, 5], 1)
    assert losses([0, 1, 2, 3, 4, 6, 7], [0, 6]) == ([], 1)
    assert losses([0, 1, 2, 3, 4, 5, 6], [0, 6]) == ([], 0)
    assert losses([0, 1, 2, 7, 8], [0]) == ([7, 8], 4)


def test_with_b_frames_a_lost_anchor_taints_those_that_lean_on_it_too() -> None:
    # Decoded 0 3 1 2 | 6 4 5 | 9 7 8 | keyframe 12: 6 is lost.
    assert losses([0, 3, 1, 2, 4, 5, 9, 7, 8, 12], [0, 12]) == ([4, 5, 9, 7, 8], 3)


def test_a_damaged_counter_is_no_loss_of_millions() -> None:
    counter = np.arange(30)
    counter[12] = 2**60
    loss = find_loss(counter, np.arange(30) % 10 == 0)
    assert (loss.lost, int(loss.tainted.sum())) == (0, 0)


def test_an_encoder_that_begins_anew_has_lost_nothing() -> None:
    counters = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3])
    loss = find_loss(counters, np.array([True, False, False, False, False, True, False, False, False]))
    assert (loss.lost, loss.tainted.any()) == (0, False)


def test_a_counter_that_never_counts_says_nothing() -> None:
    loss = find_loss(np.zeros(9, np.int64), np.zeros(9, bool))
    assert (loss.lost, loss.tainted.any()) == (0, False)


def test_uneven_steps_are_times_and_not_counts() -> None:
    key = np.zeros(50, bool)
    times_us = np.arange(50) * 25_000 + np.random.default_rng(0).integers(0, 900, 50)
    assert not find_loss(times_us, key).counts_pictures
    assert find_loss(np.arange(50) * 2, key).counts_pictures


def test_a_clock_that_was_set_is_believed_after_a_while() -> None:
    times = PictureTimes("auto")
    hour_ns = 3_600 * 10**9
    chosen = [times.choose(k * 10**9 + (hour_ns if k >= 5 else 0), k * 10**9).time_ns for k in range(1, 30)]
    assert chosen[:4] == [k * 10**9 for k in range(1, 5)]
    assert chosen[-1] == 29 * 10**9 + hour_ns
    assert times.counts == {"unbelievable_stamps": 9, "clock_set": 1}


@pytest.mark.parametrize(
    ("head", "is_one"),
    [(b"\xff\xf3\x84\xc4", True), (b"\xff\xfb\x90\x64", True), (b"\xff\xff\xff\xff", False), (b"\1", False)],
)
def test_mp3_is_known_by_the_header_of_its_frames(head: bytes, is_one: bool) -> None:
    assert is_mp3(memoryview(head)) is is_one


def test_sample_formats_have_many_names() -> None:
    assert {format_named(name) for name in ("S16LE", "pcm-s16", "s16", "int16")} == {"s16le"}
    assert format_named("S24_32LE") is None


def test_no_bytes_make_the_size_of_a_jpeg_fail() -> None:
    rng = np.random.default_rng(0)
    for length in range(60):
        noise = rng.integers(0, 256, length, np.uint8).tobytes()
        for data in (noise, b"\xff" * length):
            size = jpeg_size(memoryview(b"\xff\xd8" + data))
            assert size is None or len(size) == 2
