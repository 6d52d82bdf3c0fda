"""A conda for tests without a channel: its envs are venvs with links to packages that this Python has.

FAKE_CONDA names the folder of its state: `bin/conda`, `base/bin/activate`, and `runs.jsonl`, one object for each end
of a Python in an env: `prefix`, `argv`, and `strangers`, the modules of packages that it took from elsewhere.
It keeps to the pins: a version that this Python does not have is refused. Only torch may be another, or be missing.
"""

import json
import os
import re
import sys
import venv
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

STATE = Path(os.environ.get("FAKE_CONDA", "."))
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'
RECORD = """
import atexit, json, os, sys

def record():
    here = os.path.join(sys.prefix, "")
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    strangers = {name.partition(".")[0] for name, f in files.items() if "site-packages" in f and not f.startswith(here)}
    with open(os.environ["FAKE_CONDA"] + "/runs.jsonl", "a") as runs:
        line = {"prefix": sys.prefix, "argv": sys.orig_argv[1:], "strangers": sorted(strangers)}
        runs.write(json.dumps(line) + "\\n")

if "FAKE_CONDA" in os.environ:
    atexit.register(record)
"""


def install(folder: Path) -> None:
    """Put conda into folder/bin."""
    (folder / "bin").mkdir(parents=True)
    (folder / "base" / "bin").mkdir(parents=True)
    (folder / "base" / "bin" / "activate").write_text(ACTIVATE)
    write_program(folder / "bin" / "conda", f'exec "{sys.executable}" "{__file__}" "$@"\n')


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def read_runs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def link(site: Path, name: str, version: str = "") -> None:
    """Give an env a package that this Python has."""
    distribution = metadata.distribution(name)
    if version and distribution.version != version:
        sys.exit(f"fake conda: {name} is wanted as {version}, here it is {distribution.version}")
    for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))


def create(file: Path, prefix: Path) -> None:
    """`conda env create`."""
    import yaml

    venv.create(prefix, symlinks=True)
    site = next(prefix.glob("lib/python*/site-packages"))
    (site / "record_run.py").write_text(RECORD)
    (site / "record_run.pth").write_text("import record_run\n")
    (site / "pip.py").write_text(
        f"import os\nos.execv({sys.executable!r}, [{sys.executable!r}, {__file__!r}, 'pip', "
        f"{str(site)!r}, *__import__('sys').argv[1:]])\n"
    )
    for entry in yaml.safe_load(file.read_text())["dependencies"]:
        for line in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, version = line.split("==")
            if name.startswith("pytorch-"):
                with suppress(metadata.PackageNotFoundError):
                    link(site, "torch")
            elif name not in ("python", "pip"):
                link(site, name, version)


def main(arguments: list[str]) -> None:
    """Answer what Snakemake asks."""
    match arguments:
        case ["--version"]:
            print("conda 25.3.1")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(STATE / "base"), "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["clean", "-y", "--tarballs"]:
            pass
        case ["env", "create", "--quiet", "--no-default-packages", "--file", file, "--prefix", prefix]:
            create(Path(file), Path(prefix))
        case ["pip", site, "install", "--no-deps", pinned] if found := re.fullmatch(r"([\w.-]+)==(\S+)", pinned):
            link(Path(site), found[1], found[2])
        case _:
            sys.exit(f"fake conda: what is `conda {' '.join(arguments)}`?")


if __name__ == "__main__":
    main(sys.argv[1:])
