"""A folder of shards on its way to a store, which Snakemake brings there, an object a file."""

import shutil
from pathlib import Path

from scripts.common.job import run


def publish_folder(folder: Path, manifest: Path, mark: Path, out_folder: Path) -> None:
    """Put the files where Snakemake takes them from. manifest: by which Snakemake knows that they have changed."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            target = out_folder / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    out_folder.mkdir(exist_ok=True)


if __name__ == "__main__":
    run(publish_folder)
