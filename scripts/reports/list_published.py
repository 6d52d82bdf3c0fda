"""What a folder that leaves for a store holds: by this list Snakemake knows whether it has changed."""

from pathlib import Path

from scripts.common import shard_list
from scripts.common.job import run


def list_published(folder: Path, out_manifest: Path) -> None:
    """Write name -> bytes and sha256 of every file."""
    shard_list.write(out_manifest, folder)


if __name__ == "__main__":
    run(list_published)
