"""A camera's video as Matroska, packet by packet: for programs that want one, FFV1 above all.

Matroska as ffmpeg writes it tells times to the millisecond; those to the nanosecond stay in the frame table.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av

from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.packet_writer import disk_errors
from scripts.common.video import OPEN_OPTIONS, packets

# No date, no version of the library; and times stay what they are where a picture is decoded before it is shown.
OPTIONS = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
# What a time may lose.
HALF_TICK_S = 0.0005


def copy_matroska(
    video: Path, frames: Path, out_video: Path, out_ledger: Path, *, recording: str, product: str, camera: str
) -> None:
    """Copy the packets of `video` into a Matroska, read it again and compare.

    frames: the camera's frame table, one row a packet.  Raises InputError if the import of the camera failed; RunError
    if other packets, or other times, come out than went in.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise InputError(ledger.UPSTREAM, f"{recording}, {camera}: its import failed, see that step's ledger")
    with (
        av.open(f"file:{video}", **OPEN_OPTIONS) as source,
        disk_errors(out_video),
        av.open(f"file:{out_video}", "w", format="matroska", options=OPTIONS) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(_packets(source)):
            packet.stream = stream
            target.mux_one(packet)
            progress(number + 1, len(table), "pictures")
    count = _same(video, out_video)
    if count != len(table):
        raise RunError(f"{out_video.name}: {count} pictures, and the frame table has {len(table)}")
    ledger.write(out_ledger, [ledger.Row("copy_matroska", recording, product, "written", value=count)])


def _same(video: Path, copy: Path) -> int:
    """How many packets both files hold, the same ones at the same times. Raises RunError."""
    count = 0
    with av.open(f"file:{video}", **OPEN_OPTIONS) as one, av.open(f"file:{copy}", **OPEN_OPTIONS) as other:
        for source, copied in zip_longest(_packets(one), _packets(other)):
            if source is None or copied is None or bytes(source) != bytes(copied):
                raise RunError(f"{copy.name}: its picture {count} is another one than that of {video.name}")
            if abs(float(source.pts * source.time_base - copied.pts * copied.time_base)) > HALF_TICK_S + 1e-9:
                raise RunError(f"{copy.name}: its picture {count} is shown at another time than in {video.name}")
            count += 1
    return count


def _packets(container: Any) -> Iterator[Any]:
    """The packets of the video, without the empty one at the end."""
    return (packet for packet in packets(container, [container.streams.video[0]]) if packet.size)


if __name__ == "__main__":
    run(copy_matroska)
