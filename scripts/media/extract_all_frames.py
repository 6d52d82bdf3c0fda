"""Every synchronised frame as jpeg, of each camera and of the grid, as single files or in tar shards.

The table says, for each instant and view, where its picture is; a camera that is slower than the others stands still
between its frames, and the picture is written once. Shards have the webdataset form: one sample an instant.
"""

import io
import logging
import tarfile
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from scripts.common import jpeg, ledger, table_file
from scripts.common.camera_pictures import CameraPictures
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.lost_frames import listed
from scripts.common.synchronised import NOTHING, synchronise
from scripts.media.mosaic import Mosaic
from scripts.media.render_mosaic import layout_of

log = logging.getLogger("rushes")
GRID = "grid"
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


class Store(Protocol):
    """Where pictures go."""

    def add(self, frame: int, time_ns: int, view: str, picture: bytes) -> tuple[str, str]:
        """Keep a picture; returns the shard, "" without, and the file's name."""

    def close(self) -> None:
        """Finish."""


class Folder:
    """Single files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, frame: int, time_ns: int, view: str, picture: bytes) -> tuple[str, str]:
        """Write a file, named by its instant."""
        name = jpeg.file_name(time_ns, "" if view == GRID else view)
        (self._folder / name).write_bytes(picture)
        return "", name

    def close(self) -> None:
        """Nothing is left to do."""


class Shards:
    """USTAR tars of about `limit_bytes`; the pictures of an instant stand in one."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit = folder, limit_bytes
        self._tar: tarfile.TarFile | None = None
        self._count = self._size = 0
        self._frame = -1

    def add(self, frame: int, time_ns: int, view: str, picture: bytes) -> tuple[str, str]:
        """Append a member, named <instant>.<view>.jpg."""
        if self._tar is None or (self._size > self._limit and frame != self._frame):
            self.close()
            name = self._folder / f"frames-{self._count:06d}.tar"
            self._tar = tarfile.TarFile(name, "w", format=tarfile.USTAR_FORMAT)
            self._count, self._size = self._count + 1, 0
        self._frame = frame
        member = tarfile.TarInfo(f"{frame:09d}.{view}.jpg")
        member.size = len(picture)
        self._tar.addfile(member, io.BytesIO(picture))
        self._size += len(picture)
        return f"frames-{self._count - 1:06d}.tar", member.name

    def close(self) -> None:
        """Finish the shard."""
        if self._tar is not None:
            self._tar.close()


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
    rows: list[tuple[int, int, str, int, str, str]] = []
    with ExitStack() as stack:
        seen = {name: CameraPictures(files[name], table) for name, table in tables.items() if len(table)}
        pictures = {name: stack.enter_context(found) for name, found in seen.items()}
        stack.callback(store.close)
        layout = layout_of(scene, [found.size for found in pictures.values()])
        grid = iter(Mosaic(layout, pictures, instants, scene["missing"])) if GRID in views else None
        kept: dict[str, tuple[int, tuple[str, str]]] = {}
        for frame, time_ns in enumerate(instants.time_ns.tolist()):
            if "cameras" in views:
                for name, found in pictures.items():
                    row = int(instants.of(name)[frame])
                    shown = found.at(row) if row != NOTHING else None
                    # One before stands there where the frame does not decode.
                    if shown is None or shown[0] != row:
                        continue
                    if name not in kept or kept[name][0] != shown[0]:
                        place = store.add(frame, time_ns, name, jpeg.encode(shown[1], quality))
                        kept[name] = (shown[0], place)
                    rows.append((frame, time_ns, name, shown[0], *kept[name][1]))
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
