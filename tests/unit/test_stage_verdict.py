"""What a run up to a stage is judged by: the ledgers of its own jobs, and the cards of tables."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_common.exceptions import ApiError

from scripts.common import json_file, ledger
from scripts.common.ledger import Row
from scripts.planning import stage_verdict


class Output(str):
    """A file of a job, as Snakemake names it."""

    is_storage = False


def judge(folder: Path, *rows: Row, accepted: tuple[str, ...] = (), card: dict[str, int] | None = None) -> None:
    """The verdict on a job with these rows, beside one that has not run, and on a table whose rows ended so."""
    ledger.write(folder / "a.ledger.parquet", rows)
    files = [folder / "a.ledger.parquet", folder / "later.ledger.parquet", folder / "a.mp4", folder / "card.json"]
    if card is not None:
        json_file.write(folder / "card.json", {"dataset": "web", "rows": card})
    dag = SimpleNamespace(jobs=[SimpleNamespace(output=[Output(file)]) for file in files])
    stage_verdict._judge(dag, accepted, {"web": str(folder / "card.json")})


def failed(recording: str, reason: str = "unreadable") -> Row:
    return Row("import_video", recording, "front", "failed", reason, message="it is garbage")


def test_what_is_written_filtered_or_failed_upstream_ends_well(tmp_path: Path) -> None:
    judge(tmp_path, Row("s", "a", "x", "written"), Row("s", "a", "y", "filtered", "short"), failed("a", "upstream"))


def test_a_failure_that_nobody_accepted_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"1 item failed; .*\n  a, front: it is garbage \(import_video, unreadable\)"):
        judge(tmp_path, failed("a"), failed("b"), accepted=("b",))
    judge(tmp_path, failed("a"), accepted=("a",))


def test_rows_of_a_table_may_fail_but_not_all_of_them(tmp_path: Path) -> None:
    judge(tmp_path, failed("web"), card={"failed status": 3, "written": 1})
    with pytest.raises(ApiError, match="web: all of its 4 rows failed"):
        judge(tmp_path, failed("web"), card={"failed status": 3, "failed timeout": 1})
