"""Pictures that come one by one in a coding of their own."""

import struct
from pathlib import Path

import cv2
import numpy as np

from tests.unit.bag_formats.images import SHAPE, layout_of, noise
from tests.unit.bag_formats.register import FOXGLOVE, FRAMES, exported, form, is_whole
from tests.unit.bag_maker import (
    MS,
    PERIOD_NS,
    START_NS,
    VIDEO,
    Ros,
    as_uint8,
    picture,
    send_compressed,
)


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
