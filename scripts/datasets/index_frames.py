"""One table of all pictures of a dataset, the ledger of what came of them, and the card that says what they are."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import frame_index, json_file, ledger
from scripts.common.errors import RunError
from scripts.common.frame_index import IndexWriter
from scripts.common.job import run
from scripts.datasets.frame_classes import Decisions
from scripts.datasets.frame_layouts import class_folder_path
from scripts.datasets.stale_parts import remove_stale

STEP = "index_frames"
# file: the tar below the dataset's folder that holds the picture, from `offset` on; path: its place in class folders.
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("path", pa.string()),
        ("split", pa.string()),
        ("class", pa.int32()),
        ("group", pa.string()),
        ("fold", pa.int32()),
        *frame_index.SCHEMA,
    ]
)


def index_frames(
    pictures: list[Path],
    ledgers: list[Path],
    tars: list[Path],
    splits: Path,
    classes: Path,
    out_index: Path,
    out_card: Path,
    out_ledger: Path,
    *,
    dataset: str,
    parts: list[list[str]],
    settings: dict[str, Any],
) -> None:
    """Gather the parts, (recording, camera) each, in their order; shards and clips of others are removed.

    Raises RunError if the pictures of a part are not those that its ledger counts.
    """
    remove_stale(out_index.parent, [(recording, camera) for recording, camera in parts])
    decisions = Decisions.read(splits, classes)
    counts: Counter[tuple[str, str, str]] = Counter()
    with IndexWriter(out_index, SCHEMA) as index:
        for path, tar, (recording, camera) in zip(pictures, tars, parts, strict=True):
            for row in frame_index.rows(path):
                member = decisions.membership(row)
                if not decisions.is_drawn(row, member.split):
                    counts[recording, camera, "cap"] += 1
                    continue
                counts[recording, camera, ""] += 1
                own = {"file": f"{tar.parent.name}/{tar.name}", "path": class_folder_path(row, member.split)}
                number = decisions.classes.index(row["label"])
                of_split = {"split": member.split, "class": number, "group": member.group, "fold": member.fold}
                index.add({**own, **of_split, **row})
    written = _written(ledgers)
    for recording, camera in parts:
        have = counts[recording, camera, ""] + counts[recording, camera, "cap"]
        if have != written[recording, camera]:
            raise RunError(
                f"{dataset}: {written[recording, camera]} pictures of {recording}, {camera} are written, "
                f"but {have} are indexed"
            )
    rows = []
    for (recording, camera, reason), count in sorted(counts.items()):
        outcome, item = "filtered" if reason else "written", f"{camera} {reason}".rstrip()
        rows.append(ledger.Row(STEP, recording, item, outcome, reason, float(count)))
    ledger.write(out_ledger, rows)
    card = describe(dataset, settings, json_file.read(classes), counts, ledger.read(ledgers))
    json_file.write(out_card, card)


def _written(ledgers: list[Path]) -> Counter[tuple[str, str]]:
    """Pictures that the ledgers of the parts count, by recording and camera."""
    found: Counter[tuple[str, str]] = Counter()
    for row in ledger.rows(ledger.read(ledgers)):
        if row.outcome == "written":
            found[row.recording, row.item.partition("/")[0]] += round(row.value or 0)
    return found


def describe(
    dataset: str,
    settings: dict[str, Any],
    found: dict[str, Any],
    counts: Counter[tuple[str, str, str]],
    outcomes: pa.Table,
) -> dict[str, Any]:
    """The card: classes, frames by split and class, what was left out and why, what leaks, and how it was made."""
    values = outcomes.set_column(outcomes.schema.get_field_index("value"), "value", pc.fill_null(outcomes["value"], 0))
    sums = values.group_by(["outcome", "reason"]).aggregate([("value", "sum")]).to_pylist()
    frames = {" ".join(filter(None, (row["outcome"], row["reason"]))): round(row["value_sum"]) for row in sums}
    text = json.dumps(settings, sort_keys=True)
    return {
        "dataset": dataset,
        "settings": settings,
        "settings_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "pictures": sum(n for (_, _, reason), n in counts.items() if not reason),
        "capped": sum(n for (_, _, reason), n in counts.items() if reason),
        "outcomes": dict(sorted(frames.items())),
        **{name: value for name, value in found.items() if name not in ("seed", "limits")},
    }


if __name__ == "__main__":
    run(index_frames)
