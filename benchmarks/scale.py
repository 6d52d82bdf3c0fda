"""python -m benchmarks.scale: what a dry run costs, beside a bare Snakefile with as many jobs.

Recordings are empty files; every stage is planned. The start (an empty sheet, an empty Snakefile) is subtracted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import Row, publish

REPO = Path(__file__).parents[1]
# Snakemake waits a tenth of a second for each job that it only pretends to run.
PRETEND = "import time; time.sleep = lambda seconds: None; from snakemake.cli import main; main()"
CONFIG = """
recordings: config/recordings.tsv
results: results
rigs:
  booth: {source: file, cameras: {front: "{source}"}, microphones: {voice: ["{stem}.wav", "{source}"]}}
datasets:
  visemes: {kind: windows, rig: booth, landmarks: given, split: {by: recording}}
"""
# As many steps a recording as the house has, each with log, benchmark, params and resources.
BARE = """
NAMES = [f"r{{number:05d}}" for number in range({count})]
rule all:
    input: expand("out/e/{{name}}", name=NAMES)
"""
BARE_RULE = """
rule {name}:
    input: "{source}"
    output: "out/{name}/{{name}}"
    log: "logs/{name}/{{name}}.log"
    benchmark: "benchmarks/{name}/{{name}}.tsv"
    params: fps="25", name="{{name}}"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    shell: "cp {{input}} {{output}} 2> {{log}}"
"""


class Cost(NamedTuple):
    """What one command took: CPU seconds, for a dry run waits for nothing, and a busy machine must not count."""

    cpu_s: float
    peak_kb: float


def run(folder: Path, *arguments: str) -> Cost:
    """Run Snakemake in `folder`; the memory is that of the child alone."""
    command = [sys.executable, "-m", "snakemake", "--nolock", "--cores", "1", *arguments]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed in {folder}: run it there to see why")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def house(folder: Path, count: int) -> list[str]:
    """A workspace of `count` recordings, and Snakemake's arguments for it."""
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text(CONFIG)
    (folder / "config" / "models.yaml").write_text("{}\n")
    (folder / "source").mkdir()
    rows = ["recording\trig\tsource\tlandmarks\tsplit"]
    for number in range(count):
        for ending in ("mp4", "npy"):
            (folder / "source" / f"r{number:05d}.{ending}").touch()
        split = "val" if number % 10 == 9 else "train"
        rows.append(f"r{number:05d}\tbooth\tsource/r{number:05d}.mp4\tsource/r{number:05d}.npy\t{split}")
    (folder / "config" / "recordings.tsv").write_text("\n".join(rows) + "\n")
    return ["--snakefile", str(REPO / "Snakefile")]


def bare(folder: Path, count: int) -> list[str]:
    """A Snakefile with five rules a recording, and Snakemake's arguments for it."""
    (folder / "source").mkdir(parents=True)
    for number in range(count):
        (folder / "source" / f"r{number:05d}").touch()
    text = BARE.format(count=count)
    for source, name in zip(["source", "out/a", "out/b", "out/c", "out/d"], "abcde", strict=True):
        text += BARE_RULE.format(name=name, source=source + "/{name}")
    (folder / "Snakefile").write_text(text)
    return []


def count_jobs(folder: Path, arguments: list[str]) -> int:
    """Jobs that a dry run shows."""
    command = [sys.executable, "-m", "snakemake", "--nolock", "-n", "--quiet", "rules", *arguments]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    totals = [line.split()[1] for line in (shown.stdout + shown.stderr).splitlines() if line.startswith("total")]
    return int(totals[-1])


def make_outputs(folder: Path, arguments: list[str]) -> None:
    """Stand-ins for every output, so that nothing is left to be done."""
    command = [sys.executable, "-m", "snakemake", "--nolock", "--detailed-summary", *arguments]
    lines = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    directories = {"npz", "train", "val", "test"}
    for line in lines[1:]:
        path = folder / line.split("\t")[0]
        if path.parent.name == "npz" or path.name in directories:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    pretend = ["--nolock", "--cores", "1000", "--touch", "--forceall", "--scheduler", "greedy", "--quiet", "all"]
    subprocess.run([sys.executable, "-c", PRETEND, *pretend, *arguments], cwd=folder, capture_output=True, check=True)


def measure(counts: list[int], repeats: int) -> list[Row]:
    """Dry runs of the house and of the bare Snakefile, for each number of recordings."""
    rows = []
    per_job: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for kind, make in (("bare", bare), ("house", house)):
            start = _median(Path(scratch) / f"{kind}0", make, 0, repeats)[1]
            for count in counts:
                folder = Path(scratch) / f"{kind}{count}"
                arguments, cost = _median(folder, make, count, repeats)
                jobs = count_jobs(folder, arguments)
                print(f"{kind} {count}: {jobs} jobs, {cost.cpu_s:.1f} s, {cost.peak_kb / 1024:.0f} MB", flush=True)
                per_job[kind, count] = (cost.cpu_s - start.cpu_s) / jobs * 1000
                per_job[f"{kind} kB", count] = (cost.peak_kb - start.peak_kb) / jobs
                per_job[f"{kind} s", count] = cost.cpu_s
                if count == counts[0]:
                    make_outputs(folder, arguments)
                    idle = _repeat(folder, ["-n", "-q", *arguments], repeats)
                    per_job[f"{kind} idle", count] = (idle.cpu_s - start.cpu_s) / jobs * 1000
    first, last = counts[0], counts[-1]
    command = "make bench AREA=scale"

    def row(measure: str, unit: str, key: str, limit: float) -> Row:
        value, other = per_job[f"house{key}", first], per_job[f"bare{key}", first]
        return Row(measure, value, unit, "bare Snakefile", other, value / other, f"<= {limit}", value <= limit, command)

    rows.append(row(f"scale.dry_run_{first}", "CPU ms/job", "", 1.6))
    rows.append(row(f"scale.memory_{first}", "kB/job", " kB", 25))
    rows.append(row(f"scale.nothing_to_do_{first}", "CPU ms/job", " idle", 1.0))
    growth, other = (per_job[f"{kind} s", last] / per_job[f"{kind} s", first] for kind in ("house", "bare"))
    limit = 2.2 * last / first / 2
    name, goal = f"scale.{last}_against_{first}", f"<= {limit:g}"
    rows.append(Row(name, growth, "x", "bare Snakefile", other, growth / other, goal, growth <= limit, command))
    return rows


def _median(folder: Path, make: object, count: int, repeats: int) -> tuple[list[str], Cost]:
    arguments: list[str] = make(folder, count)  # type: ignore[operator]
    return arguments, _repeat(folder, ["-n", "-q", *arguments], repeats)


def _repeat(folder: Path, arguments: list[str], repeats: int) -> Cost:
    costs = [run(folder, *arguments) for _ in range(repeats)]
    return Cost(statistics.median(c.cpu_s for c in costs), statistics.median(c.peak_kb for c in costs))


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--recordings", type=int, nargs="+", default=[2000, 4000])
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    publish("scale", measure(chosen.recordings, chosen.repeats))


if __name__ == "__main__":
    main()
