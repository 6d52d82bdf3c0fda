"""The formats of label files by name, and which of them a file is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from scripts.common.csv_rows import delimiter_of
from scripts.common.errors import InputError
from scripts.common.text_file import text_of
from scripts.labels import boris, plain_tables, procedures, tiers, web_tools
from scripts.labels.marks import REASON, Mark
from scripts.labels.own_part import Own

HEAD = 65_536


@dataclass(frozen=True)
class Source:
    """A label file. recording: whose; columns: of a sheet, by name; of a table of Raven, label alone.

    chunks: name of a chunk's file -> where it begins, in seconds after the recording's start, if times count from the
    beginning of the chunk that their row names; else None.  sources: names of the files that the recording is made of.
    tied: events tie the file's times to the recording, whatever media they were read beside.
    """

    path: Path
    recording: str
    columns: Mapping[str, str]
    chunks: Mapping[str, Fraction] | None = None
    sources: tuple[str, ...] = ()
    tied: bool = False

    @property
    def own(self) -> Own:
        """What the file may call the recording, where it holds several."""
        return Own(self.recording, self.sources, together=self.chunks is not None)


READERS: dict[str, Callable[[Source], list[Mark]]] = {
    "procedures": lambda source: procedures.read_procedures(source.path, source.columns, source.chunks),
    "boris": lambda source: boris.read_tabular(source.path, source.own, source.chunks),
    "boris_aggregated": lambda source: boris.read_aggregated(source.path, source.own),
    "boris_project": lambda source: boris.read_project(source.path, source.own),
    "elan": lambda source: tiers.read_elan(source.path, source.own, as_written=source.tied),
    "textgrid": lambda source: tiers.read_textgrid(source.path),
    "label_studio": lambda source: web_tools.read_label_studio(source.path, source.own),
    "cvat": lambda source: web_tools.read_cvat(source.path, source.own),
    "segments_json": lambda source: web_tools.read_segments_json(source.path, source.own),
    "audacity": lambda source: plain_tables.read_audacity(source.path),
    "raven": lambda source: plain_tables.read_raven(source.path, source.own, source.columns.get("label", "")),
    "segments": lambda source: plain_tables.read_segments(source.path),
    "one_hot": lambda source: plain_tables.read_one_hot(source.path),
}
BY_ENDING = {".eaf": "elan", ".textgrid": "textgrid", ".boris": "boris_project", ".xlsx": "procedures", ".xml": "cvat"}


def guess(path: Path, columns: Mapping[str, str] | None = None) -> str:
    """The format of a file by its ending, by `columns`, which only sheets have, and by its first lines.

    Raises InputError where they do not tell.
    """
    ending = path.suffix.lower()
    if ending in BY_ENDING:
        return BY_ENDING[ending]
    head = text_of(path, REASON)[:HEAD]
    if ending == ".json":
        return "segments_json" if '"segment"' in head or '"metadata"' in head else "label_studio"
    if columns:
        return "procedures"
    if "Behavior" in head and "Start (s)" in head:
        return "boris_aggregated"
    if boris.is_tabular(head):
        return "boris"
    if all(name in head for name in plain_tables.RAVEN):
        return "raven"
    lines = head.splitlines() or [""]
    cells = lines[0].split("\t")
    if len(cells) >= 2 and plain_tables.is_number(cells[0]) and plain_tables.is_number(cells[1]):
        return "audacity"
    first = lines[0].replace(",", " ").split()
    if len(first) >= 3 and first[0].isdigit() and first[1].isdigit():
        return "segments"
    if plain_tables.is_one_hot(lines[:50], plain_tables.one_hot_delimiter(path) or delimiter_of(head)):
        return "one_hot"
    if ending == ".csv":
        return "procedures"
    raise InputError("labels", f"{path.name}: its format is not known by its looks; set labels.format in the rig")
