"""An archive of empty files, and what Snakemake would do with it: nothing here runs a job."""

import atexit
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.unit.examples import REPO, House

COLUMNS = ["recording", "rig", "source", "subject", "landmarks", "start", "end", "split"]

# Sources as people name them.
HOSTILE = [
    "raw/Week#2/it's me.MOV",
    'raw/"quoted" & $HOME `x`; rm -rf.mov',
    "raw/Grüße/日本 [take*] 100%?.mov",
]
# A rate that no decimal number is.
MEDIA = {"fps": "24000/1001", "rate_hz": 48_000}
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


@cache
def _server() -> subprocess.Popen[str]:
    program = Path(__file__).with_name("snakemake_server.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, str(program)], text=True, **pipes)
    atexit.register(server.kill)
    return server


def snakemake(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the repository's workflow in `folder`: the exit status, and stdout and stderr together."""
    whole = ["--snakefile", str(REPO / "Snakefile"), "--cores", "2", "--nolock", *arguments]
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
        server = _server()
        print(
            json.dumps({"folder": str(folder), "arguments": whole, "output": output.name}),
            file=server.stdin,
            flush=True,
        )
        status = server.stdout.readline()
        return int(status), output.read()


class Archive(House):
    """Three recordings of a booth by two people and two bags of an aviary, all of them empty files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.files_of_sources(*HOSTILE, *BAGS)
        self.datasets = {"visemes": {"kind": "windows", "rig": "booth", "landmarks": "openseeface"}}
        self.rows = [
            ["a.1", "booth", HOSTILE[0], "Ann", "", "", "", "train"],
            ["b=2", "booth", HOSTILE[1], "Ann", "", "", "", "train"],
            ["ç", "booth", HOSTILE[2], "Bob", "", "", "", "val"],
            ["c", "aviary", BAGS[0], "", "", "", "", ""],
            ["d", "aviary", BAGS[1], "", "", "", "", ""],
        ]

    def write(self, **changes: Any) -> None:
        """Write sheets and config."""
        self.sheet(COLUMNS, self.rows)
        self.write_config(**{"media": MEDIA, **changes})

    def dry_run(self, *arguments: str, **changes: Any) -> DryRun:
        """What would be done with the changed config."""
        self.write(**changes)
        status, text = snakemake(self.root, "--dry-run", *arguments)
        table = re.search(r"^Job stats:\n.*\n[- ]+\n((?:\S+ +\d+\n)*)total", text, re.MULTILINE)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return DryRun(status, text, {name: int(count) for name, count in rows if name != "all"})

    def make(self, path: Path) -> None:
        """Make an output as an empty file or folder."""
        names = ("train", "val", "test", "data")
        is_folder = path.parent.name == "npz" or path.suffix == ".shards" or path.name in names
        path.mkdir(exist_ok=True) if is_folder else path.touch()

    def finish(self, **changes: Any) -> None:
        """Make every file of the run as an empty one, with Snakemake's record of how it was made."""
        self.write(**changes)
        _, text = snakemake(self.root, "--summary")
        table = text[text.index("output_file\t") :].splitlines()[1:]
        for path in (self.root / line.split("\t")[0] for line in table):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.make(path)
        status, text = snakemake(self.root, "--touch", "--forceall", "--quiet", "all")
        assert status == 0, text
