"""Sequences of a clip classifier: where they lie, and what becomes of bouts that are shorter."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.models.labelled_samples import read_sequences
from tests.unit.small_classifiers import train, write_frames

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("still") / "d", moving=False, bouts=1)


def test_a_sequence_lies_in_one_bout_of_one_recording_without_a_gap(still):
    samples = read_sequences(still, 5, 2)[0]
    assert samples
    for sample in samples:
        numbers = [int(file.path.stem.split("_")[1]) for file in sample.files]
        assert np.diff(numbers).tolist() == [2] * 4
        assert len({file.path.name[:2] for file in sample.files}) == 1
        assert numbers[0] // 13 == numbers[-1] // 13


def with_jumps(still, path, length_of):
    """The dataset with a bout `jump` in front of each bout of `right`, of whose frames it takes so many; by subject."""
    table = pq.read_table(still)
    rows = table.select(["label", "subject", "frame"]).to_pylist()
    # Bouts are of 12 frames and a gap; that of `right` is the third.
    jumps = [row["label"] == "right" and row["frame"] - 26 < length_of(row["subject"]) for row in rows]
    labels = ["jump" if jump else row["label"] for jump, row in zip(jumps, rows, strict=True)]
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels)), path)
    return path


def test_frames_of_bouts_too_short_for_a_sequence_are_counted_and_their_class_is_named(still, tmp_path, caplog):
    index = with_jumps(still, still.parent / "jumps.parquet", lambda subject: 3)
    found = train("clip", index, tmp_path / "out", tmp_path / "w", epochs=1, frames=4)
    # Of each subject: `jump` has 3 frames, `right` the other 9, of which two sequences take 8.
    assert found["in_no_sequence"] == {
        "jump": {"frames": 18, "whole_bouts": 6},
        "right": {"frames": 6, "whole_bouts": 0},
    }
    assert [found[f"missing_in_{name}"] for name in ("train", "val", "test")] == [["jump"]] * 3
    rows = ledger.rows(ledger.read([tmp_path / "out" / "ledger.parquet"]))
    assert [(row.item, row.outcome, row.reason, row.value) for row in rows] == [
        ("m.whole", "written", "", None),
        ("m.whole jump short_bout", "filtered", "short_bout", 18.0),
        ("m.whole right rest_of_bout", "filtered", "rest_of_bout", 6.0),
    ]
    in_sequences = 4 * sum(found["samples"].values())
    assert in_sequences + sum(row.value for row in rows[1:]) == pq.read_metadata(index).num_rows
    said = "m: no bout of jump is as long as a sequence; 4 frames in a row make one: see models.m.frames and step"
    assert [record.message for record in caplog.records if "jump" in record.message] == [said]


def test_a_class_that_one_split_alone_lacks_is_said_and_stands_in_the_figures(still, tmp_path, caplog):
    index = with_jumps(still, still.parent / "one.parquet", lambda subject: 3 if subject == "s5" else 4)
    found = train("clip", index, tmp_path / "out", tmp_path / "w", epochs=1, frames=4)
    assert [found[f"missing_in_{name}"] for name in ("train", "val", "test")] == [[], [], ["jump"]]
    assert [record.message for record in caplog.records if "jump" in record.message] == ["m, whole: test lacks jump"]


def test_bouts_that_hold_no_sequence_at_all_are_why_a_training_has_no_sample(still, tmp_path):
    with pytest.raises(InputError, match=r"no sample stands in split train; 25 frames in a row .*models\.m\.frames"):
        train("clip", still, tmp_path / "o", tmp_path / "w", epochs=1, frames=13, step=2)
