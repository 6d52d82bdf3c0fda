"""What is said at the end of a run that failed."""

import os
from pathlib import Path

import pytest

from scripts.planning.failures import summary

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
Trying to restart job 6.
[Mon Nov 30 16:36:59 2026]
Finished jobid: 6 (Rule: conform_audio)
"""
CLUSTER_LOG = "/home/.snakemake/slurm_logs/rule_conform_audio/a/66.log"
OF_SLURM = f"""
[Mon Nov 30 16:36:39 2026]
rule conform_audio:
    input: a.wav
    log: logs/one, two.log
    jobid: 7
    wildcards: microphone=a
[Mon Nov 30 16:36:39 2026]
Error in rule conform_audio:
    message: SLURM-job '66' failed, SLURM status is: 'STATUS'. Detailed failure reason unavailable (status command is \
not 'sacct').For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 7
    log: logs/one, two.log, {CLUSTER_LOG} (check log file(s) for error details)
    external_jobid: 66
"""
REFUSED = """
rule conform_audio:
    log: logs/b.log
    jobid: 8
Error in rule conform_audio:
    message: SLURM sbatch failed. The error message was 'sbatch: error: QOSMaxSubmitJobPerUserLimit
sbatch: error: Batch job submission failed: Job violates accounting/QOS policy'.
    sbatch call:
        sbatch --parsable
For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 8
    log: logs/b.log (check log file(s) for error details)
"""
LEFT_NOTHING = """
rule import_video_booth:
    log: logs/b.log
    jobid: 22
MissingOutputException in rule import_video_booth in file "/home/rules/sources.smk", line 106:
Job 22  completed successfully, but some output files are missing. Missing files after 60 seconds. This might be:
results/booth/s4/front.mp4 (missing locally, parent dir not present)
results/booth/s4/voice.wav (missing locally, parent dir not present)
Trying to restart job 22.
MissingOutputException in rule import_video_booth in file "/home/rules/sources.smk", line 106:
Job 22  completed successfully, but some output files are missing. Missing files after 60 seconds. This might be:
results/booth/s4/front.mp4 (missing locally, parent dir not present)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("logs/conform audio").mkdir(parents=True)


def said(record: str) -> list[str]:
    Path("snakemake.log").write_text(record)
    return summary("logs", ["snakemake.log"]).splitlines()


def test_a_job_without_room_for_its_words_is_named_beside_the_others() -> None:
    Path("logs/conform audio/a.log").touch()
    Path("logs/b.log").write_text("12:00 ERROR FAILED b: it is garbage\n")
    Path("logs/c.log").write_text("12:00 INFO done at the second attempt\n")
    assert said(RECORD) == [
        "2 jobs failed:",
        "b: it is garbage",
        "logs/conform audio/a.log is empty, as of a job that is killed, or on a full disk; what it said stands above",
    ]


def test_a_job_that_was_killed_is_named_although_its_log_has_no_reason() -> None:
    Path("logs/b.log").write_text("12:00 INFO 120 of 1000 frames\n")
    record = "Error in rule conform_audio:\n    message: None\n    jobid: 5\n    log: logs/b.log (check log file(s) for"
    assert said(f"{record} error details)\n") == [
        "1 job failed:",
        "conform_audio: its log does not say why, as when a job is killed  (log: logs/b.log)",
    ]


def test_a_cluster_job_that_says_why_it_failed_is_named_once() -> None:
    Path("logs/one, two.log").write_text("12:00 ERROR FAILED conform_audio a: it is garbage\n")
    assert said(OF_SLURM.replace("STATUS", "FAILED")) == ["1 job failed:", "conform_audio a: it is garbage"]


@pytest.mark.parametrize("status", ["CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"])
def test_a_cluster_job_that_slurm_ended_is_named_once_with_what_slurm_says(status: str) -> None:
    record = OF_SLURM.replace("STATUS", status)
    named = f"conform_audio: SLURM says {status}  (log: logs/one, two.log, {CLUSTER_LOG})"
    assert said(record) == ["1 job failed:", named]
    Path("logs/one, two.log").write_text("12:00 INFO 120 of 1000 frames\n")
    assert said(record) == ["1 job failed:", named]
    Path("logs/one, two.log").write_text("12:00 ERROR FAILED conform_audio a: ffmpeg was killed\n")
    assert said(record) == ["1 job failed:", f"conform_audio a: ffmpeg was killed; SLURM says {status}"]


def test_a_cluster_job_that_never_came_to_its_own_log_points_to_slurm_s() -> None:
    assert said(OF_SLURM.replace("STATUS", "FAILED")) == [
        "1 job failed:",
        f"conform_audio: its log does not say why, as when a job is killed  (log: logs/one, two.log, {CLUSTER_LOG})",
    ]


def test_a_job_that_slurm_refused_says_what_sbatch_said() -> None:
    assert said(REFUSED) == [
        "1 job failed:",
        "conform_audio: SLURM sbatch failed. The error message was 'sbatch: error: QOSMaxSubmitJobPerUserLimit sbatch: "
        "error: Batch job submission failed: Job violates accounting/QOS policy'.  (log: logs/b.log)",
    ]


def test_a_job_that_left_nothing_at_any_attempt_is_named_once() -> None:
    assert said(LEFT_NOTHING) == [
        "1 job failed:",
        "import_video_booth: it ended well, but results/booth/s4/front.mp4 is missing  (log: logs/b.log)",
    ]
    assert said(f"{LEFT_NOTHING}Finished jobid: 22 (Rule: import_video_booth)\n") == []


def test_without_failures_and_without_a_record_there_is_nothing_to_say() -> None:
    Path("logs/old.log").write_text("FAILED of an earlier run")
    os.utime("logs/old.log", (1, 1))
    assert summary("logs", ["none.log"]) == ""
