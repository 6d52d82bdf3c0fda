"""One ledger of the whole run."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common import manifest as manifests
from scripts.common.errors import RunError
from scripts.common.ledger import Row
from scripts.reports.merge_ledgers import COUNT_COLUMNS, FAILED_COLUMNS, merge_ledgers
from tests.unit.examples import conformed_frames

pytestmark = pytest.mark.usefixtures("here")


def table(path: str) -> list[list[str]]:
    with Path(path).open(newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


def merge(*ledgers: list[Row], excluded=(), of=(), stretches=()):
    paths = []
    for number, rows in enumerate(ledgers):
        paths.append(Path(f"{number}.ledger.parquet"))
        ledger.write(paths[-1], rows)
    targets = [Path(name) for name in ("ledger.parquet", "ledger.tsv", "failed.tsv")]
    merge_ledgers(paths, of, *targets, results="results", excluded=excluded, stretches=stretches)
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


def manifest_of(recording: str, seconds: float) -> Path:
    frames = conformed_frames(round(seconds * 25))
    path = Path(f"{recording}.json")
    manifests.write(path, recording=recording, source=[], streams={"front": manifests.picture_entry(frames)})
    return path


def test_an_exclusion_beyond_the_end_of_its_recording_is_said_to_have_failed():
    files = [manifest_of("a", 4), manifest_of("b", 4)]
    missed = ["a", 0.0, 100.0, 200.0]
    met = [["a", 0.0, 3.9, 200.0], ["b", 60.0, 63.0, None], ["a", 0.0, 1.0, 2.0]]
    rows, counts, failed = merge(of=files, stretches=[missed, *met, ["b", 60.0, 64.0, None], missed])
    assert counts == [["exclude", "failed", "beyond_end", "2"]]
    assert [row[:4] for row in failed] == [
        ["a", "exclude", "100 s to 200 s", "beyond_end"],
        ["b", "exclude", "64 s to the end", "beyond_end"],
    ]
    assert failed[0][4] == "nothing is left out from 100 s to 200 s: the recording ends at 4.000 s; see the exclusions"
    assert [(row.value, row.limit) for row in rows] == [(100.0, 4.0), (64.0, 64.0)]


def test_an_exclusion_of_a_recording_that_failed_is_no_failure_of_its_own():
    Path("a.json").write_text('{"failed": "unreadable"}')
    nothing = manifests.failed_entry("video", "no_picture", "it holds none")
    manifests.write(Path("b.json"), recording="b", source=[], streams={"front": nothing})
    stretches = [["a", 0.0, 100.0, None], ["b", 0.0, 100.0, None]]
    assert merge(of=[Path("a.json"), Path("b.json")], stretches=stretches) == ([], [], [])


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
    merge_ledgers(paths[:2], [], *targets, results=results, excluded=[], stretches=[])
    assert table("ledger.tsv")[1:] == [["extract_windows", "written", "", "2"]]
    with pytest.raises(RunError, match="extract_windows/a/a_0"):
        merge_ledgers(paths, [], *targets, results=results, excluded=[], stretches=[])
