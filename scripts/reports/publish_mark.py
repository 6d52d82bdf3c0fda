"""The first object of a store's folder. It stays there, so that no bucket is ever emptied, and deleted with it."""

from pathlib import Path

from scripts.common.job import run


def publish_mark(out_mark: Path) -> None:
    """Write it; the same bytes always."""
    out_mark.write_text(
        "Datasets and reports made by Rushes. This file keeps the bucket while others are replaced.\n", encoding="utf-8"
    )


if __name__ == "__main__":
    run(publish_mark)
