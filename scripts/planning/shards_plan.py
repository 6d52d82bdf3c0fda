"""The room of shards: datasets of kind `shards`, from tables of URLs. A table that is planned is known by `plan.json`.

The plan is a checkpoint of Snakemake: what is to be planned yet shows its plan job and an estimate; afterwards every
file is known, and a job of its own reads the same small plan.
"""

import json
import os
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from scripts.common.clip_form import changes_pictures, changes_sound
from scripts.common.errors import ConfigError
from scripts.common.names import instead_of, is_stream_name, nearest, one_of
from scripts.common.sample_columns import EXCLUDED, UNUSABLE
from scripts.common.table_kinds import local_tables, rows_about
from scripts.planning.annotations_plan import Annotation, make_annotations, with_faces
from scripts.planning.recordings import Recording, tidy
from scripts.planning.room import Room
from scripts.planning.shards_settings import check_shards

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

# What leaves for a store: tables, and what is packed into few files.
TABLES = ("index.parquet", "metadata.parquet", "ledger.parquet", "card.json")
PACKED = ("webdataset", "parquet", "tfrecord")


@dataclass(frozen=True)
class Lot:
    """A job's share of a dataset.

    number: its row group; shards: how many, from `first_shard` on; sha256: of its rows; relative: whether any of them
    is a path whose beginning the config says.
    """

    name: str
    number: int
    rows: int
    first_shard: int
    shards: int
    megabytes: float
    seconds: float
    sha256: str
    relative: bool


@dataclass(frozen=True)
class ShardsDataset:
    """A dataset of the config. files: the local files among its tables; entry: its checked settings.

    items: of a rig's recordings, each with its row of the table, its video, its sound and its frame table
    ("" for none; a dataset of sounds needs no frames).
    """

    name: str
    tables: tuple[str, ...]
    files: tuple[str, ...]
    entry: dict[str, Any]
    items: tuple[dict[str, Any], ...] = ()
    annotations: tuple[Annotation, ...] = ()

    @property
    def looks(self) -> bool:
        """Whether anything needs a look at the pictures; else their packets tell enough."""
        filters = self.entry["filters"]
        of_scores = any(
            filters[name] for name in filters if name.startswith(("min_", "max_")) and name != "min_caption"
        )
        of_cuts = self.entry["clips"] in ("cuts", "longest_cut")
        of_scan = bool(self.entry["scan"]["thumbnails"] or self.entry["scan"]["fps"])
        return of_cuts or of_scores or filters["duplicates"] == "near" or of_scan

    @property
    def cuts_ahead(self) -> bool:
        """Whether clips can be cut of the pictures that a scan decodes: all that says which is known by then."""
        entry = self.entry
        known = entry["clips"] in ("auto", "whole", "table", "cuts", "longest_cut")
        changes = changes_pictures(entry["video"]) or changes_sound(entry["audio"])
        stays = entry["clips"] in ("auto", "whole") and not changes
        encodes = entry["precision"] == "exact" and bool({"video", "frames"} & set(entry["encode_formats"]))
        return self.looks and known and encodes and not stays and not entry["filters"]["duplicates"]


class ShardsRoom(Room):
    """Plans of all datasets of kind `shards`."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        entries = {name: entry for name, entry in plan.config["datasets"].items() if entry["kind"] == "shards"}
        self.folder = f"{plan.path.results}/lots/{{dataset}}"
        self.datasets = {
            name: self._of_rig(name, entry) if entry["rig"] else make_shards(name, entry)
            for name, entry in entries.items()
        }
        self.datasets = {
            name: replace(dataset, annotations=tuple(with_faces(found, plan) for found in dataset.annotations))
            for name, dataset in self.datasets.items()
        }

    @property
    def names(self) -> str:
        """The datasets as a wildcard's pattern."""
        return one_of(self.datasets)

    def _of_rig(self, name: str, entry: dict[str, Any]) -> ShardsDataset:
        """A dataset of a rig's recordings: its table is a file of the run."""
        place, rigs = f"datasets.{name}", self.plan.rigs
        if entry["rig"] not in rigs:
            raise ConfigError(f"{place}.rig: there is no rig `{entry['rig']}`{nearest(entry['rig'], rigs)}")
        if entry["table"]:
            raise ConfigError(f"{place}: it has a table and a rig; name one of them")
        if entry["fetch"]["folder"]:
            raise ConfigError(f"{place}.fetch.folder: it is for the paths of a table; leave it out with a rig")
        rig = rigs[entry["rig"]]
        microphones = [stream.name for stream in rig.microphones]
        microphone = entry["microphone"] or next(iter(microphones), "")
        if microphone and microphone not in microphones:
            raise ConfigError(f"{place}.microphone: the rig has no `{microphone}`{nearest(microphone, microphones)}")
        table = self.listing().format(dataset=name)
        entry["fetch"]["allowed_roots"] = entry["fetch"]["allowed_roots"] or [self.plan.path.results]
        checked = make_shards(name, entry, listing=table)
        own = [recording for recording in self.plan.recordings.values() if recording.rig == rig.name]
        shown = bool({"video", "frames"} & set(entry["encode_formats"]))
        items = [self._item(r, camera, microphone, shown=shown) for r in own for camera in r.cameras]
        return replace(checked, items=tuple(items))

    def _item(self, recording: Recording, camera: str, microphone: str, *, shown: bool) -> dict[str, Any]:
        paths, facts = self.plan.path, {"rig": recording.rig, "recording": recording.name}
        video = paths.video("conformed").format(**facts, camera=camera)
        sound = paths.sound("conformed").format(**facts, microphone=microphone) if microphone else ""
        of_sheet = {"subject": recording.subject, "session": recording.session, "split": recording.split}
        row: dict[str, Any] = {"url": video, "_sound": sound, "camera": camera, **facts, **of_sheet}
        begin_s = recording.start_s or 0.0
        ruled_out = [
            [None if end is None else end - begin_s for end in (e.start_s, e.stop_s)] + [EXCLUDED, e.reason]
            for e in self.plan.exclusions.get(recording.name, [])
        ]
        # A row without any is as it was: what was made of it stays.
        row |= {UNUSABLE: ruled_out} if ruled_out else {}
        frames = paths.frames("conformed").format(**facts, camera=camera) if shown else ""
        return {"row": row, "video": video, "sound": sound, "frames": frames}

    def listing(self) -> str:
        """The table of a rig's recordings."""
        return f"{self.folder}/recordings.jsonl"

    def rows(self) -> str:
        """The planned rows of a table, a row group a lot."""
        return f"{self.folder}/rows.parquet"

    def planned(self) -> str:
        """The plan of a table."""
        return f"{self.folder}/plan.json"

    def lot(self, what: str) -> str:
        """A file of a lot: tar, items.parquet, scans.parquet, frames.parquet, …"""
        return f"{self.folder}/{{lot}}.{what}"

    def working(self, step: str) -> str:
        """Where a step keeps what outlives its killed job."""
        return f"{self.folder}/working/{step}/{{lot}}"

    def annotations(self, rule: str) -> str:
        """Names of all annotations that a rule makes, as a wildcard's pattern."""
        names = {a.name for dataset in self.datasets.values() for a in dataset.annotations if a.rule == rule}
        return one_of(sorted(names))

    def annotation(self, dataset: str, name: str) -> Annotation:
        """An annotation of a dataset by its name."""
        return next(found for found in self.datasets[dataset].annotations if found.name == name)

    def kept_plan(self) -> str:
        """Where the plan is remembered while it is made anew."""
        return f"{self.folder}/working/plan.json"

    def dataset(self, name: str) -> str:
        """A file of the whole dataset."""
        return f"{self.plan.path.results}/datasets/{{dataset}}/shards/{name}"

    def lots(self, dataset: str) -> list[Lot]:
        """The lots of a table that is planned; none of one that is not."""
        path = self.planned().format(dataset=dataset)
        try:
            return list(_read_plan(path, os.stat(path).st_mtime_ns))
        except (OSError, ValueError, KeyError):
            return []

    def find_lot(self, dataset: str, lot: str) -> Lot:
        """A lot by its name."""
        found = self.lots(dataset)
        number = int(lot.removeprefix("lot"))
        return found[number]

    def targets(self, stage: str) -> list[str]:
        """The plan, the lots' files that a stage makes, or the whole datasets."""
        if self.plan.only:
            return []
        patterns = {"sources": "fetch.ledger.parquet", "media": "scan.ledger.parquet"}
        if stage in patterns:
            plans = [self.planned().format(dataset=name) for name in self.datasets] if stage == "sources" else []
            return plans + [
                self.lot(patterns[stage]).format(dataset=name, lot=lot.name)
                for name in self.datasets
                for lot in self.lots(name)
            ]
        return [self.dataset("card.json").format(dataset=name) for name in self.datasets] if stage == "datasets" else []

    def ledgers(self) -> list[str]:
        """One ledger a dataset, with the rows of all its lots."""
        return [] if self.plan.only else [self.dataset("ledger.parquet").format(dataset=name) for name in self.datasets]

    def published(self) -> dict[str, list[str]]:
        """The tables and cards of the datasets, and their shards where they are few files."""
        files = [self.dataset(table).format(dataset=name) for name in self.datasets for table in TABLES]
        packed = [name for name, dataset in self.datasets.items() if dataset.entry["output"] in PACKED]
        return {"files": files, "listed": [self.dataset("data").format(dataset=name) for name in packed]}

    def notices(self) -> list[str]:
        """The estimate of every table that is not planned yet."""
        return [estimate(dataset) for dataset in self.datasets.values() if not self.lots(dataset.name)]

    def url_tables(self) -> dict[str, str]:
        """Dead links belong to tables of URLs: a dataset's card counts them, and `failed_share` limits them."""
        return (
            {} if self.plan.only else {name: self.dataset("card.json").format(dataset=name) for name in self.datasets}
        )

    def retried(self) -> list[str]:
        """The fetches of the lots with failed items: what they have fetched waits beside them."""
        pattern = self.lot("fetch.ledger.parquet")
        return [
            pattern.format(dataset=name, lot=lot.name)
            for name in self.datasets
            for lot in self.lots(name)
            if os.path.exists(self.working("fetch").format(dataset=name, lot=lot.name))
        ]


@cache
def _read_plan(path: str, mtime_ns: int) -> tuple[Lot, ...]:
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)["lots"]
    return tuple(
        Lot(
            entry["lot"],
            number,
            entry["rows"],
            entry["first_shard"],
            len(entry["shards"]),
            entry["megabytes"],
            entry["seconds"],
            entry["sha256"],
            entry.get("relative", False),
        )
        for number, entry in enumerate(entries)
    )


def make_shards(name: str, entry: dict[str, Any], *, listing: str = "") -> ShardsDataset:
    """The dataset `name` from its checked config entry. listing: its table, which a job makes. Raises ConfigError."""
    place = f"datasets.{name}"
    if not is_stream_name(name):
        raise ConfigError(f"{place}: a dataset's name becomes a folder; {instead_of(name, '_+=@-')}")
    tables = [entry["table"]] if isinstance(entry["table"], str) else list(entry["table"])
    tables = [tidy(table) if "://" not in table else table for table in tables if table]
    if not tables and not listing:
        raise ConfigError(f"{place}: the key `table` is missing")
    tables = tables or [listing]
    files = (
        [listing]
        if listing
        else [file for table in tables if "://" not in table for file in local_tables(table, place)]
    )
    check_shards(entry, place)
    roots = entry["fetch"]["allowed_roots"] or sorted({os.path.dirname(file) or "." for file in files})
    entry["fetch"]["allowed_roots"] = roots
    annotations = tuple(make_annotations(name, entry))
    return ShardsDataset(name, tuple(tables), tuple(files), entry, annotations=annotations)


def estimate(dataset: ShardsDataset) -> str:
    """How much a table that is not planned yet will be, from a look at its beginning."""
    if dataset.items:
        return f"datasets.{dataset.name}: {len(dataset.items)} recorded videos are not planned yet"
    size, rows, known = 0, 0.0, True
    for file in dataset.files:
        if os.path.isfile(file):
            size += os.path.getsize(file)
            counted = rows_about(file)
            known, rows = known and counted is not None, rows + (counted or 0)
    about = f"about {max(1, round(rows)):,} rows" if known and rows else "an unknown number of rows"
    limit = dataset.entry["shard_rows"]
    shards = f", {max(1, round(rows / limit)):,} shards of at most {limit:,}" if known and rows else ""
    return f"datasets.{dataset.name}: the table is not planned yet ({size / 1e6:,.1f} MB, {about}{shards})"
