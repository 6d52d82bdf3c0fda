"""Coded video: copied packet by packet."""

from pathlib import Path

import numpy as np

from tests.unit.bag_formats.register import FOXGLOVE, FRAMES, exported, form, is_whole
from tests.unit.bag_maker import (
    MS,
    PACKET,
    PACKET1,
    PACKET2,
    PERIOD_NS,
    START_NS,
    VIDEO,
    Ros,
    as_uint8,
    encode,
    send_packet,
    small_ros2,
)

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
