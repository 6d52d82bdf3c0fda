"""A cluster to which a test sends its jobs."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cluster:
    """Where jobs go. environment: what finds it; log: its sbatch calls, if it writes them down."""

    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None

    def command(self, *arguments: str) -> list[str]:
        """Snakemake with the SLURM profile, asking after its jobs as often as it can."""
        profile = str(REPO / "profiles" / "slurm")
        quick = str(REPO / "tests" / "slurm" / "quick_snakemake.py")
        return [sys.executable, quick, "--profile", profile, "--latency-wait", "5", *arguments]

    def start(self, folder: Path, *arguments: str, log: str = "run.log") -> "subprocess.Popen[bytes]":
        """Begin a run in `folder`, as its own session, so that all of it can be killed."""
        with open(folder / log, "w") as output:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def snakemake(self, folder: Path, *arguments: str, timeout: float = 400) -> tuple[int, str]:
        """Run to the end: exit status and everything that was printed."""
        run = self.start(folder, *arguments)
        return run.wait(timeout), (folder / "run.log").read_text()

    def queue(self) -> str:
        """Ids and names of the jobs that wait or run."""
        return subprocess.run(
            ["squeue", "--noheader", "--format", "%i|%j"],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def submissions(self) -> dict[str, list[list[str]]]:
        """The sbatch calls of each rule, in order, without `--wrap`'s script."""
        assert self.log is not None
        found: dict[str, list[list[str]]] = {}
        for line in self.log.read_text().splitlines():
            _, program, *arguments = json.loads(line)
            if program == "sbatch":
                rule = arguments[arguments.index("--comment") + 1].removeprefix("rule_").split("_wildcards_")[0]
                found.setdefault(rule, []).append([a for a in arguments if not a.startswith("--wrap")])
        return found
