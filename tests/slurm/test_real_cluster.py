"""What only a real cluster can show: GPUs are handed out, and time limits are kept."""

from pathlib import Path

import pytest

from tests.slurm.clusters import Cluster

pytestmark = pytest.mark.slurm

SNAKEFILE = """
rule all:
    input: "gpu", "late"

rule gpu:
    output: "gpu"
    resources: mem_mb=200, runtime=5, gpu=1
    shell: "echo ${{CUDA_VISIBLE_DEVICES:-none}} > {output}"

rule late:
    output: "late"
    resources: mem_mb=200, runtime=lambda wildcards, attempt: attempt
    shell:
        "test {resources.runtime} -gt 1 || sleep 600; "
        "squeue --jobs $SLURM_JOB_ID --noheader --format %l > {output}"
"""


def test_a_job_gets_one_gpu_and_a_late_job_more_time(real_slurm: Cluster, tmp_path: Path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    status, output = real_slurm.snakemake(tmp_path)
    assert status == 0, output
    assert (tmp_path / "gpu").read_text().strip() in ("0", "1")
    assert "SLURM status is: 'TIMEOUT'" in output
    assert (tmp_path / "late").read_text().strip() == "2:00"
