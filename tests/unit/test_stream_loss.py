"""Where no counter travels with the packets, the stream itself says what is lost."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from scripts.sources.annex_b import is_keyframe
from scripts.sources.bit_reader import BitReader, HeaderError
from scripts.sources.h264_loss import H264Loss, SequenceSet, read_sequence
from scripts.sources.hevc_loss import HevcLoss
from tests.unit.bag_maker import (
    MS,
    PACKET,
    PACKET2,
    PERIOD_NS,
    START_NS,
    VIDEO,
    Export,
    Ros,
    as_uint8,
    encode,
    export,
    send_packet,
)

COMPRESSED_VIDEO = "foxglove_msgs/msg/CompressedVideo"
SIZE = (128, 96)
GOP = 20
LOSS: dict[str, type[H264Loss | HevcLoss]] = {"h264": H264Loss, "hevc": HevcLoss}
STREAMS = {
    "h264-plain": ("h264", "ultrafast", 0, ""),
    "h264-references": ("h264", "slow", 0, "ref=5"),
    "h264-pyramid": ("h264", "medium", 3, "b-pyramid=normal"),
    "h264-no-pyramid": ("h264", "medium", 2, "b-pyramid=none"),
    "h264-slices": ("h264", "fast", 2, "slices=4"),
    "h264-refresh": ("h264", "medium", 0, "intra-refresh=1"),
    "h264-open": ("h264", "medium", 3, "open-gop=1"),
    "h264-interlaced": ("h264", "medium", 2, "interlaced=1"),
    "h264-scaling": ("h264", "medium", 2, "cqm=jvt:aud=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"),
    "hevc-plain": ("hevc", "ultrafast", 0, ""),
    "hevc-references": ("hevc", "slow", 0, "ref=5"),
    "hevc-pyramid": ("hevc", "medium", 4, "b-pyramid=1"),
    "hevc-no-pyramid": ("hevc", "medium", 3, "b-pyramid=0"),
    "hevc-open": ("hevc", "medium", 5, "open-gop=1:b-adapt=0"),
    "hevc-slices": ("hevc", "medium", 2, "slices=2:ctu=16"),
    "hevc-refresh": ("hevc", "medium", 0, "intra-refresh=1"),
    "hevc-layers": ("hevc", "medium", 3, "temporal-layers=3"),
    "hevc-scaling": ("hevc", "medium", 2, "scaling-list=default:aud=1:hrd=1:vbv-maxrate=500:vbv-bufsize=500"),
}
# Annex B, number in display order, keyframe.
Packets = list[tuple[bytes, int, bool]]


def drawn(number: int, size: tuple[int, int]) -> np.ndarray:
    """A texture on its way, so that no picture is like the one before."""
    rng = np.random.default_rng(7)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (300, 300, 3), dtype=np.uint8), (0, 0), 2)
    left, top = round(80 + 70 * np.sin(number / 5)), round(80 + 70 * np.cos(number / 7))
    return np.ascontiguousarray(texture[top : top + size[1], left : left + size[0]])


def stream(name: str, count: int = 3 * GOP) -> Packets:
    codec, preset, b_frames, params = STREAMS[name]
    made = encode(codec, count, gop=GOP, b_frames=b_frames, size=SIZE, draw=drawn, preset=preset, params=params)
    # Encoders flag more than the keyframes that a decoder can begin with.
    return [(data, number, is_keyframe(memoryview(data), codec)) for data, number, _ in made]


def shown(codec: str, packets: Packets) -> dict[int, np.ndarray]:
    """What a decoder makes of packets: number -> picture."""
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    pictures = []
    for data, number, _ in [*packets, (b"", 0, False)]:
        packet = av.Packet(data) if data else None
        if packet is not None:
            packet.pts = number
        try:
            pictures += context.decode(packet)
        except av.FFmpegError:
            continue
    return {picture.pts: picture.to_ndarray(format="gray") for picture in pictures}


def tainted(codec: str, packets: Packets) -> tuple[set[int], int]:
    """The numbers of the tainted pictures, and how many packets are said to be lost."""
    loss = LOSS[codec]()
    numbers = {number for data, number, _ in packets if loss.take(memoryview(data))}
    return numbers, loss.lost


def leaning(packets: Packets, lost: set[int]) -> set[int]:
    """What is decoded after a lost packet up to the next keyframe, and what is shown before that, but decoded later."""
    found, damaged, lead, key_number = set(), False, False, 0
    for place, (_, number, key) in enumerate(packets):
        if place in lost:
            damaged = True
        elif key:
            lead, damaged, key_number = damaged, False, number
        elif damaged or (lead and number < key_number):
            found.add(number)
    return found


@pytest.mark.parametrize("name", STREAMS)
def test_what_decodes_otherwise_is_tainted_and_a_whole_stream_never(name: str) -> None:
    codec = STREAMS[name][0]
    packets = stream(name)
    assert tainted(codec, packets) == (set(), 0)
    true = shown(codec, packets)
    assert len(true) == len(packets)
    keys = [place for place, (_, _, key) in enumerate(packets) if key and place]
    for lost in [*({place} for place in (3, 4, 5, 17, *keys[:1])), {6, 7, 8}, {keys[-1], 2} if keys else {2}]:
        left = [packet for place, packet in enumerate(packets) if place not in lost]
        seen = shown(codec, left)
        wrong = {n for _, n, _ in left if n not in seen or not np.array_equal(seen[n], true[n])}
        found, count = tainted(codec, left)
        assert wrong <= found
        assert bool(found) == bool(count)
        assert count <= len(lost)
        assert found <= leaning(packets, lost)


def open_gops() -> tuple[Packets, list[int]]:
    """An hevc stream whose keyframes are followed by pictures that are shown before them, and those of the second."""
    packets = stream("hevc-open")
    second, third = [place for place, (_, _, key) in enumerate(packets) if key][1:3]
    key_number = packets[second][1]
    leading = [number for _, number, _ in packets[second:third] if number < key_number]
    assert leading
    return packets[second:], leading


def test_what_is_shown_before_the_keyframe_of_entry_is_tainted_and_nothing_lost() -> None:
    packets, leading = open_gops()
    assert not set(leading) & set(shown("hevc", packets))
    assert tainted("hevc", packets) == (set(leading), 0)
    # What is lost behind it still counts, the next keyframe, too.
    behind = [place for place, (_, number, _) in enumerate(packets) if place and number > packets[0][1]]
    for place in (behind[0], next(place for place in behind if packets[place][2])):
        found, count = tainted("hevc", packets[:place] + packets[place + 1 :])
        assert count == 1
        assert found > set(leading)


def test_where_two_streams_are_joined_what_leans_on_the_missing_one_is_tainted_and_nothing_lost() -> None:
    packets, leading = open_gops()
    first, broken_link = packets[0][0], 16 << 1
    head = first.index(b"\0\0\1" + bytes([21 << 1])) + 3
    joined = first[:head] + bytes([broken_link]) + first[head + 1 :]
    before = [(data, number - 1000, key) for data, number, key in stream("hevc-plain", GOP + 3)]
    together = [*before, (joined, *packets[0][1:]), *packets[1:]]
    assert tainted("hevc", together) == (set(leading), 0)


def foxglove(codec: str, packets: Packets, folder: Path) -> Export:
    ros = Ros(2, {COMPRESSED_VIDEO: VIDEO})
    for place, (data, number, _) in enumerate(packets):
        fields = {"timestamp": ros.time(START_NS + number * PERIOD_NS), "frame_id": "", "data": as_uint8(data)}
        log_ns = START_NS + (place + 3) * PERIOD_NS
        ros.send(log_ns, "/cam", COMPRESSED_VIDEO, **fields, format={"hevc": "h265"}.get(codec, codec))
    return export(ros.write(folder / "a.mcap"), folder / "out", {"cam": "/cam"})


def tainted_numbers(made: Export) -> list[int]:
    frames = made.frames("cam")
    return [round(time_ns - START_NS) // PERIOD_NS for time_ns in frames.time_ns[frames.tainted].tolist()]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(
    ("lost", "wanted"),
    [((13,), range(14, 20)), ((18, 19), ()), ((5, 23), (6, 7, 8, 9, *range(24, 30))), ((10,), range(11, 20))],
)
def test_a_lost_packet_of_foxgloves_video_taints_up_to_the_next_keyframe(
    tmp_path: Path, codec: str, lost: tuple[int, ...], wanted: Iterable[int]
) -> None:
    made = foxglove(codec, [packet for packet in encode(codec, 30) if packet[1] not in lost], tmp_path)
    assert tainted_numbers(made) == list(wanted)
    # Of a GOP's end nothing is missed.
    found = 0 if lost == (18, 19) else len(lost)
    assert made.manifest["streams"]["cam"]["lost_packets"] == found
    said = "it has no pts that count: packets that no other picture leans on may be lost, too"
    assert (said in (made.rows["cam"].message or "")) == bool(found)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_lost_picture_that_no_other_leans_on_taints_nothing(tmp_path: Path, codec: str) -> None:
    packets = encode(codec, 30, b_frames=2, params="b-pyramid=0")
    # Decoded 0 3 1 2: 2 is a B-frame.
    assert [number for _, number, _ in packets[:4]] == [0, 3, 1, 2]
    made = foxglove(codec, [packet for packet in packets if packet[1] != 2], tmp_path)
    assert (tainted_numbers(made), made.manifest["streams"]["cam"]["lost_packets"]) == ([], 0)
    assert len(made.decode("cam")) == 29


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_pts_that_never_counts_is_as_none(tmp_path: Path, codec: str) -> None:
    ros = Ros(2, {PACKET: PACKET2})
    for data, number, key in encode(codec, 30):
        if number != 13:
            stamp_ns = START_NS + number * PERIOD_NS
            send_packet(ros, stamp_ns + 5 * MS, stamp_ns, data, 0, key, f"{codec};yuv420p;bgr8;bgr8")
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {"cam": "/cam"})
    assert tainted_numbers(made) == list(range(14, 20))
    assert made.manifest["streams"]["cam"]["lost_packets"] == 1


def test_videos_of_real_cameras_and_phones_have_lost_nothing(data: Path) -> None:
    seen = set()
    for path in [*sorted(data.glob("video/**/*.mp4")), *sorted(data.glob("faces/**/*.m[op][v4]"))]:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            codec = video.codec_context.name
            if codec not in LOSS:
                continue
            annex_b = av.BitStreamFilterContext(f"{codec}_mp4toannexb", video)
            packets = [one for packet in container.demux(video) for one in annex_b.filter(packet)]
            loss = LOSS[codec]()
            assert not any(loss.take(memoryview(bytes(packet))) for packet in packets if packet.size), path
            seen.add(codec)
    assert seen == {"h264", "hevc"}


def bits(*fields: tuple[int, int] | int) -> bytes:
    """Bits of a header with the stop bit: (value, width), or the value of an Exp-Golomb number."""
    text = ""
    for field in fields:
        value, width = field if isinstance(field, tuple) else (field + 1, 2 * (field + 1).bit_length() - 1)
        text += f"{value:0{width}b}"
    text += "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def made_stream(frame_nums: list[tuple[int, int]], *, gaps_allowed: int) -> list[memoryview]:
    """Packets of a Baseline stream whose frame_num has 4 bits: (nal_ref_idc, frame_num); the first one is IDR."""
    # profile 66, level 3.0, set 0; frame_num of 4 bits, display order by type 2, one reference picture.
    sets = b"\0\0\1\x67" + bits((66, 8), (0, 8), (30, 8), 0, 0, 2, 1, (gaps_allowed, 1)) + b"\0\0\1\x68" + bits(0, 0)
    packets = []
    for place, (reference, frame_num) in enumerate(frame_nums):
        head = bytes([reference << 5 | (1 if place else 5)])
        packets.append((b"" if place else sets) + b"\0\0\1" + head + bits(0, 5, 0, (frame_num, 4)) + bytes(8))
    return [memoryview(packet) for packet in packets]


@pytest.mark.parametrize(
    ("frame_nums", "wanted"),
    [
        ([(3, 0), (2, 1), (2, 2), (2, 3)], []),
        ([(3, 0), (2, 1), (2, 3), (2, 4)], [2, 3]),
        ([(3, 0), *((2, number % 16) for number in range(1, 40))], []),
        # Two fields, each in a packet of its own, or two slices.
        ([(3, 0), (2, 1), (2, 1), (2, 2), (2, 2)], []),
        # Pictures that no other leans on have the number that follows, and the next one has it, too.
        ([(3, 0), (0, 1), (0, 1), (2, 1), (0, 2), (2, 2)], []),
        ([(3, 0), (0, 1), (2, 2), (2, 3)], [2, 3]),
    ],
    ids=["whole", "lost", "wrapped", "fields", "leaves", "lost before a leaf"],
)
def test_frame_num_counts_reference_pictures(frame_nums: list[tuple[int, int]], wanted: list[int]) -> None:
    loss = H264Loss()
    packets = made_stream(frame_nums, gaps_allowed=0)
    assert [place for place, packet in enumerate(packets) if loss.take(packet)] == wanted
    assert loss.lost == bool(wanted)


def test_where_gaps_are_allowed_a_hole_is_no_loss_but_counted() -> None:
    loss = H264Loss()
    packets = made_stream([(3, 0), (2, 2), (2, 4), (2, 5)], gaps_allowed=1)
    assert not any(loss.take(packet) for packet in packets)
    assert (loss.lost, loss.holes_allowed) == (0, 2)


def allowing_gaps(keyframe: bytes) -> bytes:
    """The keyframe with the one bit of its sequence set flipped that allows gaps in frame_num."""
    start = keyframe.index(b"\0\0\1\x67") + 3
    unit = keyframe[start : keyframe.index(b"\0\0\1", start)]
    wanted = replace(read_sequence(unit), gaps_allowed=True)
    whole = int.from_bytes(unit, "big")
    flipped = [(whole ^ 1 << bit).to_bytes(len(unit), "big") for bit in range(8 * len(unit) - 8)]
    # It is the last bit of all that are read.
    changed = next(one for one in flipped if read_safely(one) == wanted)
    return keyframe[:start] + changed + keyframe[start + len(unit) :]


def read_safely(unit: bytes) -> SequenceSet | None:
    try:
        return read_sequence(unit)
    except HeaderError:
        return None


def test_the_row_says_where_holes_may_be_lost_packets_or_not(tmp_path: Path) -> None:
    packets = [packet for packet in encode("h264", 30) if packet[1] != 13]
    made = foxglove("h264", [(allowing_gaps(data) if key else data, n, key) for data, n, key in packets], tmp_path)
    assert (tainted_numbers(made), made.manifest["streams"]["cam"]["lost_packets"]) == ([], 0)
    assert made.rows["cam"].message == "its frame_num has holes, as it may: 1; whether packets are lost is not known"


def test_what_cannot_be_read_is_never_called_a_loss() -> None:
    packets = made_stream([(3, 0), (2, 1), (2, 5), (2, 9)], gaps_allowed=0)
    for first in (b"\0\0\1\x65\x80", b""):
        loss = H264Loss()
        assert not any(loss.take(memoryview(data)) for data in (first, *packets[1:]))
        assert loss.lost == 0
    hevc = HevcLoss()
    assert not any(hevc.take(memoryview(data)) for data, _, _ in encode("hevc", 12)[1:])


def test_bits_are_read_without_the_bytes_that_keep_start_codes_out() -> None:
    reader = BitReader(bytes([0, 0, 3, 1, 0b1_010_011_0, 0b001000_00, 0b101_00000]))
    assert reader.u(24) == 1
    assert [reader.ue() for _ in range(4)] == [0, 1, 2, 7]
    assert reader.se() == -2
    with pytest.raises(HeaderError):
        reader.ue()


@pytest.mark.parametrize("name", ["h264-scaling", "hevc-layers"])
def test_damaged_headers_stop_nothing(name: str) -> None:
    rng = np.random.default_rng(3)
    packets = [data[:200] for data, _, _ in stream(name, GOP)]
    for _ in range(30):
        loss = LOSS[STREAMS[name][0]]()
        for data in packets:
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
            assert loss.take(memoryview(damaged.tobytes()[: rng.integers(1, 200)])) in (True, False)
