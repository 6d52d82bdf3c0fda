"""One ledger of the whole run."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.errors import RunError
from scripts.common.ledger import Row
from scripts.reports.merge_ledgers import COUNT_COLUMNS, FAILED_COLUMNS, merge_ledgers


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(path: str) -> list[list[str]]:
    with Path(path).open(newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


def merge(*ledgers: list[Row], excluded=()):
    paths = []
    for number, rows in enumerate(ledgers):
        paths.append(Path(f"{number}.ledger.parquet"))
        ledger.write(paths[-1], rows)
    merge_ledgers(
        paths, Path("ledger.parquet"), Path("ledger.tsv"), Path("failed.tsv"), results="results", excluded=excluded
    )
    return ledger.rows(ledger.read([Path("ledger.parquet")])), table("ledger.tsv")[1:], table("failed.tsv")[1:]


def window(recording: str, number: int, reason: str = "") -> Row:
    return Row("extract_windows", recording, f"{recording}_{number}", "filtered" if reason else "written", reason)


def test_the_counts_name_each_step_in_its_order_with_outcome_and_reason():
    rows, counts, failed = merge(
        [
            Row("export_bag", "a", "left", "written"),
            Row("export_bag", "a", "right", "failed", "no_topic", message="no /x"),
        ],
        [Row("conform_video", "a", "right", "failed", ledger.UPSTREAM)],
        [window("a", 0), window("a", 1, "jump"), window("a", 2), window("a", 3, "gap"), window("a", 4, "jump")],
    )
    assert len(rows) == 8
    assert counts == [
        ["export_bag", "written", "", "1"],
        ["export_bag", "failed", "no_topic", "1"],
        ["conform_video", "failed", "upstream", "1"],
        ["extract_windows", "written", "", "2"],
        ["extract_windows", "filtered", "gap", "1"],
        ["extract_windows", "filtered", "jump", "2"],
    ]
    assert failed == [["a", "export_bag", "right", "no_topic", "no /x", "0.ledger.parquet"]]


OUTCOMES = st.sampled_from(
    [("written", ""), ("filtered", "jump"), ("filtered", "gap"), ("failed", "x"), ("failed", "upstream")]
)


@given(
    st.dictionaries(st.tuples(st.sampled_from("stu"), st.sampled_from("ab"), st.integers(0, 5)), OUTCOMES),
    st.booleans(),
)
@settings(max_examples=40)
def test_counts_add_up_to_the_items_of_every_step(items, halved):
    rows = [Row(step, recording, str(item), *end) for (step, recording, item), end in items.items()]
    middle = len(rows) // 2 if halved else 0
    merged, counts, failed = merge(rows[:middle], rows[middle:])
    assert merged == rows
    assert sum(int(row[3]) for row in counts) == len(items)
    by_step = Counter(step for step, _, _ in items)
    for step, total in by_step.items():
        assert sum(int(row[3]) for row in counts if row[0] == step) == total
    assert len(failed) == sum(end == ("failed", "x") for end in items.values())


def test_an_item_that_ends_twice_in_a_step_is_an_error():
    with pytest.raises(RunError, match=r"1 items ended twice, e\.g\. conform_video/a/left"):
        merge([Row("conform_video", "a", "left", "written")], [Row("conform_video", "a", "left", "failed", "x")])


def test_a_recording_that_a_person_has_ruled_out_is_an_item_that_was_filtered():
    rows, counts, failed = merge([Row("export_bag", "a", "left", "written")], excluded=[["b", "blurred"]])
    assert (rows[0].recording, rows[0].outcome, rows[0].reason, rows[0].message) == (
        "b",
        "filtered",
        "excluded",
        "blurred",
    )
    assert counts[0] == ["import", "filtered", "excluded", "1"]
    assert failed == []


def test_a_run_without_ledgers_has_tables_with_their_headers():
    assert merge() == ([], [], [])
    assert (table("ledger.tsv"), table("failed.tsv")) == ([COUNT_COLUMNS], [FAILED_COLUMNS])


def test_a_message_with_tabs_and_quotes_stays_one_cell():
    _, _, failed = merge([Row("import_video", "a", "front", "failed", "x", message='the "file"\tis odd')])
    assert failed == [["a", "import_video", "front", "x", 'the "file"\tis odd', "0.ledger.parquet"]]


@pytest.mark.parametrize("results", ["results", "datasets/run1", "a/datasets/b/datasets"])
def test_a_recording_may_end_once_in_each_dataset_that_uses_it(results):
    for name in ("x", "y"):
        Path(f"{results}/datasets/{name}").mkdir(parents=True)
        ledger.write(Path(f"{results}/datasets/{name}/a.ledger.parquet"), [window("a", 0)])
    paths = [Path(f"{results}/datasets/{name}/a.ledger.parquet") for name in "xyx"]
    targets = [Path(name) for name in ("ledger.parquet", "ledger.tsv", "failed.tsv")]
    merge_ledgers(paths[:2], *targets, results=results, excluded=[])
    assert table("ledger.tsv")[1:] == [["extract_windows", "written", "", "2"]]
    with pytest.raises(RunError, match="extract_windows/a/a_0"):
        merge_ledgers(paths, *targets, results=results, excluded=[])
