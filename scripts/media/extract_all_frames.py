"""Every synchronised frame as jpeg, of each camera and of the grid, as single files or in tar shards.

The table says, for each instant and view, where its picture is; a camera that is slower than the others stands still
between its frames, and the picture is written once. Shards have the webdataset form: one sample an instant.
"""

import logging
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.common import jpeg, ledger, table_file
from scripts.common.camera_pictures import CameraPictures
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.lost_frames import listed
from scripts.common.synchronised import NOTHING, synchronise
from scripts.media.mosaic import Mosaic
from scripts.media.picture_stores import GRID, Folder, Shards, Store
from scripts.media.render_mosaic import layout_of

log = logging.getLogger("rushes")
# Of the table.
Row = tuple[int, int, str, int, str, str]
SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("time_ns", pa.int64()),
        ("view", pa.string()),
        ("source_frame", pa.int32()),
        ("shard", pa.string()),
        ("file", pa.string()),
    ]
)


class ShownPictures:
    """What a camera shows at each instant, kept in `store`: once, where it stands still.

    shown: int (M,), the frame at each instant.
    """

    def __init__(self, name: str, pictures: CameraPictures, shown: np.ndarray, store: Store, quality: int) -> None:
        self._name, self._pictures, self._shown = name, pictures, shown
        self._store, self._quality = store, quality
        self._kept, self._place = NOTHING, ("", "")

    def rows_at(self, frame: int, time_ns: int) -> list[Row]:
        """The table's row of an instant; none where the camera shows nothing, or what does not decode."""
        wanted = int(self._shown[frame])
        found = self._pictures.at(wanted) if wanted != NOTHING else None
        # One before stands there where the frame does not decode.
        if found is None or found[0] != wanted:
            return []
        if wanted != self._kept:
            picture = jpeg.encode(found[1], self._quality)
            self._kept, self._place = wanted, self._store.add(frame, time_ns, self._name, picture)
        return [(frame, time_ns, self._name, wanted, *self._place)]


def extract_all_frames(
    videos: list[Path],
    frames: list[Path],
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    cameras: list[str],
    scene: dict[str, Any],
    views: list[str],
    form: str,
    shard_mb: int,
    quality: int,
) -> None:
    """Write what each of `cameras` and the grid `scene` (see render_mosaic) shows at every instant.

    Every camera is decoded once. Raises InputError if no camera could be imported.
    """
    tables = {name: FrameTable.read(path) for name, path in zip(cameras, frames, strict=True)}
    files = dict(zip(cameras, videos, strict=True))
    if not any(map(len, tables.values())):
        raise UpstreamError(recording, f"the import of every camera of {product} failed")
    instants = synchronise(tables, None if scene["fps"] == "own" else Fraction(scene["fps"]))
    out_folder.mkdir()
    store: Store = Shards(out_folder, shard_mb * 1_000_000) if form == "shards" else Folder(out_folder)
    rows: list[Row] = []
    with ExitStack() as stack:
        seen = {name: CameraPictures(files[name], table) for name, table in tables.items() if len(table)}
        pictures = {name: stack.enter_context(found) for name, found in seen.items()}
        stack.callback(store.close)
        layout = layout_of(scene, [found.size for found in pictures.values()])
        grid = iter(Mosaic(layout, pictures, instants, scene["missing"])) if GRID in views else None
        filmed = pictures if "cameras" in views else {}
        shown = [ShownPictures(name, found, instants.of(name), store, quality) for name, found in filmed.items()]
        for frame, time_ns in enumerate(instants.time_ns.tolist()):
            for camera in shown:
                rows += camera.rows_at(frame, time_ns)
            if grid is not None:
                place = store.add(frame, time_ns, GRID, jpeg.encode(next(grid), quality))
                rows.append((frame, time_ns, GRID, frame, *place))
            progress(frame, len(instants), "instants")
        for name, found in pictures.items():
            found.check(f"{recording}, {product}", name)
    columns = [pa.array([row[k] for row in rows], field.type) for k, field in enumerate(SCHEMA)]
    table_file.write(out_folder / "frames.parquet", pa.Table.from_arrays(columns, schema=SCHEMA))
    lost = {name: found.lost() for name, found in pictures.items()}
    message = "; ".join(f"{name}: {listed(numbers)}" for name, numbers in lost.items() if len(numbers))
    if message:
        log.warning("%s, %s: %s", recording, product, message)
    written = [ledger.Row("extract_all_frames", recording, product, "written", value=len(rows), message=message)]
    ledger.write(out_ledger, written)


if __name__ == "__main__":
    run(extract_all_frames)
