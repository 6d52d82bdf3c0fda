"""Raw images: bit by bit where they are stored without loss."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.unit.bag_formats.register import FOXGLOVE, RAW_IMAGE, exported, form
from tests.unit.bag_maker import (
    IMAGE,
    MS,
    PERIOD_NS,
    START_NS,
    Export,
    Ros,
    as_uint8,
    export,
    picture,
    send_image,
)

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
