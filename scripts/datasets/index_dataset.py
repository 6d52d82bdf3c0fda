"""One table of all samples of a dataset, and the card that says what they are."""

import hashlib
import json
import logging
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import atomic, folder_entries, json_file, ledger, sample_index, table_file
from scripts.common.errors import RunError
from scripts.common.face_shape import NOSE_TIP
from scripts.common.job import run
from scripts.common.splits import SPLITS
from scripts.datasets import split_table
from scripts.datasets.split_table import Membership

log = logging.getLogger("rushes")

# How models take the landmarks of a window: (relative to the point `origin` - mean) / (std + epsilon), flattened.
STATISTICS = {"mean": "lm_mean.npy", "std": "lm_std.npy", "epsilon": 1e-6}
NORMALISATION = {**STATISTICS, "origin": NOSE_TIP, "order": "x_then_y"}
# And keypoints in space: relative to the mean of those of the frame that have a place.
OF_POSES = {**STATISTICS, "origin": "middle", "order": "x_then_y_then_z"}


def leaking_groups(members: dict[str, Membership]) -> list[str]:
    """Subjects that stand in more than one split, sorted."""
    splits: dict[str, set[str]] = {}
    for member in members.values():
        splits.setdefault(member.subject, set()).add(member.split)
    return sorted(subject for subject, found in splits.items() if len(found) > 1)


def with_membership(samples: pa.Table, members: dict[str, Membership]) -> pa.Table:
    """`samples` with the columns subject and split."""
    names = samples["recording"].to_pylist()
    table = samples.append_column("subject", pa.array([members[name].subject for name in names], pa.string()))
    return table.append_column("split", pa.array([members[name].split for name in names], pa.string()))


def _at_their_places(samples: pa.Table, places: dict[str, str]) -> pa.Table:
    pairs = zip(samples["recording"].to_pylist(), samples["file"].to_pylist(), strict=True)
    files = pa.array([places.get(recording, "") + file for recording, file in pairs], pa.string())
    return samples.set_column(samples.schema.get_field_index("file"), "file", files)


def describe(
    dataset: str, settings: dict[str, object], samples: pa.Table, outcomes: pa.Table, leaking: list[str]
) -> dict[str, object]:
    """The dataset's card: what is in it, what was left out and why, and the hash of its settings."""
    seconds = pc.divide(pc.subtract(samples["stop_ns"], samples["start_ns"]).cast(pa.float64()), 1e9)
    splits = {}
    for split in sorted(set(samples["split"].to_pylist())):
        chosen = pc.equal(samples["split"], split)
        splits[split] = {
            "samples": pc.sum(chosen).as_py(),
            "hours": round(pc.sum(seconds.filter(chosen)).as_py() / 3600, 6),
            "subjects": pc.count_distinct(samples["subject"].filter(chosen)).as_py(),
        }
    reasons = outcomes.group_by(["outcome", "reason"]).aggregate([("step", "count")]).to_pylist()
    text = json.dumps(settings, sort_keys=True)
    return {
        "dataset": dataset,
        "settings": settings,
        "settings_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "splits": splits,
        "candidates": outcomes.num_rows,
        "outcomes": {
            " ".join(filter(None, (row["outcome"], row["reason"]))): row["step_count"]
            for row in sorted(reasons, key=lambda row: (row["outcome"], row["reason"]))
        },
        # A split inside a subject shows a model whom it has learned from: its scores claim too much.
        "leaky": bool(leaking),
        "subjects_in_several_splits": leaking,
        "normalisation": OF_POSES if settings.get("kind") == "poses" else NORMALISATION,
    }


def remove_splits(folder: Path, splits: set[str]) -> None:
    """Remove the folders and shards of splits that no recording stands in any more: no rule makes them again, and
    whoever trains reads all that there is."""
    for stale in (folder / place for split in sorted(splits) for place in (split, f"shards/{split}")):
        if stale.is_dir():
            log.warning("%s is removed: no recording of the dataset stands in this split any more", stale)
            folder_entries.forget(stale)
            atomic.remove(stale)


def index_dataset(
    indexes: list[Path],
    ledgers: list[Path],
    splits: Path,
    out_index: Path,
    out_card: Path,
    *,
    dataset: str,
    settings: dict[str, object],
    places: dict[str, str] | None = None,
) -> None:
    """Concatenate the indexes in the sheet's order, add subject and split, and write the card.

    places: where the windows of a recording are, from the dataset's folder, if another dataset makes them.
    Raises RunError if the written samples of the ledgers are not those of the indexes, or two have one name.
    """
    members = split_table.read(splits)
    tables = [sample_index.read(path) for path in indexes]
    samples = with_membership(pa.concat_tables(tables) if tables else sample_index.SCHEMA.empty_table(), members)
    outcomes = ledger.read(ledgers)
    written = outcomes.filter(pc.equal(outcomes["outcome"], "written"))
    if written["item"].to_pylist() != samples["sample"].to_pylist():
        raise RunError(f"{dataset}: {written.num_rows} windows are written, but {samples.num_rows} are indexed")
    if doubled := [name for name, count in Counter(samples["sample"].to_pylist()).items() if count > 1]:
        raise RunError(f"{dataset}: {len(doubled)} names stand for two windows each, such as {doubled[0]}; rename one")
    remove_splits(out_index.parent, set(SPLITS) - {member.split for member in members.values()})
    table_file.write(out_index, _at_their_places(samples, places or {}))
    card = describe(dataset, settings, samples, outcomes, leaking_groups(members))
    json_file.write(out_card, card)


if __name__ == "__main__":
    run(index_dataset)
