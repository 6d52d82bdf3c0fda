"""Windows as shards: tars that webdataset reads, each sample an npz and a json with its row of the index."""

import json
import math
from pathlib import Path

import pyarrow.parquet as pq

from scripts.common.job import progress, run
from scripts.common.tar_file import TarWriter


def pack_windows(index: Path, windows: list[Path], out_folder: Path, *, split: str, shard_samples: int) -> None:
    """Write `{split}-{number:05d}.tar` with `shard_samples` windows each, in the order of the index.

    index: the dataset's table of samples.  windows: one folder of npz a recording, named after it.
    """
    folders = {folder.name: folder for folder in windows}
    rows = [row for row in pq.read_table(index, partitioning=None).to_pylist() if row["split"] == split]
    out_folder.mkdir(parents=True)
    for number in range(max(1, math.ceil(len(rows) / shard_samples))):
        with TarWriter(out_folder / f"{split}-{number:05d}.tar") as tar:
            for row in rows[number * shard_samples : (number + 1) * shard_samples]:
                tar.copy(f"{row['sample']}.npz", folders[row["recording"]] / Path(row["file"]).name)
                facts = {name: value for name, value in row.items() if name != "file"}
                tar.add(f"{row['sample']}.json", json.dumps(facts, sort_keys=True).encode())
        progress(min(len(rows), (number + 1) * shard_samples), max(1, len(rows)))


if __name__ == "__main__":
    run(pack_windows)
