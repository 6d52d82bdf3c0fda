"""What of a config must hold before anything is planned: folders, names that become folders, weight files."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.names import folded, instead_of, is_recording_name, nearest
from scripts.planning.config import checked, schema
from scripts.planning.recordings import is_remote, tidy
from scripts.planning.yaml_file import read_yaml

# Bytes, on all usual file systems.
LONGEST_NAME = 255


def results_folder(config: Mapping[str, Any]) -> str:
    """Where everything is made, as Snakemake wants paths; a preview has a folder of its own."""
    results = tidy(config["results"]).rstrip("/")
    if is_remote(results) or results.startswith("~"):
        raise ConfigError(
            f"results: `{results}` is no plain path; write the folder out; `publish` brings datasets to a store"
        )
    if results in ("", ".", "..") or "{" in results or "}" in results:
        raise ConfigError(f"results: `{config['results']}` is no folder of its own, or holds a brace; name another")
    if "\0" in results or any(len(os.fsencode(part)) > LONGEST_NAME for part in results.split("/")):
        raise ConfigError(f"results: {results[:80]!r} is no path that a file system takes; name another")
    if os.path.exists(results) and not os.path.isdir(results):
        raise ConfigError(f"results: `{results}` is a file; name a folder")
    return f"{results}/preview_{config['preview']:g}s" if config["preview"] else results


def reports_folder(only: tuple[str, ...]) -> str:
    """Where the report is made; that of a few recordings does not take the place of everyone's."""
    if not only:
        return "reports"
    names = "+".join(only)
    return f"reports/only_{names}" if len(names) < 100 else f"reports/only_{sha256(names.encode()).hexdigest()[:16]}"


def check_names(names: Iterable[str], known: Collection[str], place: str) -> None:
    """Names of recordings, or of speakers, must be known ones; an empty one is none."""
    for name in names:
        if name and name not in known:
            raise ConfigError(f"{place}: there is no recording `{name}`{nearest(name, known)}")


def check_folders(names: Iterable[str], place: str) -> None:
    """Names that differ in case, or in the form of accents, would be one folder on some file systems."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(folded(name), name)
        if other != name:
            raise ConfigError(f"{place}: `{other}` and `{name}` would be the same folder on some systems")


def read_weights(path: Path) -> dict[str, dict[str, Any]]:
    """URL, sha256 and licence of every weight file, by its name. Raises ConfigError."""
    if not os.path.isfile(path):
        raise ConfigError(f"weights: {path} {'is no file' if os.path.exists(path) else 'does not exist'}")
    entries = read_yaml(path) or {}
    if not isinstance(entries, dict):
        raise ConfigError(f"{path}: it holds no names of weight files")
    for name in entries:
        if not is_recording_name(name):
            raise ConfigError(f"{path.name}: `{name}` cannot name a file; {instead_of(name, '._+=@-')}")
    return {name: checked(entry, schema("weights"), f"{path.name}: {name}") for name, entry in entries.items()}


def check_models_dir(folder: str) -> None:
    """Raises ConfigError if the folder of weight files is none; "" for no folder."""
    if folder and not Path(folder).expanduser().is_dir():
        raise ConfigError(f"models_dir: {folder} {'is no folder' if os.path.exists(folder) else 'does not exist'}")


def idle_datasets(config: Mapping[str, Any], rigs: Collection[str]) -> Iterator[str]:
    """A line for each dataset of a rig that is not one of `rigs`, those with recordings."""
    for name, entry in config["datasets"].items():
        if entry.get("rig") and entry["rig"] not in rigs:
            yield f"datasets.{name}: nothing is made, for {config['recordings']} has no recording of rig {entry['rig']}"
