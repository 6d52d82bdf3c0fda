"""Write down which recording stands in which split.

The decision itself is the plan's (scripts/common/splits.py), so that the DAG shows it before anything is made.
"""

from pathlib import Path

from scripts.common.job import run
from scripts.datasets import split_table


def split_dataset(out_splits: Path, *, splits: dict[str, str], subjects: dict[str, str]) -> None:
    """Write the table of splits. splits, subjects: by recording."""
    members = {name: split_table.Membership(subjects[name], split) for name, split in splits.items()}
    split_table.write(out_splits, members)


if __name__ == "__main__":
    run(split_dataset)
