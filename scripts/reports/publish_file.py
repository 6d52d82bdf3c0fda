"""A file of the results on its way to a store, which Snakemake brings there."""

import shutil
from pathlib import Path

from scripts.common.job import run


def publish_file(file: Path, mark: Path, out_file: Path) -> None:
    """Put the file where Snakemake takes it from. mark: the first object of the store, which is there before."""
    shutil.copyfile(file, out_file)


if __name__ == "__main__":
    run(publish_file)
