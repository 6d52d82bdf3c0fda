"""What is said at the end of a run that failed."""

import os
from pathlib import Path

import pytest

from scripts.common.failures import summary

RECORD = """
Error in rule conform_audio:
    jobid: 4
    output: results/a.wav
    log: logs/conform audio/a.log (check log file(s) for error details)
Error in rule conform_audio:
    jobid: 5
    log: logs/b.log (check log file(s) for error details)
Error in rule conform_audio:
    jobid: 6
    log: logs/c.log (check log file(s) for error details)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("logs/conform audio").mkdir(parents=True)
    Path("snakemake.log").write_text(RECORD)


def test_a_job_without_room_for_its_words_is_named_beside_the_others() -> None:
    Path("logs/conform audio/a.log").touch()
    Path("logs/b.log").write_text("12:00 ERROR FAILED b: it is garbage\n")
    Path("logs/c.log").write_text("12:00 INFO done at the second attempt\n")
    assert summary("logs", ["snakemake.log"]).splitlines() == [
        "2 jobs failed:",
        "b: it is garbage",
        "logs/conform audio/a.log is empty, as on a full disk; what the job said stands above",
    ]


def test_without_failures_and_without_a_record_there_is_nothing_to_say() -> None:
    Path("logs/old.log").write_text("FAILED of an earlier run")
    os.utime("logs/old.log", (1, 1))
    assert summary("logs", ["none.log"]) == ""
