"""What is found out about clips after they are cut, behind one interface.

An annotation is a function of a clip (or of a batch of them) that answers with values, which become columns and stand
in the json, and with files, which become members of the sample. Its rule names its env and resources; this module
does the rest: where clips are, parallel work, going on after a kill, the ledger.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.common import clips as clip_tables
from scripts.common import ledger, table_file
from scripts.common.annotation_table import SCHEMA
from scripts.common.clips import ClipRow
from scripts.common.errors import InputError
from scripts.common.job import progress
from scripts.common.lot_work import failed, work_on
from scripts.common.lots import part_url
from scripts.common.tar_file import TarWriter
from scripts.common.versions import LOT_METHODS
from scripts.common.video import upright
from scripts.common.video_item import ItemReader
from scripts.common.working import Status, Working


@dataclass(frozen=True)
class ClipTask:
    """A clip as an annotation sees it.

    url: what ffmpeg opens for its picture and sound.  seconds: its length.  name: of the annotation.  folder: where its
    files go.
    """

    key: str
    url: str
    seconds: float
    name: str
    folder: str
    settings: dict[str, Any]

    def file(self, ending: str) -> Path:
        """Where the clip's file with this ending goes; list it in the answer's `files`."""
        return Path(self.folder, f"{self.key}.{ending}")


# Answers with `values` {column: value} and `files` [ending]; raises InputError with a reason.
PerClip = Callable[[ClipTask], dict[str, Any]]
PerBatch = Callable[[Sequence[ClipTask]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Lot:
    """The files and facts that every rule of an annotation has."""

    media: Path
    cut: Path
    clips: Path
    out_files: Path
    out_values: Path
    out_ledger: Path
    step: str
    dataset: str
    annotation: str
    settings: dict[str, Any]
    working: str
    models: tuple[Path, ...] = ()

    def ended(self, key: str, outcome: str, reason: str, message: str) -> ledger.Row:
        """The ledger's row of a clip; its item names the annotation, of which a dataset may have several of a kind."""
        return ledger.Row(self.step, self.dataset, f"{key}.{self.annotation}", outcome, reason, message=message)

    def mark(self) -> str:
        """Changes with all that the answers depend on, so that a killed job goes on with its own alone."""
        files = sorted(file for model in self.models for file in ([model] if model.is_file() else model.iterdir()))
        return Working.mark(LOT_METHODS[self.step], self.settings, self.clips, *files)


def annotate(lot: Lot, function: PerClip, processes: int) -> None:
    """Call `function` for every clip, each in a process; see `work_on` for where it must stand."""
    _annotate(lot, lambda tasks, place: work_on(function, tasks, place, processes, "clips annotated"))


def annotate_batches(lot: Lot, function: PerBatch, size: int) -> None:
    """Call `function` for `size` clips at a time, in this process, which holds the model."""

    def work(tasks: dict[str, ClipTask], place: Working) -> dict[str, Status]:
        ended = {key: status for key, status in place.ended().items() if key in tasks}
        waiting = [task for key, task in tasks.items() if key not in ended]
        for first in range(0, len(waiting), size):
            for status in _statuses(function, waiting[first : first + size]):
                place.end(status)
                ended[status["key"]] = status
            progress(len(ended), len(tasks), "clips annotated")
        return ended

    _annotate(lot, work)


def _statuses(function: PerBatch, batch: Sequence[ClipTask]) -> Iterator[Status]:
    """How each clip of a batch ended; where the batch fails, each is tried alone."""
    try:
        for task, answer in zip(batch, function(batch), strict=True):
            yield {"key": task.key, "outcome": "written", "reason": "", "message": "", **answer}
    except InputError as error:
        if len(batch) == 1:
            yield failed(batch[0].key, error)
            return
        for task in batch:
            yield from _statuses(function, [task])


def _annotate(lot: Lot, work: Callable[[dict[str, ClipTask], Working], dict[str, Status]]) -> None:
    rows = clip_tables.read(lot.clips)
    place = Working(Path(lot.working), lot.mark())
    tasks, entries = {}, {}
    for row in rows:
        url = _url_of(row, lot)
        if url:
            seconds = row.stop_s - row.start_s
            tasks[row.key] = ClipTask(row.key, url, seconds, lot.annotation, str(place.folder), lot.settings)
        else:
            message = "it has neither mp4 nor m4a"
            entries[row.key] = lot.ended(row.key, "failed", "no_medium", message)
    ended = work(tasks, place)
    packed = []
    with TarWriter(lot.out_files) as tar:
        for key, status in ((row.key, ended[row.key]) for row in rows if row.key in ended):
            entries[key] = lot.ended(key, status["outcome"], status["reason"], status["message"])
            if status["outcome"] != "written":
                continue
            parts = []
            for ending in status["files"]:
                member = tar.copy(f"{key}.{ending}", place.file(f"{key}.{ending}"))
                parts.append({"ending": ending, "offset": member.offset, "size": member.size, "sha256": member.sha256})
            packed.append({"key": key, "values": json.dumps(status["values"]), "parts": json.dumps(parts)})
    table_file.write(lot.out_values, pa.Table.from_pylist(packed, schema=SCHEMA))
    ledger.write(lot.out_ledger, [entries[row.key] for row in rows])
    place.remove()


def _url_of(row: ClipRow, lot: Lot) -> str:
    for ending in ("mp4", "m4a"):
        for part in row.parts:
            if part["ending"] == ending:
                file = part["path"] or str(lot.media if part["from_item"] else lot.cut)
                return part_url(file, part["offset"], part["size"])
    return ""


def sampled(url: str, fps: str, *, height: int = 0) -> Iterator[np.ndarray]:
    """Pictures of a clip, uint8 (H, W, 3), red first; `fps` of them a second, "" for all.

    Picture k is the one on screen at (k + 1/2) / fps. height: of the shorter side, 0: as it is.
    Raises InputError if there is none.
    """
    number = 0
    with ItemReader(url) as reader:
        if reader.video is None:
            raise InputError("no_pictures", "it has no picture")
        shown: tuple[np.ndarray, Fraction] | None = None
        first, period = Fraction(0), Fraction(0)
        for picture, instant in reader.pictures():
            if shown is None:
                first = instant
            else:
                period = instant - first - shown[1]
                for _ in range(_due(fps, number, instant - first)):
                    yield shown[0]
                    number += 1
            shown = _pixels(picture, height), instant - first
        if shown is None:
            raise InputError("no_pictures", "none of its pictures can be decoded")
        for _ in range(max(_due(fps, number, shown[1] + period), number == 0)):
            yield shown[0]
            number += 1


def _due(fps: str, number: int, until: Fraction) -> int:
    """How many pictures from number `number` on are on screen before `until`; one where every picture counts."""
    return max(0, math.ceil(until * Fraction(fps) - Fraction(1, 2)) - number) if fps else 1


def _pixels(picture: Any, height: int) -> np.ndarray:
    picture = upright(picture)
    scale = height / min(picture.width, picture.height) if height else 1.0
    if scale < 1:
        size = (max(2, round(picture.width * scale)), max(2, round(picture.height * scale)))
        picture = picture.reformat(width=size[0], height=size[1], interpolation="AREA", threads=1)
    pixels: np.ndarray = picture.to_ndarray(format="rgb24")
    return pixels
