"""python -m rushes.remove_originals [--configfile FILE] [--yes] [RECORDING …]

Put the verified copies of `compress_video` in the place of the originals: the copies move into a folder beside the
originals, the sheet's column `source` points there, and only then the originals are removed. Without --yes it says what
it would do; with it, no run may be at work in the folder. Nothing else in this project removes a source.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.common import atomic
from scripts.common.checksum import sha256_of
from scripts.common.errors import ConfigError, RunError
from scripts.planning import plan as planning
from scripts.planning.cameras_plan import COPIES, CamerasRoom
from scripts.planning.plan import Plan
from scripts.planning.recordings import Recording, is_remote
from scripts.planning.run_lock import LOCK, Lock


@dataclass(frozen=True)
class Camera:
    """An original and its copy. card: what compress_video wrote."""

    name: str
    original: Path
    copy: Path
    card: dict[str, Any]


@dataclass(frozen=True)
class Move:
    """What is to be done for a recording. others: further files beside the originals that the recording needs."""

    recording: Recording
    folder: Path
    cameras: list[Camera]
    others: list[Path]

    @property
    def source(self) -> Path:
        """What the sheet will say."""
        return self.folder if os.path.isdir(self.recording.source) else self.target(self.cameras[0])

    @property
    def home(self) -> Path:
        """The folder of the originals."""
        source = Path(self.recording.source)
        return source if source.is_dir() else source.parent

    def target(self, camera: Camera) -> Path:
        """Where a copy goes."""
        return self.folder / camera.original.relative_to(self.home).with_suffix(".mp4")


class RefusedError(Exception):
    """Why the originals of a recording stay."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 if a recording was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m rushes.remove_originals",
        description="Put verified copies of compress_video in the place of the originals, and remove these.",
    )
    parser.add_argument("recordings", nargs="*", metavar="RECORDING", help="which ones; all, if none is named")
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), help="as for snakemake")
    parser.add_argument("--yes", action="store_true", help="do it; without, say what would be done")
    chosen = parser.parse_args(arguments)
    lock = None
    try:
        # Before the plan: what a run that ends now has made belongs to it.
        lock = Lock(LOCK) if chosen.yes else None
        config = yaml.safe_load(chosen.configfile.read_text(encoding="utf-8")) or {}
        plan = planning.load(dict(config))
        return _go(plan, config, chosen.recordings, chosen.yes)
    except (ConfigError, RunError, OSError, yaml.YAMLError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    finally:
        if lock is not None:
            lock.release()


def _go(plan: Plan, config: dict[str, Any], names: Sequence[str], yes: bool) -> int:
    if unknown := [name for name in names if name not in plan.recordings]:
        raise ConfigError(f"there is no recording `{unknown[0]}`")
    refused = freed = 0
    for recording in plan.recordings.values():
        if (names and recording.name not in names) or recording.rig not in _room(plan).compressed:
            continue
        source = Path(recording.source)
        try:
            if _room(plan).compresses(recording):
                move = plan_move(plan, recording)
                print(f"{recording.name}: source becomes {move.source}")
                if yes:
                    put_in_place(move, config, plan)
                    source = move.source
                else:
                    freed += sum(camera.card["bytes"] for camera in move.cameras)
            freed += remove_originals(recording.name, source, yes)
        except RefusedError as why:
            refused += 1
            print(f"{recording.name}: its originals stay: {why}", file=sys.stderr)
    print(f"{freed / 1e6:,.1f} MB {'are free now' if yes else 'would be free; say --yes to do it'}")
    return 1 if refused else 0


def _room(plan: Plan) -> CamerasRoom:
    room = plan.rooms["cameras"]
    assert isinstance(room, CamerasRoom)
    return room


def plan_move(plan: Plan, recording: Recording) -> Move:
    """What is to be done. Raises RefusedError if a copy is missing, failed, or no longer that of the original."""
    room = _room(plan)
    source = Path(recording.source)
    folder = source.with_name(f"{source.name if source.is_dir() else source.stem}.compressed")
    cameras = []
    for name, setting in recording.cameras.items():
        copy, card = (Path(room.copy_of(recording, name, ending)) for ending in ("mp4", "json"))
        if not copy.is_file() or not card.is_file() or not copy.stat().st_size:
            raise RefusedError(f"{name} has no copy; run `snakemake cameras`, and see its ledger")
        found = _read_card(card, ("bytes", "sha256", "copy_sha256"))
        cameras.append(Camera(name, Path(recording.files[setting["file"]]), copy, found))
    if len({camera.original for camera in cameras}) < len(cameras):
        raise RefusedError("two cameras are streams of one file")
    mine = {str(camera.original) for camera in cameras}
    needed = [*recording.files, *room.tables[recording.name], *room.given[recording.name].values()]
    move = Move(recording, folder, cameras, [])
    inside = [Path(file) for file in dict.fromkeys(needed) if file not in mine and not is_remote(file)]
    return Move(recording, folder, cameras, [file for file in inside if file.is_relative_to(move.home)])


def put_in_place(move: Move, config: dict[str, Any], plan: Plan) -> None:
    """Copy what is needed into the new folder, and point the sheet there. After a RefusedError all is as before."""
    if move.folder.exists():
        raise RefusedError(f"{move.folder} exists")
    for camera in move.cameras:
        if not camera.original.is_file() or sha256_of(camera.original) != camera.card["sha256"]:
            raise RefusedError(f"{camera.original} is not the file that was compressed")
        if sha256_of(camera.copy) != camera.card["copy_sha256"]:
            raise RefusedError(f"{camera.copy} is not what compress_video wrote")
    part = atomic.part_path(move.folder)
    atomic.remove_old_parts(move.folder)
    try:
        for camera in move.cameras:
            _copy(camera.copy, part / move.target(camera).relative_to(move.folder), camera.card["copy_sha256"])
        for file in move.others:
            if file.is_file():
                _copy(file, part / file.relative_to(move.home), sha256_of(file))
        originals = {camera.name: {"path": str(camera.original), **camera.card} for camera in move.cameras}
        (part / COPIES).write_text(json.dumps(originals, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.rename(move.folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sheet = Path(plan.config["recordings"])
    # As bytes: ends of lines stay what they are.
    before = sheet.read_bytes().decode("utf-8")
    try:
        atomic.write_text(sheet, repointed(before, move.recording.name, str(move.source)))
        _check_found(move, planning.load(dict(config)))
    except (ConfigError, RefusedError) as error:
        atomic.write_text(sheet, before)
        shutil.rmtree(move.folder)
        raise RefusedError(f"the patterns of rig {move.recording.rig} do not find the copies ({error})") from None


def _check_found(move: Move, plan: Plan) -> None:
    again = plan.recordings[move.recording.name]
    for camera in move.cameras:
        place = again.cameras[camera.name]["file"]
        if place < 0 or Path(again.files[place]) != move.target(camera):
            raise RefusedError(f"{camera.name}: {move.target(camera).name} is not found")


def repointed(text: str, recording: str, source: str) -> str:
    """A sheet whose row of `recording` has another source; every other character stays."""
    lines = text.split("\n")
    header: list[str] = []
    for number, line in enumerate(lines):
        cells, end = line.split("\t"), "\r" if line.endswith("\r") else ""
        if not line.strip() or line.startswith("#"):
            continue
        if not header:
            header = [cell.strip().lstrip("\ufeff") for cell in cells]
        elif cells[header.index("recording")].strip() == recording:
            cells[header.index("source")] = source
            lines[number] = "\t".join(cells).removesuffix(end) + end
    return "\n".join(lines)


def remove_originals(name: str, source: Path, yes: bool) -> int:
    """Remove what the copies in `source` took the place of, if it is still what was compressed. Returns bytes."""
    card = (source if source.is_dir() else source.parent) / COPIES
    if not card.is_file():
        return 0
    freed = 0
    for path, size in _removable(card):
        freed += size
        print(f"{name}: {'removed' if yes else 'would remove'} {path} ({size / 1e6:,.1f} MB)")
        if yes:
            path.unlink()
    return freed


def _removable(card: Path) -> Iterator[tuple[Path, int]]:
    for camera, known in _read_card(card, ()).items():
        if not isinstance(known, dict) or not {"path", "sha256"} <= set(known):
            raise RefusedError(f"{card} does not say what the copy of {camera} took the place of")
        path = Path(known["path"])
        if not path.is_file():
            continue
        if sha256_of(path) != known["sha256"]:
            raise RefusedError(f"{path} is not the file that was compressed for {camera}")
        yield path, path.stat().st_size


def _read_card(path: Path, fields: Sequence[str]) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        card = None
    if not isinstance(card, dict) or not set(fields) <= set(card):
        raise RefusedError(f"{path} is damaged; remove it, and run `snakemake cameras`")
    return card


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Copy, and read again what was written. Raises RefusedError if it is not the same."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as there, target.open("wb") as here:
        shutil.copyfileobj(there, here, 1 << 20)
        here.flush()
        os.fsync(here.fileno())
    if sha256_of(target) != sha256:
        raise RefusedError(f"the copy of {source} was not written as it is")


if __name__ == "__main__":
    sys.exit(main())
