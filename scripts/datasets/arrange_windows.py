"""The folders that training code expects: `{split}/<speaker>/*.npz`, as hard links to the windows."""

import errno
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from scripts.common.job import run

# File systems without hard links, and links across devices.
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link where the file system has them, else a copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def arrange_windows(index: Path, windows: list[Path], out_folder: Path, *, split: str) -> None:
    """Link the windows of `split` into one folder a subject.

    index: the dataset's table of samples.  windows: one folder of npz a recording, named after it.
    """
    folders = {folder.name: folder for folder in windows}
    out_folder.mkdir()
    table = pq.read_table(index, columns=["recording", "file", "subject", "split"], partitioning=None)
    for sample in table.to_pylist():
        if sample["split"] == split:
            speaker = out_folder / sample["subject"]
            speaker.mkdir(exist_ok=True)
            name = Path(sample["file"]).name
            link_or_copy(folders[sample["recording"]] / name, speaker / name)


if __name__ == "__main__":
    run(arrange_windows)
