"""The sheet of recordings and the exclusions: checked rows, with the files of each source found."""

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.file_endings import BAGS, ROS2_BAGS
from scripts.common.names import folded, instead_of, is_folder_name, is_recording_name, nearest
from scripts.common.splits import SPLITS
from scripts.planning.config import schema
from scripts.planning.rigs import Rig, StreamSource
from scripts.planning.sheet import SheetRow, read_sheet


@dataclass(frozen=True, slots=True)
class Recording:
    """One row of the sheet. files: what its import reads, `source` first; start_s, stop_s from its start, or None."""

    name: str
    rig: str
    source: str
    files: tuple[str, ...]
    cameras: dict[str, dict[str, Any]]
    microphones: dict[str, dict[str, Any]]
    megabytes: float
    subject: str
    session: str
    landmarks: str
    calibration: str
    labels: str
    split: str
    start_s: float | None
    stop_s: float | None


@dataclass(frozen=True)
class Exclusion:
    """A stretch of a recording that a person has ruled out; None: from its start, to its end."""

    recording: str
    start_s: float | None
    stop_s: float | None
    reason: str

    @property
    def whole(self) -> bool:
        """Whether nothing of the recording is left."""
        return self.start_s is None and self.stop_s is None


def read_recordings(path: Path, rigs: Mapping[str, Rig]) -> dict[str, Recording]:
    """Recordings by name, in the order of the sheet. Raises ConfigError with the row of the first mistake."""
    rules = schema("recordings")
    recordings: dict[str, Recording] = {}
    seen: dict[str, SheetRow] = {}
    subjects: dict[str, str] = {}
    for row in read_sheet(path, list(rules["properties"]), rules["required"]):
        name = row.cells["recording"]
        if not is_recording_name(name):
            raise ConfigError(
                f"{row.where()}: `{name}` cannot name files; {instead_of(name, '._+=@-, not beginning with a dot')}"
            )
        if folded(name) in seen:
            raise ConfigError(f"{row.where()}: the recording `{name}` stands in line {seen[folded(name)].line}, too")
        seen[folded(name)] = row
        recordings[name] = _recording(row, name, rigs)
        _check_subject(row, recordings[name].subject, subjects)
    return recordings


def _check_subject(row: SheetRow, subject: str, seen: dict[str, str]) -> None:
    """A subject becomes a folder, and must not stand in two splits under two spellings."""
    if not is_folder_name(subject):
        raise ConfigError(f"{row.where()}: the subject {subject!r} cannot name a folder; it must not hold a slash")
    other = seen.setdefault(folded(subject), subject)
    if other != subject:
        raise ConfigError(f"{row.where()}: the subject `{subject}` is written `{other}` in an earlier row")


def read_exclusions(path: Path, recordings: Mapping[str, Recording]) -> dict[str, list[Exclusion]]:
    """Exclusions by recording. Raises ConfigError."""
    rules = schema("exclude")
    found: dict[str, list[Exclusion]] = {}
    for row in read_sheet(path, list(rules["properties"]), rules["required"]):
        name = row.cells["recording"]
        if name not in recordings:
            raise ConfigError(f"{row.where()}: there is no recording `{name}`{nearest(name, recordings)}")
        start, stop = _seconds(row, "start"), _seconds(row, "stop")
        if start is not None and stop is not None and stop <= start:
            raise ConfigError(f"{row.where()}: stop {stop:g} is not after start {start:g}")
        found.setdefault(name, []).append(Exclusion(name, start, stop, row.cells["reason"]))
    return found


def _recording(row: SheetRow, name: str, rigs: Mapping[str, Rig]) -> Recording:
    cells = row.cells
    rig = rigs.get(cells["rig"])
    if rig is None:
        raise ConfigError(f"{row.where()}: there is no rig `{cells['rig']}`{nearest(cells['rig'], rigs)}")
    source = tidy(cells["source"])
    _check_exists(row, "source", source)
    landmarks = tidy(cells.get("landmarks", ""))
    if landmarks:
        _check_exists(row, "landmarks", landmarks)
    labels = tidy(cells.get("labels", ""))
    if labels:
        _check_exists(row, "labels", labels)
    if cells.get("split", SPLITS[0]) not in SPLITS:
        raise ConfigError(f"{row.where()}: the split `{cells['split']}` is not one of {', '.join(SPLITS)}")
    if is_remote(source) and rig.source == "chunks":
        raise ConfigError(f"{row.where()}: a source of chunks is a folder here; copy or mount {source}")
    if rig.source == "bag":
        files = _bag_files(row, source)
        cameras, microphones = dict(rig.camera_settings), dict(rig.microphone_settings)
    elif rig.source == "chunks":
        files = []
        cameras = {s.name: _all_found(s, source, files) for s in rig.cameras}
        microphones = {s.name: _all_found(s, source, files) for s in rig.microphones}
    elif rig.source == "frames":
        if not is_remote(source) and not os.path.isdir(source):
            raise ConfigError(f"{row.where()}: the source {source!r} is no folder of pictures")
        files, microphones = [source], {}
        subject = cells.get("subject", name)
        cameras = {s.name: {**s.setting, "pattern": _numbered(s.paths[0], subject)} for s in rig.cameras}
    else:
        files = [source] if is_remote(source) or os.path.isfile(source) else []
        cameras = {s.name: _found(s, source, files) for s in rig.cameras}
        microphones = {s.name: _found(s, source, files) for s in rig.microphones}
    start, stop = _seconds(row, "start"), _seconds(row, "end")
    if start is not None and stop is not None and stop <= start:
        raise ConfigError(f"{row.where()}: end {stop:g} is not after start {start:g}")
    for file in [source, *files, landmarks, labels]:
        if "{" in file or "}" in file:
            raise ConfigError(f"{row.where()}: Snakemake reads {{ and }} as wildcards; rename {file!r}")
        if not _fits_a_line(file):
            raise ConfigError(f"{row.where()}: no list of files can hold {file!r}: rename it")
        if is_remote(file) and ("#" in file or "?" in file):
            raise ConfigError(f"{row.where()}: an address ends for the store at # or ?; rename {file!r}")
    return Recording(
        name=name,
        rig=rig.name,
        source=source,
        files=tuple(files),
        cameras=cameras,
        microphones=microphones,
        megabytes=sum(os.path.getsize(file) for file in files if not is_remote(file)) / 1e6,
        subject=cells.get("subject", name),
        session=cells.get("session", name),
        landmarks=landmarks,
        calibration=cells.get("calibration", ""),
        labels=labels,
        split=cells.get("split", ""),
        start_s=start,
        stop_s=stop,
    )


def _fits_a_line(name: str) -> bool:
    """Whether a name is text that stands whole in a line, where the jobs of a cluster find it."""
    return name == name.strip() and not re.search(r"[\n\r\ud800-\udfff]", name)


def _found(stream: StreamSource, source: str, files: list[str]) -> dict[str, Any]:
    """Settings of a stream of a file rig: `file` is the index into `files` of its first existing pattern, or -1."""
    setting = dict(stream.setting)
    for pattern in stream.paths:
        file = _first_match(pattern, {"{source}": source, "{stem}": os.path.splitext(source)[0]})
        if file:
            if file not in files:
                files.append(file)
            return {**setting, "file": files.index(file)}
    return {**setting, "file": -1}


def _all_found(stream: StreamSource, source: str, files: list[str]) -> dict[str, Any]:
    """Settings of a stream of chunks: `files` are the indexes into `files` of all that its patterns stand for."""
    found = []
    for pattern in stream.paths:
        for file in _matches(pattern, {"{source}": source, "{stem}": os.path.splitext(source)[0]}):
            if file not in files:
                files.append(file)
            found.append(files.index(file))
    return {**stream.setting, "files": sorted(set(found))}


def _numbered(pattern: str, subject: str) -> str:
    """The names of a camera's pictures as a regular expression, whose one group is the frame's number."""
    name = re.escape(pattern.removeprefix("{source}/"))
    return name.replace(re.escape("{subject}"), re.escape(subject)).replace(re.escape("{frame}"), r"(\d+)")


def _first_match(pattern: str, places: Mapping[str, str]) -> str:
    """The first file, in the order of names, that `pattern` stands for; "" if there is none."""
    # One pass, so that a source whose name holds `{stem}` is not filled in once more.
    plain = tidy(re.sub(r"\{source\}|\{stem\}", lambda match: places[match[0]], pattern))
    # A pattern without wildcards of its own is a plain path: no look into the folder.
    if not glob.has_magic(pattern):
        return plain if is_remote(plain) or os.path.isfile(plain) else ""
    return next(iter(_matches(pattern, places)), "")


def _matches(pattern: str, places: Mapping[str, str]) -> list[str]:
    """All files, in the order of names, that `pattern` stands for."""
    text = re.sub(r"\{source\}|\{stem\}", lambda match: glob.escape(places[match[0]]), pattern)
    return [tidy(path) for path in sorted(glob.glob(text)) if os.path.isfile(path)]


def _bag_files(row: SheetRow, source: str) -> list[str]:
    """A file, those of a folder, or those of the folders in it, each of which is a bag of ROS2."""
    if is_remote(source) or os.path.isfile(source):
        return [source]
    with os.scandir(source) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    files = _of_bag(source, [entry.name for entry in inside], BAGS)
    if files:
        return files
    folders = [entry for entry in inside if not entry.name.startswith(".") and entry.is_dir()]
    slices = {entry.name: _of_bag(entry.path, sorted(os.listdir(entry.path)), ROS2_BAGS) for entry in folders}
    if any(slices.values()) and all(slices.values()):
        return [file for files in slices.values() for file in files]
    hint = ""
    if any(slices.values()):
        stranger = next(name for name, files in slices.items() if not files)
        hint = f"; its folders are one recording where each is a bag of ROS2, and {stranger!r} is none"
    raise ConfigError(f"{row.where()}: the folder {source} holds no {', '.join(BAGS)}{hint}")


def _of_bag(folder: str, names: list[str], endings: tuple[str, ...]) -> list[str]:
    """The files of a bag that is a folder, of its sorted names: those with the endings, and what describes them."""
    files = [os.path.join(folder, name) for name in names if name.lower().endswith(endings)]
    return [*files, os.path.join(folder, "metadata.yaml")] if files and "metadata.yaml" in names else files


def bytes_of(*files: str) -> int:
    """Size of files that people write, together, for the keys of the rules that read them: a mended file may be older
    than what was made of the broken one. What lies in a store, or is not there, counts nothing."""
    return sum(os.path.getsize(file) for file in files if file and not is_remote(file) and os.path.isfile(file))


def is_remote(path: str) -> bool:
    """Whether a path is an object of a store, as s3://bucket/key, which Snakemake brings here for a job."""
    return "://" in path


def tidy(path: str) -> str:
    """`path` without `./` in front and doubled slashes, which Snakemake takes for other files."""
    if is_remote(path):
        return path
    return re.sub(r"^(\./)+", "", re.sub(r"/{2,}", "/", path))


def _check_exists(row: SheetRow, column: str, path: str) -> None:
    # Whether an object is there is seen when its job asks for it.
    if is_remote(path) or os.path.exists(path):
        return
    folder = os.path.dirname(path) or "."
    known = os.listdir(folder) if os.path.isdir(folder) else []
    hint = nearest(os.path.basename(path), known) if known and len(known) < 10_000 else ""
    hint = hint if "did you mean" in hint else ""
    raise ConfigError(f"{row.where()}: the {column} {path!r} does not exist{hint}")


def _seconds(row: SheetRow, column: str) -> float | None:
    text = row.cells.get(column)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{row.where()}: {column} `{text}` is no number of seconds") from None
    if not 0 <= value < 1e9:
        raise ConfigError(f"{row.where()}: {column} {text} does not lie between 0 and 1e9 seconds")
    return value
