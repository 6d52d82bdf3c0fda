"""Whole, empty outputs: what stands under a name whose item failed. See docs/architecture.md, file contracts."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from scripts.common import json_file, sample_index, table_file
from scripts.common.clock import Clock
from scripts.common.frame_table import FrameTable
from scripts.common.statistics import Moments


def _frames(path: Path) -> None:
    FrameTable.empty().write(path)


def _instants(path: Path) -> None:
    from scripts.common.synchronised import Synchronised

    Synchronised.empty().write(path)


def _clock(path: Path) -> None:
    Clock.empty().write(path)


def _json(path: Path) -> None:
    json_file.write(path, {"failed": True}, indent=None)


def _landmarks(path: Path) -> None:
    from scripts.common.landmarks import Landmarks

    Landmarks.empty().write(path)


def _index(path: Path) -> None:
    sample_index.write(path, [])


def _stats(path: Path) -> None:
    Moments.empty(2 * 68).write(path)


def _intervals(path: Path) -> None:
    from scripts.common.intervals import Intervals

    Intervals.empty().write(path)


def _label_intervals(path: Path) -> None:
    from scripts.common import label_intervals

    label_intervals.write(path, [])


def _pictures(path: Path) -> None:
    from scripts.common import frame_index

    frame_index.write_empty(path)


def _parquet(path: Path) -> None:
    table_file.write(path, pa.table({}))


def _zero_bytes(path: Path) -> None:
    path.touch()


def _picture(path: Path) -> None:
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n', encoding="utf-8")


def _tar(path: Path) -> None:
    """Two blocks of zeros end a tar; it is padded to a record, as tar pads it."""
    path.write_bytes(bytes(10_240))


# Outputs that are folders, by their names in a rule: a recording's name, which the folder has, may end in anything.
FOLDERS = {"out_windows", "out_folder", "out_checkpoints", "out_tf_logs", "out_val_samples"}

# First match wins, so the longer endings come first.
WRITERS: dict[str, Callable[[Path], None]] = {
    ".frames.parquet": _frames,
    ".instants.parquet": _instants,
    ".clock.json": _clock,
    ".landmarks.npz": _landmarks,
    ".index.parquet": _index,
    ".stats.npz": _stats,
    ".speech.parquet": _intervals,
    ".scenes.parquet": _intervals,
    ".labels.parquet": _label_intervals,
    ".pictures.parquet": _pictures,
    ".parquet": _parquet,
    ".json": _json,
    ".mp4": _zero_bytes,
    ".mkv": _zero_bytes,
    ".wav": _zero_bytes,
    ".tsv": _zero_bytes,
    ".toml": _zero_bytes,
    ".tar": _tar,
    ".raw": _zero_bytes,
    ".svg": _picture,
}


def write_empty(path: Path, name: str, *, folder: bool = False) -> None:
    """Write to `path` the whole, empty form of an output whose final file name is `name`."""
    if folder:
        path.mkdir()
        return
    for ending, writer in WRITERS.items():
        if name.endswith(ending):
            writer(path)
            return
    raise ValueError(f"no empty form is known for {name}")
