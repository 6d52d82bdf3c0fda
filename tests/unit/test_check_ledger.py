"""The last word of a run."""

from pathlib import Path

import pytest

from scripts.common import json_file
from scripts.common.errors import RunError
from scripts.common.failed_items import SHOWN
from scripts.reports.check_ledger import check_ledger
from scripts.reports.merge_ledgers import FAILED_COLUMNS, write_tsv

pytestmark = pytest.mark.usefixtures("here")


def check(*recordings, known_failures=(), items=("front",), **tables):
    """tables: how their rows ended, as on a card."""
    rows = [
        [name, "import_video", item, "unreadable", f"{name}.mov is no video"] for name in recordings for item in items
    ]
    write_tsv(Path("failed.tsv"), FAILED_COLUMNS, rows)
    cards = [Path(f"{name}.json") for name in tables]
    for card, (name, ended) in zip(cards, tables.items(), strict=True):
        json_file.write(card, {"dataset": name, "rows": ended})
    inputs = Path("failed.tsv"), cards, [], [], []
    check_ledger(*inputs, Path("checked"), known_failures=known_failures, tables=list(tables))
    return Path("checked").read_text()


def test_a_run_without_failures_is_checked():
    assert check() == "0 failed, all of them accepted\n"


def test_a_failure_ends_the_run_and_says_what_where_why_and_what_to_do():
    with pytest.raises(RunError) as error:
        check("a", "b")
    assert str(error.value).splitlines() == [
        "2 items failed; everything else is finished:",
        "  a, front: a.mov is no video (import_video, unreadable)",
        "  b, front: b.mov is no video (import_video, unreadable)",
        "  Mend or remove the source and give the same command again, rule a recording out in the exclusions sheet, or "
        "accept it by the config key `known_failures`.",
    ]
    assert not Path("checked").exists()


def test_streams_that_fail_for_the_same_cause_share_a_line():
    with pytest.raises(RunError) as error:
        check("a", items=("front", "voice"))
    first, second, *_ = str(error.value).splitlines()
    assert first == "2 items failed; everything else is finished:"
    assert second == "  a, front, voice: a.mov is no video (import_video, unreadable)"


def test_an_accepted_failure_lets_the_run_end_well():
    assert check("a", "a", known_failures=["a", "z"]) == "2 failed, all of them accepted\n"


def test_a_new_failure_beside_an_accepted_one_is_named_alone():
    with pytest.raises(RunError) as error:
        check("a", "b", known_failures=["a"])
    assert "1 item failed" in str(error.value)
    assert "a.mov" not in str(error.value)


def test_some_rows_of_a_table_may_fail_and_are_counted():
    tables = {"web": {"failed not_found": 2, "written": 1}, "dull": {"failed status": 1, "filtered min_s": 4}, "no": {}}
    said = check("web", "web", "dull", "a", known_failures=["a"], **tables)
    assert said == "1 failed, all of them accepted\n3 rows of tables failed, as many as failed_share allows\n"


def test_a_table_all_of_whose_rows_failed_ends_the_run_badly():
    ends = {"failed not_found": 1, "failed upstream": 1}
    with pytest.raises(RunError, match=r"^web: all of its 2 rows failed: mend the table.*retry=failed`$"):
        check("web", "web", web=ends, other={"written": 1})
    assert not Path("checked").exists()


def test_many_failures_are_shown_as_far_as_a_terminal_goes():
    with pytest.raises(RunError) as error:
        check(*(f"r{number}" for number in range(SHOWN + 3)))
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{SHOWN + 3} items failed")
    assert lines[-2] == "  … and 3 more in failed.tsv"
    assert len(lines) == SHOWN + 3
