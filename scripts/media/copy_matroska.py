"""A camera's video as Matroska, packet by packet: for programs that want one, FFV1 above all.

Matroska as ffmpeg writes it tells times to the millisecond; those to the nanosecond stay in the frame table. It has no
edit list: pictures that only lead in, from the keyframe before the first that is wanted, could not be hidden.
"""

import logging
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av

from scripts.common import ledger, mp4
from scripts.common.cut_video import encode_frames
from scripts.common.encoder import Coding
from scripts.common.errors import RunError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.lost_frames import listed
from scripts.common.packet_writer import disk_errors
from scripts.common.packets import packets
from scripts.common.video import OPEN_OPTIONS, VideoReader

# No date, no version of the library; and times stay what they are where a picture is decoded before it is shown.
OPTIONS = {**mp4.SAME_BYTES, "avoid_negative_ts": "disabled"}
# What a time may lose.
HALF_TICK_S = 0.0005
# Of pictures that must be encoded: nearly without loss, and quick.
CODING = Coding("h264", 12, "veryfast")

log = logging.getLogger("rushes")


def copy_matroska(
    video: Path,
    frames: Path,
    out_video: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    camera: str,
    tmpdir: Path,
) -> None:
    """Copy the packets of `video` into a Matroska, read it again and compare.

    frames: the camera's frame table, one row a picture that is shown.  Where an edit list hides others, or packets give
    no picture, all that are shown are encoded anew.  Raises InputError if the import of the camera failed; RunError if
    other packets, or other times, come out than went in.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}")
    unseen = packet_count(video) - len(table)
    if not unseen:
        _copy(video, out_video, len(table))
        ledger.write(out_ledger, [ledger.Row("copy_matroska", recording, product, "written", value=len(table))])
        return
    _check(out_video, shown_count(video), len(table))
    with tempfile.TemporaryDirectory(dir=tmpdir, prefix="rushes_matroska_") as folder:
        shown = Path(folder) / video.name
        encoded = encode_frames(video, table, 0, len(table), shown, CODING)
        count = len(encoded.rows)
        _copy(shown, out_video, count)
    notes = [f"encoded anew: {unseen} of its packets are hidden by an edit list, which Matroska has not, or damaged"]
    notes += [listed(encoded.lost)] if len(encoded.lost) else []
    message = "; ".join(notes)
    log.warning("%s, %s: %s", recording, camera, message)
    ledger.write(out_ledger, [ledger.Row("copy_matroska", recording, product, "written", value=count, message=message)])


def packet_count(video: Path) -> int:
    """How many packets the pictures of an MP4 have, shown or not."""
    with av.open(f"file:{video}", **OPEN_OPTIONS) as container:
        return int(container.streams.video[0].frames)


def shown_count(video: Path) -> int:
    """How many pictures of a video decode and are shown."""
    with VideoReader(video) as reader:
        return sum(1 for _ in reader)


def _copy(video: Path, target: Path, pictures: int) -> None:
    """Copy the packets of an MP4 that shows so many pictures. Raises RunError."""
    with (
        av.open(f"file:{video}", **OPEN_OPTIONS) as source,
        disk_errors(target),
        av.open(f"file:{target}", "w", format="matroska", options=OPTIONS) as container,
    ):
        stream = container.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(_packets(source)):
            packet.stream = stream
            container.mux_one(packet)
            progress(number + 1, pictures, "pictures")
    _check(target, _same(video, target), pictures)


def _check(target: Path, count: int, rows: int) -> None:
    if count != rows:
        raise RunError(f"{target.name}: {count} pictures, and the frame table has {rows}")


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
