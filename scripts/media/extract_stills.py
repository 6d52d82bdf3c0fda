"""One picture of a camera every so many seconds, from the first picture on; all cameras at the same instants.

Only the pictures from the keyframe before each are decoded.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa

from scripts.common import jpeg, ledger, table_file
from scripts.common import manifest as manifests
from scripts.common.camera_pictures import microseconds, row_at
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.synchronised import NOTHING, nearest
from scripts.common.timeline import NS, Timeline
from scripts.common.video import VideoReader

SCHEMA = pa.schema(
    [("file", pa.string()), ("instant_ns", pa.int64()), ("time_ns", pa.int64()), ("source_frame", pa.int32())]
)


def extract_stills(
    video: Path,
    frames: Path,
    manifest: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    camera: str,
    every_s: float,
    quality: int,
) -> None:
    """Write the frame nearest to each instant, if there is one within half a period, and a table of them.

    Each instant is a row of the ledger, `filtered` if it has none. Raises InputError if the camera's import failed.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}")
    instants = regular(of_pictures(manifests.read(manifest)), every_s)
    shown = nearest(table.time_ns, instants, table.period_ns)
    out_folder.mkdir()
    rows, lost = [], []
    with VideoReader(video) as reader:
        stills = Stills(reader, table)
        for instant_ns, row in zip(instants.tolist(), shown.tolist(), strict=True):
            picture = stills.at(row) if row != NOTHING else None
            if picture is None:
                lost.append(instant_ns)
                continue
            time_ns = int(table.time_ns[row])
            name = jpeg.file_name(time_ns, camera)
            (out_folder / name).write_bytes(jpeg.encode(picture, quality))
            rows.append((name, instant_ns, time_ns, int(table.frame[row])))
            progress(len(rows), len(instants), "pictures")
    columns = [pa.array([row[k] for row in rows], field.type) for k, field in enumerate(SCHEMA)]
    table_file.write(out_folder / "frames.parquet", pa.Table.from_arrays(columns, schema=SCHEMA))
    written = [
        ledger.Row("extract_stills", recording, f"{product}/{row[1]}", "written", start_ns=row[1]) for row in rows
    ]
    message = f"{camera} has no frame here"
    filtered = [
        ledger.Row("extract_stills", recording, f"{product}/{at}", "filtered", "no_frame", message=message, start_ns=at)
        for at in lost
    ]
    ledger.write(out_ledger, [*written, *filtered])


def of_pictures(facts: dict[str, Any]) -> Timeline:
    """From the first picture of any camera to the end of the last."""
    pictures = [entry for entry in facts["streams"].values() if entry["kind"] == "video" and "start_ns" in entry]
    return Timeline(min(entry["start_ns"] for entry in pictures), max(entry["stop_ns"] for entry in pictures))


def regular(timeline: Timeline, every_s: float) -> np.ndarray:
    """Instants every `every_s` seconds from the timeline's start to before its end, at least one. int64 (M,)."""
    step = Fraction(str(every_s)) * NS
    count = max(1, -(-(timeline.stop_ns - timeline.start_ns) // step))
    instants: np.ndarray = timeline.start_ns + np.array([int(k * step) for k in range(int(count))], np.int64)
    return instants


class Stills:
    """Single pictures of a video by the rows of its frame table, in rising order."""

    def __init__(self, reader: VideoReader, table: FrameTable) -> None:
        self._reader, self._table = reader, table
        self._pictures = iter(reader)
        self._last: tuple[int, av.VideoFrame] | None = None
        self._keyframes = np.flatnonzero(table.keyframe)

    def at(self, row: int) -> av.VideoFrame | None:
        """The picture of a row; None if it does not decode."""
        if self._last is not None and self._last[0] >= row:
            return self._last[1] if self._last[0] == row else None
        before = self._keyframes[self._keyframes <= row]
        reached = self._last[0] if self._last else -1
        if len(before) and before[-1] > reached + 1:
            self._reader.seek(int(self._table.pts_us[before[-1]]))
            self._pictures = iter(self._reader)
        for picture in self._pictures:
            found = row_at(self._table.pts_us, microseconds(picture))
            if found is not None and found >= row:
                self._last = (found, picture)
                return picture if found == row else None
        return None


if __name__ == "__main__":
    run(extract_stills)
