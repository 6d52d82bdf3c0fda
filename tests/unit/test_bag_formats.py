"""Every format that docs/sources.md promises, one test each: ids here are the first column of its table."""

import base64
import json
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from rushes.synthetic.sounds import add_beeps, find_beeps
from tests.unit.bag_maker import (
    COMPRESSED,
    IMAGE,
    MS,
    PACKET,
    PACKET1,
    PACKET2,
    PERIOD_NS,
    RAW_AUDIO,
    START_NS,
    VIDEO,
    Export,
    Ros,
    as_uint8,
    camera_of,
    encode,
    export,
    picture,
    send_compressed,
    send_image,
    send_packet,
    small_ros2,
)
from tests.unit.examples import REPO

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


# Containers: the same camera in each of them.

for name, compression in (("ros1-none", ""), ("ros1-lz4", "LZ4"), ("ros1-bz2", "BZ2")):

    @form(name)
    def _ros1(folder: Path, compression: str = compression) -> None:
        is_whole(exported(camera_of("h264", FRAMES).write(folder / "a.bag", compression), folder))


for name, ending in (("mcap-none", "mcap"), ("db3-none", "db3")):

    @form(name)
    def _ros2(folder: Path, ending: str = ending) -> None:
        is_whole(exported(small_ros2(FRAMES).write(folder / f"a.{ending}"), folder))


for name, plugin, mode in (
    ("mcap-zstd-file", StoragePlugin.MCAP, CompressionMode.FILE),
    ("mcap-zstd-message", StoragePlugin.MCAP, CompressionMode.MESSAGE),
    ("db3-zstd-file", StoragePlugin.SQLITE3, CompressionMode.FILE),
    ("db3-zstd-message", StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
):

    @form(name)
    def _compressed(folder: Path, plugin: StoragePlugin = plugin, mode: CompressionMode = mode) -> None:
        files = small_ros2(FRAMES).write_folder(folder / "bag", plugin, mode)
        made = export(files, folder / "out", {"cam": "/cam"})
        is_whole(made)


for name, chunks in (("mcap-lz4", "LZ4"), ("mcap-zstd", "ZSTD")):

    @form(name)
    def _chunks(folder: Path, chunks: str = chunks) -> None:
        is_whole(exported(as_mcap(small_ros2(FRAMES), folder / "a.mcap", chunks), folder))


def as_mcap(ros: Ros, path: Path, chunks: str, *, profile: str = "ros2", cut: float = 1.0) -> Path:
    """A bag of one topic as an mcap, written by the mcap library; cut: share of the file that is left."""
    from mcap.writer import CompressionType

    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType[chunks], chunk_size=2000)
        writer.start(profile, "test")
        schema = writer.register_schema(
            "ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "ros2msg", WHOLE_PACKET.encode()
        )
        channel = writer.register_channel("/cam", "cdr", schema)
        for log_ns, _, _, content in sorted(ros.sent, key=lambda message: message[0]):
            writer.add_message(channel, log_ns, content, log_ns)
        writer.finish()
    whole = path.read_bytes()
    path.write_bytes(whole[: round(len(whole) * cut)])
    return path


SEPARATOR = "=" * 80 + "\n"
WHOLE_PACKET = (
    f"{PACKET2}{SEPARATOR}MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
    f"{SEPARATOR}MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
)


@form("several-files")
def _several(folder: Path) -> None:
    ros = camera_of("h264", FRAMES)
    parts = []
    # Slices that overlap: two messages stand in both.
    for number, messages in enumerate((ros.sent[:8], ros.sent[6:])):
        part = camera_of("h264", 0)
        part.sent = list(messages)
        parts.append(part.write(folder / f"{number}.bag"))
    made = export(parts, folder / "out", {"cam": "/cam"})
    is_whole(made)
    assert "taken once: 2" in made.rows["cam"].message


# Video packets.

for version in (1, 2):
    for codec in ("h264", "hevc", "av1"):

        @form(f"FFMPEGPacket-ROS{version}-{codec}")
        def _packets(folder: Path, version: int = version, codec: str = codec) -> None:
            ros = Ros(version, {PACKET: PACKET1 if version == 1 else PACKET2})
            encoding = {"h264": "libx264", "hevc": "hevc_nvenc", "av1": "libsvtav1"}[codec]
            if version == 2:
                encoding = f"{codec};yuv420p;bgr8;bgr8"
            for data, number, key in encode(codec, FRAMES):
                stamp_ns = START_NS + number * PERIOD_NS
                send_packet(ros, stamp_ns + 5 * MS, stamp_ns, data, number, key, encoding)
            made = exported(ros.write(folder / ("a.bag" if version == 1 else "a.mcap")), folder)
            is_whole(made)
            assert (made.manifest["streams"]["cam"]["codec"], made.manifest["streams"]["cam"]["copied"]) == (
                codec,
                True,
            )
            assert np.flatnonzero(made.frames("cam").keyframe).tolist() == [0, 10]


@form("B-frames")
def _b_frames(folder: Path) -> None:
    is_whole(exported(small_ros2(FRAMES).write(folder / "a.mcap"), folder))


for codec, said in (("h264", "h264"), ("hevc", "h265"), ("av1", "av1"), ("vp9", "vp9")):

    @form(f"CompressedVideo-{said}")
    def _foxglove_video(folder: Path, codec: str = codec, said: str = said) -> None:
        ros = Ros(2, {f"{FOXGLOVE}CompressedVideo": VIDEO})
        for data, number, _ in encode(codec, FRAMES):
            stamp_ns = START_NS + number * PERIOD_NS
            fields = {"timestamp": ros.time(stamp_ns), "frame_id": "", "data": as_uint8(data), "format": said}
            ros.send(stamp_ns + MS, "/cam", f"{FOXGLOVE}CompressedVideo", **fields)
        made = exported(ros.write(folder / "a.mcap"), folder)
        is_whole(made)
        assert made.manifest["streams"]["cam"]["codec"] == codec


# Raw images: bit by bit where they are stored without loss.

RNG = np.random.default_rng(3)
SHAPE = (10, 16)


def noise(*shape: int, kind: Any = np.uint8) -> np.ndarray:
    top = np.iinfo(kind).max
    return RNG.integers(0, top, shape, dtype=kind, endpoint=True)


def layout_of(made: Export, layout: str) -> list[np.ndarray]:
    with av.open(str(made.folder / "cam.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
        return [frame.to_ndarray(format=layout) for frame in container.decode(video=0)]


EXACT = {
    "bgr8": ((*SHAPE, 3), np.uint8, "bgr24"),
    "rgb8": ((*SHAPE, 3), np.uint8, "rgb24"),
    "bgra8": ((*SHAPE, 4), np.uint8, "bgra"),
    "rgba8": ((*SHAPE, 4), np.uint8, "rgba"),
    "8UC3": ((*SHAPE, 3), np.uint8, "bgr24"),
    "mono8": (SHAPE, np.uint8, "gray"),
    "8UC1": (SHAPE, np.uint8, "gray"),
    **{f"bayer_{order}8": (SHAPE, np.uint8, "gray") for order in ("rggb", "bggr", "gbrg", "grbg")},
    "mono16": (SHAPE, np.uint16, "gray16le"),
    "16UC1": (SHAPE, np.uint16, "gray16le"),
    "rgb16": ((*SHAPE, 3), np.uint16, "rgb48le"),
    "bgr16": ((*SHAPE, 3), np.uint16, "bgr48le"),
    "rgba16": ((*SHAPE, 4), np.uint16, "rgba64le"),
    "bgra16": ((*SHAPE, 4), np.uint16, "bgra64le"),
    **{f"bayer_{order}16": (SHAPE, np.uint16, "gray16le") for order in ("rggb", "bggr", "gbrg", "grbg")},
}
for encoding, (shape, kind, layout) in EXACT.items():

    @form(f"Image-{encoding}")
    def _raw(
        folder: Path, encoding: str = encoding, shape: Any = shape, kind: Any = kind, layout: str = layout
    ) -> None:
        images = [noise(*shape, kind=kind) for _ in range(3)]
        ros = Ros(1)
        for index, image in enumerate(images):
            send_image(ros, index, image.view(np.uint8), encoding, padding=6)
            # send_image counts bytes as columns: the size is that of the pixels.
            fix_width(ros, shape[1])
        bag = ros.write(folder / "a.bag")
        made = exported(bag, folder, raw="lossless")
        assert made.rows["cam"].outcome == "written", made.rows["cam"].message
        target = {"bgr48le": "rgb48le", "bgra64le": "rgba64le"}.get(layout, layout)
        shown = layout_of(made, target)
        flip = {"bgr48le": [2, 1, 0], "bgra64le": [2, 1, 0, 3]}.get(layout)
        for image, pixels in zip(images, shown, strict=True):
            assert np.array_equal(pixels, image[:, :, flip] if flip else image)
        assert made.manifest["streams"]["cam"]["pixels"]["encoding"] == encoding
        if kind == np.uint8:
            plain = export(bag, folder / "plain", {"cam": "/cam"})
            assert plain.manifest["streams"]["cam"]["codec"] == "h264"
            assert len(plain.decode("cam")) == 3


def fix_width(ros: Ros, width: int) -> None:
    """Write the true width into the last image: the pixels may be wider than a byte."""
    log_ns, topic, kind, content = ros.sent[-1]
    message = ros.store.deserialize_ros1(content, IMAGE)
    message.width = width
    ros.sent[-1] = (log_ns, topic, kind, bytes(ros.store.serialize_ros1(message, IMAGE)))


YUV = {
    "yuv422": "uyvy422", "yuv422_yuy2": "yuyv422", "uyvy": "uyvy422", "yuyv": "yuyv422",
    "nv12": "nv12", "nv21": "nv21", "nv24": "nv24",
}  # fmt: skip
for encoding, layout in YUV.items():

    @form(f"Image-{encoding}")
    def _yuv(folder: Path, encoding: str = encoding, layout: str = layout) -> None:
        frame = av.VideoFrame.from_ndarray(picture(64, 48), format="bgr24").reformat(format=layout)
        rows = [
            np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : 128 if wide else 64]
            for plane, wide in zip(frame.planes, [layout[0] in "uy", layout == "nv24"], strict=False)
        ]
        ros = Ros(2)
        for index in range(3):
            stamp_ns = START_NS + index * PERIOD_NS
            ros.send(
                stamp_ns + MS, "/cam", IMAGE, header=ros.header(stamp_ns), height=48, width=64, encoding=encoding,
                is_bigendian=0, step=rows[0].shape[1], data=as_uint8(b"".join(row.tobytes() for row in rows)),
            )  # fmt: skip
        made = exported(ros.write(folder / "a.mcap"), folder)
        assert made.rows["cam"].outcome == "written", made.rows["cam"].message
        for _, shown in made.decode("cam"):
            inner = np.abs(shown.astype(int) - picture(64, 48))[8:16, 8:24]
            assert inner.max() < 12


@form("Image-big-endian")
def _big_endian(folder: Path) -> None:
    image = noise(*SHAPE, kind=np.uint16)
    ros = Ros(1)
    send_image(ros, 0, image.astype(">u2").view(np.uint8), "mono16")
    log_ns, topic, kind, content = ros.sent[-1]
    message = ros.store.deserialize_ros1(content, IMAGE)
    message.width, message.is_bigendian = SHAPE[1], 1
    ros.sent[-1] = (log_ns, topic, kind, bytes(ros.store.serialize_ros1(message, IMAGE)))
    assert np.array_equal(layout_of(exported(ros.write(folder / "a.bag"), folder), "gray16le")[0], image)


for encoding, dtype in (("32FC1", "<f4"), ("64FC1", "<f8")):

    @form(f"Image-{encoding}")
    def _floats(folder: Path, encoding: str = encoding, dtype: str = dtype) -> None:
        depth = RNG.uniform(0.2, 9.0, SHAPE).astype(dtype)
        depth[0, :4] = [np.nan, np.inf, -1, 700]
        ros = Ros(1)
        send_image(ros, 0, depth.view(np.uint8), encoding)
        fix_width(ros, SHAPE[1])
        made = exported(ros.write(folder / "a.bag"), folder, float_unit="m")
        codes = layout_of(made, "gray16le")[0]
        pixels = made.manifest["streams"]["cam"]["pixels"]
        assert (pixels["unit"], pixels["no_value"], pixels["scale"]) == ("m", 0, pytest.approx(0.001))
        assert (codes[0, :4] == 0).all()
        values = pixels["offset"] + pixels["scale"] * codes.astype(float)
        known = np.isfinite(depth) & (depth > 0) & (depth < 60)
        assert np.abs(values - depth)[known].max() <= 0.00051
        assert "2 values lie outside of 0 to 65.534 m" in made.rows["cam"].message


@form("Image-padded-step")
def _padded(folder: Path) -> None:
    ros = Ros(1)
    for index in range(3):
        send_image(ros, index, picture(50, 40), "bgr8", padding=19)
    made = exported(ros.write(folder / "a.bag"), folder, raw="lossless")
    assert all(np.array_equal(shown, picture(50, 40)) for shown in layout_of(made, "bgr24"))


@form("foxglove-RawImage")
def _raw_image(folder: Path) -> None:
    ros = Ros(2, {f"{FOXGLOVE}RawImage": RAW_IMAGE})
    for index in range(3):
        stamp_ns = START_NS + index * PERIOD_NS
        ros.send(
            stamp_ns + MS, "/cam", f"{FOXGLOVE}RawImage", timestamp=ros.time(stamp_ns), frame_id="", width=64,
            height=48, encoding="rgb8", step=192, data=as_uint8(picture()[:, :, ::-1]),
        )  # fmt: skip
    made = exported(ros.write(folder / "a.mcap"), folder, raw="lossless")
    assert np.array_equal(layout_of(made, "bgr24")[2], picture())


# Stills.


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@form("CompressedImage-jpeg")
def _jpeg(folder: Path) -> None:
    ros = Ros(1)
    for index in range(FRAMES):
        send_compressed(ros, index, cv2.imencode(".jpg", picture())[1].tobytes(), "bgr8; jpeg compressed bgr8")
    made = exported(ros.write(folder / "a.bag"), folder)
    is_whole(made)
    assert made.manifest["streams"]["cam"]["codec"] == "mjpeg"


@form("CompressedImage-png")
def _png(folder: Path) -> None:
    ros = Ros(1)
    send_compressed(ros, 0, png(picture()), "png")
    made = exported(ros.write(folder / "a.bag"), folder, raw="lossless")
    assert np.array_equal(layout_of(made, "bgr24")[0], picture())


@form("CompressedImage-png-16-bit")
def _deep_png(folder: Path) -> None:
    image = noise(*SHAPE, kind=np.uint16)
    ros = Ros(1)
    send_compressed(ros, 0, png(image), "16UC1; png compressed ")
    assert np.array_equal(layout_of(exported(ros.write(folder / "a.bag"), folder), "gray16le")[0], image)


@form("CompressedImage-compressedDepth-16UC1")
def _depth(folder: Path) -> None:
    image = noise(*SHAPE, kind=np.uint16)
    ros = Ros(1)
    send_compressed(ros, 0, struct.pack("<iff", 0, 0, 0) + png(image), "16UC1; compressedDepth png")
    assert np.array_equal(layout_of(exported(ros.write(folder / "a.bag"), folder), "gray16le")[0], image)


@form("CompressedImage-compressedDepth-32FC1")
def _float_depth(folder: Path) -> None:
    # image_transport: q = a / depth + b, with a and b from the plane and the longest distance.
    a, b = 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 10.0
    depth = np.linspace(0.5, 10, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    quantised = np.rint(a / depth + b).astype(np.uint16)
    quantised[0, 0] = 0
    ros = Ros(1)
    send_compressed(ros, 0, struct.pack("<iff", 0, a, b) + png(quantised), "32FC1; compressedDepth")
    made = exported(ros.write(folder / "a.bag"), folder)
    pixels = made.manifest["streams"]["cam"]["pixels"]
    codes = layout_of(made, "gray16le")[0]
    values = pixels["offset"] + pixels["scale"] * codes
    assert codes[0, 0] == 0
    assert np.abs(values - depth)[1:].max() < 0.01


@form("foxglove-CompressedImage")
def _foxglove_still(folder: Path) -> None:
    ros = Ros(2, {f"{FOXGLOVE}CompressedImage": VIDEO})
    for index in range(FRAMES):
        stamp_ns = START_NS + index * PERIOD_NS
        data = cv2.imencode(".jpg", picture())[1].tobytes()
        fields = {"timestamp": ros.time(stamp_ns), "frame_id": "", "data": as_uint8(data), "format": "jpeg"}
        ros.send(stamp_ns + MS, "/cam", f"{FOXGLOVE}CompressedImage", **fields)
    is_whole(exported(ros.write(folder / "a.mcap"), folder))


# Sound.

BEEPS_S = [0.5, 1.25, 2.1]


def beeping(seconds: float = 3.0) -> np.ndarray:
    """int16 (N,), a beep at each of BEEPS_S."""
    sound = np.zeros(round(seconds * RATE_HZ))
    add_beeps(sound, RATE_HZ, BEEPS_S)
    return np.rint(sound * 20_000).astype(np.int16)


def coded(codec: str, form: str = "s16") -> list[tuple[bytes, int]]:
    """Packets of the beeping sound and the samples that each stands for."""
    context: Any = av.CodecContext.create(codec, "w")
    context.sample_rate, context.format, context.layout = RATE_HZ, form, "mono"
    context.time_base = Fraction(1, RATE_HZ)
    context.bit_rate = 128_000
    context.open()
    size = context.frame_size
    sound = beeping()
    packets = []
    for first in range(0, len(sound) - size, size):
        block = sound[None, first : first + size]
        planes = block if form.startswith("s16") else (block / 32768).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, first, Fraction(1, RATE_HZ)
        packets += context.encode(frame)
    return [(bytes(packet), size) for packet in packets]


def adts(packet: bytes) -> bytes:
    """An AAC frame with the header that streams have: AAC-LC, 48 kHz, mono."""
    length = len(packet) + 7
    return bytes([0xFF, 0xF1, 0x4C, 0x40 | length >> 11, length >> 3 & 255, (length & 7) << 5 | 0x1F, 0xFC]) + packet


def hears(made: Export, delay_samples: float) -> None:
    """The beeps are where they were, but for the codec's own constant delay."""
    assert made.rows["mic"].outcome == "written", made.rows["mic"].message
    clock = made.clock("mic")
    assert (clock.nominal_rate_hz, clock.channels) == (RATE_HZ, 1)
    payload = np.frombuffer((made.folder / "mic.wav").read_bytes()[104:], "<i2")
    found = clock.time_ns(find_beeps(payload / 32768, RATE_HZ))
    late_ms = (found - START_NS) / 1e6 - np.array(BEEPS_S) * 1e3
    assert len(found) == len(BEEPS_S)
    assert np.abs(late_ms - delay_samples / RATE_HZ * 1e3).max() < 3
    assert np.ptp(late_ms) < 1


for name, codec, sample_form, delay in (("opus", "libopus", "s16", 312), ("mp4a.40.2", "aac", "fltp", 1024)):

    @form(f"CompressedAudio-{name}")
    def _coded_sound(
        folder: Path, name: str = name, codec: str = codec, sample_form: str = sample_form, delay: int = delay
    ) -> None:
        ros = Ros(2, {f"{FOXGLOVE}CompressedAudio": COMPRESSED_AUDIO})
        for index, (packet, size) in enumerate(coded(codec, sample_form)):
            start_ns = START_NS + index * size * 10**9 // RATE_HZ
            data = adts(packet) if name.startswith("mp4a") else packet
            fields = {"timestamp": ros.time(start_ns), "data": as_uint8(data), "format": name}
            ros.send(start_ns + MS, "/mic", f"{FOXGLOVE}CompressedAudio", **fields)
        setting = {"topic": "/mic"}
        made = export(ros.write(folder / "a.mcap"), folder / "out", {}, {"mic": setting})
        hears(made, delay)
        assert f"its sound is {'opus' if name == 'opus' else 'aac'}, decoded" in made.rows["mic"].message


@form("AudioData-mp3")
def _mp3(folder: Path) -> None:
    ros = Ros(1, AUDIO1)
    for index, (packet, size) in enumerate(coded("libmp3lame", "s16p")):
        log_ns = START_NS + (index + 1) * size * 10**9 // RATE_HZ
        ros.send(log_ns, "/mic", "audio_common_msgs/msg/AudioData", data=as_uint8(packet))
    made = export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": {"topic": "/mic", "stamp": "block_end"}})
    # A decoder's first frames are lost, since they lean on some that were not recorded.
    hears(made, 1105)


def pcm_messages(ros: Ros) -> None:
    sound = beeping()
    for first in range(0, len(sound), 480):
        log_ns = START_NS + (first + 480) * 10**9 // RATE_HZ
        ros.send(log_ns, "/audio/mic", "audio_common_msgs/msg/AudioData", data=as_uint8(sound[first : first + 480]))


@form("AudioData-PCM-AudioInfo")
def _info(folder: Path) -> None:
    ros = Ros(1, {**AUDIO1, **INFO1})
    ros.send(
        START_NS, "/audio/audio_info", "audio_common_msgs/msg/AudioInfo", channels=1, sample_rate=RATE_HZ,
        sample_format="S16LE", bitrate=0, coding_format="wave",
    )  # fmt: skip
    pcm_messages(ros)
    hears(export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": "/audio/mic"}), 0)


@form("AudioData-PCM-config")
def _config(folder: Path) -> None:
    ros = Ros(1, AUDIO1)
    pcm_messages(ros)
    setting = {"topic": "/audio/mic", "rate_hz": RATE_HZ, "channels": 1, "sample_format": "s16le"}
    hears(export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": setting}), 0)


@form("foxglove-RawAudio")
def _raw_audio(folder: Path) -> None:
    ros = Ros(2, {f"{FOXGLOVE}RawAudio": RAW_AUDIO})
    sound = beeping()
    for first in range(0, len(sound), 480):
        start_ns = START_NS + first * 10**9 // RATE_HZ
        fields = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
        ros.send(start_ns + MS, "/mic", f"{FOXGLOVE}RawAudio", timestamp=ros.time(start_ns),
                 data=as_uint8(sound[first : first + 480]), **fields)  # fmt: skip
    hears(export(ros.write(folder / "a.mcap"), folder / "out", {}, {"mic": "/mic"}), 0)


# mcap of other profiles: foxglove's messages in three encodings.


def foxglove_protobuf() -> tuple[bytes, Callable[[str, dict[str, Any]], bytes]]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    kinds = {"string": 9, "bytes": 12, "fixed32": 7}
    file = descriptor_pb2.FileDescriptorProto(name="foxglove.proto", package="foxglove", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    messages = {
        "CompressedVideo": ["frame_id:string", "data:bytes", "format:string"],
        "RawAudio": ["data:bytes", "format:string", "sample_rate:fixed32", "number_of_channels:fixed32"],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        message.field.add(name="timestamp", number=1, label=1, type=11, type_name=".google.protobuf.Timestamp")
        for number, field in enumerate(fields, 2):
            title, kind = field.split(":")
            message.field.add(name=title, number=number, label=1, type=kinds[kind])
    stamp = descriptor_pb2.FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(stamp)
    pool.Add(file)

    def make(name: str, fields: dict[str, Any]) -> bytes:
        kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"foxglove.{name}"))
        time_ns = fields["time_ns"]
        stamp = {"seconds": time_ns // 10**9, "nanos": time_ns % 10**9}
        return kind(timestamp=stamp, **{k: v for k, v in fields.items() if k != "time_ns"}).SerializeToString()

    return descriptor_pb2.FileDescriptorSet(file=[stamp, file]).SerializeToString(), make


def as_json(name: str, fields: dict[str, Any]) -> bytes:
    time_ns = fields["time_ns"]
    plain = {
        k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in fields.items() if k != "time_ns"
    }
    return json.dumps({"timestamp": {"sec": time_ns // 10**9, "nsec": time_ns % 10**9}, **plain}).encode()


def ros1_schema(text: str) -> bytes:
    return text.replace("builtin_interfaces/Time", "time").encode()


def as_ros1(name: str, fields: dict[str, Any]) -> bytes:
    time_ns = fields["time_ns"]
    parts = [struct.pack("<II", time_ns // 10**9, time_ns % 10**9)]
    for key, value in fields.items():
        if key == "time_ns":
            continue
        if isinstance(value, int):
            parts.append(struct.pack("<I", value))
        else:
            data = value.encode() if isinstance(value, str) else value
            parts.append(struct.pack("<I", len(data)) + data)
    return b"".join(parts)


for encoding in ("protobuf", "json", "json-without-schema", "ros1"):

    @form(f"mcap-{encoding}")
    def _other_profile(folder: Path, encoding: str = encoding) -> None:
        schema, make = foxglove_protobuf()
        schemas = {
            "protobuf": ("protobuf", {"CompressedVideo": schema, "RawAudio": schema}),
            "json": ("jsonschema", {name: json.dumps(JSON_SCHEMAS[name]).encode() for name in JSON_SCHEMAS}),
            "json-without-schema": ("jsonschema", {"CompressedVideo": b"{}", "RawAudio": b"{}"}),
            "ros1": ("ros1msg", {"CompressedVideo": ros1_schema(VIDEO), "RawAudio": ros1_schema(RAW_AUDIO)}),
        }[encoding]
        make = {"protobuf": make, "ros1": as_ros1}.get(encoding, as_json)
        dot = "/" if encoding == "ros1" else "."
        package = "foxglove_msgs" if encoding == "ros1" else "foxglove"
        with (folder / "a.mcap").open("wb") as file:
            writer = Writer(file)
            writer.start("ros1" if encoding == "ros1" else "", "test")
            channels = {}
            for topic, name in (("/cam", "CompressedVideo"), ("/mic", "RawAudio")):
                made = writer.register_schema(f"{package}{dot}{name}", schemas[0], schemas[1][name])
                channels[topic] = writer.register_channel(topic, encoding.partition("-")[0], made)
            for data, number, _ in encode("h264", FRAMES):
                time_ns = START_NS + number * PERIOD_NS
                fields = {"time_ns": time_ns, "frame_id": "f", "data": data, "format": "h264"}
                writer.add_message(channels["/cam"], time_ns + MS, make("CompressedVideo", fields), time_ns)
            sound = beeping()
            for first in range(0, len(sound), 480):
                time_ns = START_NS + first * 10**9 // RATE_HZ
                data = sound[first : first + 480].tobytes()
                known = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
                content = make("RawAudio", {"time_ns": time_ns, "data": data, **known})
                writer.add_message(channels["/mic"], time_ns + MS, content, time_ns)
            writer.finish()
        made = export(folder / "a.mcap", folder / "out", {"cam": "/cam"}, {"mic": "/mic"})
        is_whole(made)
        hears(made, 0)


STAMP_SCHEMA = {"type": "object", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}}
BYTES_SCHEMA = {"type": "string", "contentEncoding": "base64"}
JSON_SCHEMAS: dict[str, Any] = {
    "CompressedVideo": {
        "properties": {
            "timestamp": STAMP_SCHEMA, "frame_id": {"type": "string"}, "data": BYTES_SCHEMA,
            "format": {"type": "string"},
        }
    },
    "RawAudio": {
        "properties": {
            "timestamp": STAMP_SCHEMA, "data": BYTES_SCHEMA, "format": {"type": "string"},
            "sample_rate": {"type": "integer"}, "number_of_channels": {"type": "integer"},
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_exported(tmp_path: Path, name: str) -> None:
    FORMATS[name](tmp_path)


def test_the_docs_list_exactly_the_formats_that_are_tested() -> None:
    table = (REPO / "docs" / "sources.md").read_text().partition("<!-- formats -->")[2].partition("<!-- end -->")[0]
    listed = [
        name for row in re.findall(r"^\| (.+?) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    ]
    assert sorted(listed) == sorted(FORMATS)


def test_a_compressed_image_of_ros_is_what_it_says(tmp_path: Path) -> None:
    ros = Ros(1)
    send_compressed(ros, 0, struct.pack("<iff", 0, 0, 0) + b"rvl data", "16UC1; compressedDepth rvl")
    made = exported(ros.write(tmp_path / "a.bag"), tmp_path)
    assert made.rows["cam"].reason == "unsupported"
    assert "is not compressed as png" in made.rows["cam"].message
    assert COMPRESSED in ros.store.types
