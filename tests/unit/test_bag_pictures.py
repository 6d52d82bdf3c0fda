"""Pictures of a bag, whatever carries them, become videos with frame tables."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.unit.bag_maker import (
    PERIOD_NS,
    START_NS,
    VIDEO,
    Ros,
    as_uint8,
    camera_of,
    encode,
    export,
    picture,
    send_compressed,
    send_image,
)

COMPRESSED_VIDEO = "foxglove_msgs/msg/CompressedVideo"


@pytest.mark.parametrize(("codec", "tag"), [("h264", "avc1"), ("hevc", "hvc1")])
def test_packets_are_copied_and_tagged_for_every_player(tmp_path: Path, codec: str, tag: str) -> None:
    made = export(camera_of(codec, 25).write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    with av.open(str(made.folder / "cam.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.codec_tag) == (codec, tag)
        assert (stream.time_base.numerator, stream.time_base.denominator) == (1, 1_000_000)
        assert stream.duration == 25 * 40_000
    assert [pts for pts, _ in made.decode("cam")] == [number * 40_000 for number in range(25)]
    entry = made.manifest["streams"]["cam"]
    assert (entry["codec"], entry["copied"], entry["width"], entry["height"]) == (codec, True, 64, 48)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("step", [1, 40_000], ids=["count", "time"])
@pytest.mark.parametrize(
    ("lost", "tainted"),
    [((13,), range(14, 20)), ((18, 19), ()), ((5, 6, 23), (7, 8, 9, *range(24, 30))), ((9, 10), range(11, 20))],
)
def test_a_hole_in_the_counter_taints_up_to_the_next_keyframe(
    tmp_path: Path, codec: str, step: int, lost: tuple[int, ...], tainted: Any
) -> None:
    made = export(
        camera_of(codec, 30, lost=lost, step=step).write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"}
    )
    sent = [number for number in range(30) if number not in lost]
    assert [sent[frame] for frame in np.flatnonzero(made.frames("cam").tainted)] == list(tainted)
    assert made.manifest["streams"]["cam"]["lost_packets"] == len(lost)


def test_packets_before_the_first_keyframe_are_dropped_and_counted(tmp_path: Path) -> None:
    made = export(camera_of("h264", 30, lost=(0,)).write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    frames = made.frames("cam")
    assert len(frames) == len(made.decode("cam")) == 20
    assert frames.time_ns[0] == START_NS + 10 * PERIOD_NS
    assert frames.source_frame[0] == 9
    assert made.manifest["streams"]["cam"]["dropped"] == {"before the first keyframe": 9}
    assert "before the first keyframe: 9" in made.rows["cam"].message


def test_a_camera_without_any_keyframe_fails_and_leaves_empty_files(tmp_path: Path) -> None:
    made = export(camera_of("h264", 10, lost=(0,)).write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert (made.rows["cam"].outcome, made.rows["cam"].reason) == ("failed", "undecodable")
    assert made.is_empty("cam")


@pytest.mark.parametrize(("form", "codec"), [("h264", "h264"), ("h265", "hevc")])
def test_foxgloves_video_has_no_flags_and_is_copied_all_the_same(tmp_path: Path, form: str, codec: str) -> None:
    ros = Ros(2, {COMPRESSED_VIDEO: VIDEO})
    for data, number, _ in encode(codec, 25):
        stamp_ns = START_NS + number * PERIOD_NS
        ros.send(
            stamp_ns,
            "/cam",
            COMPRESSED_VIDEO,
            timestamp=ros.time(stamp_ns),
            frame_id="",
            data=as_uint8(data),
            format=form,
        )
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {"cam": "/cam"})
    assert np.flatnonzero(made.frames("cam").keyframe).tolist() == [0, 10, 20]
    assert len(made.decode("cam")) == 25


def test_a_message_recorded_twice_gives_one_frame(tmp_path: Path) -> None:
    ros = camera_of("h264", 20)
    ros.sent.append((ros.sent[7][0] + 1, *ros.sent[7][1:]))
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert len(made.frames("cam")) == 20
    assert made.manifest["streams"]["cam"]["dropped"] == {"sent twice": 1}


FROM_BGR = {
    "bgr8": lambda image: image,
    "rgb8": lambda image: image[:, :, ::-1],
    "bgra8": lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
    "rgba8": lambda image: np.dstack([image[:, :, ::-1], np.full(image.shape[:2], 255, np.uint8)]),
    "mono8": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("padding", [0, 13])
@pytest.mark.parametrize("encoding", FROM_BGR)
def test_raw_images_keep_their_colours_and_their_times(
    tmp_path: Path, encoding: str, padding: int, version: int
) -> None:
    ros = Ros(version)
    for index in range(5):
        send_image(ros, index, FROM_BGR[encoding](picture()), encoding, padding)
    made = export(ros.write(tmp_path / ("a.bag" if version == 1 else "a.db3")), tmp_path / "out", {"cam": "/cam"})
    decoded = made.decode("cam")
    assert [pts for pts, _ in decoded] == made.frames("cam").pts_us.tolist() == [0, 40_000, 80_000, 120_000, 160_000]
    wanted = picture() if encoding != "mono8" else cv2.cvtColor(FROM_BGR["mono8"](picture()), cv2.COLOR_GRAY2BGR)
    for row, column in ((12, 16), (12, 48), (36, 16), (36, 48)):
        assert np.abs(decoded[-1][1][row, column].astype(int) - wanted[row, column]).max() <= 6
    assert made.manifest["streams"]["cam"]["copied"] is False
    assert made.frames("cam").keyframe[0]


@pytest.mark.parametrize("colour", [(220, 30, 40), (30, 50, 230), (200, 200, 30), (128, 128, 128)])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_of_bayers_has_the_colours_of_its_scene(tmp_path: Path, order: str, colour: tuple[int, ...]) -> None:
    mosaic = np.zeros((48, 64, 1), np.uint8)
    for place, letter in enumerate(order):
        mosaic[place // 2 :: 2, place % 2 :: 2] = colour["rgb".index(letter)]
    ros = Ros(1)
    for index in range(3):
        send_image(ros, index, mosaic, f"bayer_{order}8")
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    shown = made.decode("cam")[0][1][24, 32, ::-1].astype(int)
    assert np.abs(shown - colour).max() <= 3


def test_an_image_of_odd_sides_is_padded_by_its_own_edge(tmp_path: Path) -> None:
    ros = Ros(1)
    send_image(ros, 0, picture(63, 47), "bgr8")
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert made.decode("cam")[0][1].shape == (48, 64, 3)


@pytest.mark.parametrize("encoding", ["8UC2", "32SC1", "yuv999", ""])
def test_an_encoding_that_is_not_known_is_a_failed_row_that_says_so(tmp_path: Path, encoding: str) -> None:
    ros = Ros(1)
    send_image(ros, 0, np.zeros((8, 16), np.uint8), encoding)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert made.rows["cam"].reason == "unsupported"
    assert f"`{encoding}` cannot be exported" in made.rows["cam"].message
    assert made.is_empty("cam")


def test_jpeg_is_copied_and_one_cut_short_is_tainted(tmp_path: Path) -> None:
    ros = Ros(1)
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    for index in range(6):
        send_compressed(ros, index, jpeg if index != 3 else jpeg[:-200], "bgr8; jpeg compressed bgr8")
    send_compressed(ros, 6, b"rubbish", "jpeg")
    send_compressed(ros, 7, cv2.imencode(".jpg", picture(32, 32))[1].tobytes(), "jpeg")
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    frames = made.frames("cam")
    assert np.flatnonzero(frames.tainted).tolist() == [3]
    assert frames.keyframe.all()
    entry = made.manifest["streams"]["cam"]
    assert entry["dropped"] == {"not what its format says": 1, "of another size": 1}
    assert (entry["codec"], entry["copied"]) == ("mjpeg", True)
    with av.open(str(made.folder / "cam.mp4")) as container:
        assert bytes(next(container.demux(video=0))) == jpeg


def test_png_is_decoded_and_encoded(tmp_path: Path) -> None:
    ros = Ros(2)
    for index in range(3):
        send_compressed(ros, index, cv2.imencode(".png", picture())[1].tobytes(), "bgr8; png compressed bgr8")
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {"cam": "/cam"})
    assert np.abs(made.decode("cam")[0][1][12, 16].astype(int) - picture()[12, 16]).max() <= 6


@pytest.mark.parametrize("form", ["16UC1; compressedDepth png", "webp", "jpegxl"])
def test_a_format_that_is_not_known_yet_is_a_failed_row(tmp_path: Path, form: str) -> None:
    ros = Ros(1)
    send_compressed(ros, 0, b"whatever it is", form)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert made.rows["cam"].outcome == "failed"
    assert made.is_empty("cam")
