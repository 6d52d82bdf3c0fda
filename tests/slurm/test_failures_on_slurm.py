"""At the end of a run each cluster job that failed is named once, with its reason."""

from pathlib import Path

from tests.slurm.clusters import REPO, Cluster

SNAKEFILE = """
from scripts.planning import failures

rule all:
    input: "said", "cancelled"

rule said:
    output: "said"
    log: "logs/said.log"
    resources: mem_mb=200, runtime=5
    shell: "echo 'ERROR FAILED said: it is garbage' > {log}; exit 1"

rule cancelled:
    output: "cancelled"
    log: "logs/cancelled.log"
    resources: mem_mb=200, runtime=5
    shell: "echo begun > {log}; scancel $SLURM_JOB_ID; sleep 60"

onerror:
    print(failures.summary("logs", log))
"""


def test_each_failed_job_is_named_once_with_what_it_or_slurm_says(cluster: Cluster, tmp_path: Path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "scripts").symlink_to(REPO / "scripts")
    status, output = cluster.snakemake(tmp_path, "--retries", "0")
    assert status == 1
    _, _, summary = output.partition("2 jobs failed:\n")
    one, other = summary.splitlines()[:2]
    assert one.startswith("cancelled: SLURM says CANCELLED  (log: logs/cancelled.log, ")
    assert other == "said: it is garbage"
    assert "full disk" not in output
