"""What reaches sbatch: a rule's needs, without SLURM on the machine."""

from pathlib import Path

import pytest

from tests.slurm.clusters import Cluster

SNAKEFILE = """
rule all:
    input: "plain", "threads", "gpu", "late"

rule plain:
    output: "plain"
    shell: "touch {output}"

rule threads:
    output: "threads"
    threads: 4
    resources: mem_mb=3000, runtime=90, constraint=lambda wildcards: None, gpu=0, gpu_model=""
    shell: "touch {output}"

rule gpu:
    output: "gpu"
    threads: 2
    resources: mem_mb=9000, runtime=30, gpu=1, constraint="sm_80|sm_89", slurm_extra="--exclude=node07"
    shell: "echo $CUDA_VISIBLE_DEVICES > {output}"

rule late:
    output: "late"
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=lambda wildcards, attempt: 1 + 30 * (attempt - 1),
    shell: "test {resources.runtime} -gt 1 || sleep 60; touch {output}"
"""


@pytest.fixture(scope="module")
def run(fake: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[str]]]]:
    """One run of a toy workflow: its folder, and the sbatch calls of each rule."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(SNAKEFILE)
    status, output = fake.snakemake(folder)
    assert status == 0, output
    return folder, fake.submissions()


def asked(call: list[str]) -> dict[str, str]:
    """The options of an sbatch call that are about resources."""
    flat = [part for argument in call for part in argument.split("=", 1)]
    names = ("-p", "-t", "-C", "-A", "--mem", "--cpus-per-task", "--gpus", "--qos", "--exclude")
    return {name: flat[flat.index(name) + 1] for name in names if name in flat}


def test_a_rule_without_needs_gets_the_profile_s_defaults(run):
    _, calls = run
    assert [asked(call) for call in calls["plain"]] == [
        {"-p": "cpu", "-t": "30", "--mem": "2000", "--cpus-per-task": "1"}
    ]


def test_threads_memory_and_time_arrive_and_empty_gpu_needs_do_not(run):
    _, calls = run
    assert [asked(call) for call in calls["threads"]] == [
        {"-p": "cpu", "-t": "90", "--mem": "3000", "--cpus-per-task": "4"}
    ]


def test_a_gpu_is_asked_for_where_the_site_has_gpus(run):
    folder, calls = run
    assert [asked(call) for call in calls["gpu"]] == [
        {
            "-p": "gpu",
            "-t": "30",
            "-C": "sm_80|sm_89",
            "--mem": "9000",
            "--cpus-per-task": "2",
            "--gpus": "1",
            "--exclude": "node07",
        }
    ]
    assert (folder / "gpu").read_text() == "0\n"


def test_a_job_that_ran_out_of_time_gets_more_time_and_memory(run):
    _, calls = run
    assert [asked(call) for call in calls["late"]] == [
        {"-p": "cpu", "-t": "1", "--mem": "500", "--cpus-per-task": "1"},
        {"-p": "cpu", "-t": "31", "--mem": "1000", "--cpus-per-task": "1"},
    ]


def test_no_call_names_an_account_or_a_quality_of_service(run):
    _, calls = run
    assert not [call for rule in calls.values() for call in rule if {"-A", "--qos"} & asked(call).keys()]
