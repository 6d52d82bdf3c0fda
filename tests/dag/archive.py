"""An archive of empty files, and what Snakemake would do with it: nothing here runs a job."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.unit.examples import REPO, House

COLUMNS = ["recording", "rig", "source", "subject", "start", "end", "split"]

# Sources as people name them.
HOSTILE = [
    "raw/Week#2/it's me.MOV",
    'raw/"quoted" & $HOME `x`; rm -rf.mov',
    "raw/Grüße/日本 [take*] 100%?.mov",
]
BAGS = ["bags/c#1/first day.bag", "bags/d's/second.bag"]


@dataclass(frozen=True)
class DryRun:
    """What a dry run said. jobs: number of jobs by rule."""

    status: int
    text: str
    jobs: dict[str, int]

    @property
    def rules(self) -> set[str]:
        """The rules that would run."""
        return set(self.jobs)


class Archive(House):
    """Three recordings of a booth by two people and two bags of an aviary, all of them empty files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.files_of_sources(*HOSTILE, *BAGS)
        self.datasets = {"visemes": {"kind": "windows", "rig": "booth", "landmarks": "openseeface"}}
        self.rows = [
            ["a.1", "booth", HOSTILE[0], "Ann", "", "", "train"],
            ["b=2", "booth", HOSTILE[1], "Ann", "", "", "train"],
            ["ç", "booth", HOSTILE[2], "Bob", "", "", "val"],
            ["c", "aviary", BAGS[0], "", "", "", ""],
            ["d", "aviary", BAGS[1], "", "", "", ""],
        ]

    def write(self, **changes: Any) -> None:
        """Write sheets and config."""
        self.sheet(COLUMNS, self.rows)
        self.write_config(**changes)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the repository's workflow in this folder; stdout and stderr come together."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile"), "--cores", "2", "--nolock"]
        return subprocess.run(
            [*command, *arguments],
            cwd=self.root,
            env={**os.environ, "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def dry_run(self, *arguments: str, **changes: Any) -> DryRun:
        """What would be done with the changed config."""
        self.write(**changes)
        done = self.snakemake("--dry-run", *arguments)
        table = re.search(r"^Job stats:\n.*\n[- ]+\n((?:\S+ +\d+\n)*)total", done.stdout, re.MULTILINE)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        jobs = {name: int(count) for name, count in rows if name != "all"}
        return DryRun(done.returncode, done.stdout, jobs)

    def finish(self) -> None:
        """Make every file of the run as an empty one, with Snakemake's record of how it was made."""
        self.write()
        summary = self.snakemake("--summary").stdout.splitlines()
        table = summary[next(n for n, line in enumerate(summary) if line.startswith("output_file\t")) + 1 :]
        for path in (self.root / line.split("\t")[0] for line in table):
            is_folder = path.parent.name == "npz" or path.name in ("train", "val", "test")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if is_folder else path.touch()
        done = self.snakemake("--touch", "--forceall", "--quiet", "all")
        assert done.returncode == 0, done.stdout
