"""Windows as shards: tars that webdataset reads, each sample an npz and a json with its row of the index."""

import json
import math
from pathlib import Path

from scripts.common import table_file
from scripts.common.job import progress, run
from scripts.common.tar_file import TarWriter


def shard_key(sample: str) -> str:
    """What a sample is called in a shard: a dot would end its key for webdataset; no sample's own name holds `%`."""
    return sample.replace(".", "%2E")


def pack_windows(index: Path, windows: list[Path], out_folder: Path, *, split: str, shard_samples: int) -> None:
    """Write `{split}-{number:05d}.tar` with `shard_samples` windows each, in the order of the index.

    index: the dataset's table of samples.  windows: one folder of npz a recording, named after it.
    """
    folders = {folder.name: folder for folder in windows}
    rows = [row for row in table_file.read(index).to_pylist() if row["split"] == split]
    out_folder.mkdir(parents=True)
    for number in range(max(1, math.ceil(len(rows) / shard_samples))):
        with TarWriter(out_folder / f"{split}-{number:05d}.tar") as tar:
            for row in rows[number * shard_samples : (number + 1) * shard_samples]:
                key = shard_key(row["sample"])
                tar.copy(f"{key}.npz", folders[row["recording"]] / Path(row["file"]).name)
                facts = {name: value for name, value in row.items() if name != "file"}
                tar.add(f"{key}.json", json.dumps(facts, sort_keys=True).encode())
        progress(min(len(rows), (number + 1) * shard_samples), max(1, len(rows)))


if __name__ == "__main__":
    run(pack_windows)
