"""The room of labelled frames: datasets of kind `frames`, of the labelled recordings of a rig."""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.names import folded, instead_of, is_folder_name, is_stream_name, nearest, one_of, picture_name
from scripts.planning.config import rational
from scripts.planning.frame_groups import known_splits
from scripts.planning.recordings import Recording
from scripts.planning.room import Room
from scripts.planning.same_source import joined_groups, refuse_apart

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

# What `preset: live` says where the config says nothing else.
PRESETS: dict[str, dict[str, Any]] = {
    "": {},
    "live": {
        "names": "S{subject}C{camera}{frame:06d}",
        "first_frame": 1,
        "edges": "open_counts",
        "overlaps": "first",
    },
}
FIELDS = ("recording", "subject", "session", "camera", "frame")
# A recording's shards, and folders of the whole dataset.
SHARDS = ("webdataset", "parquet", "tfrecord")
LAYOUTS = ("folders", "imagefolder", "mmaction2")
# USTAR holds names of 100 bytes, with `.json` at their end.
MAX_NAME_BYTES = 95
LAST_FRAME = 9_999_999


@dataclass(frozen=True)
class FramesDataset:
    """A dataset of the config. entry: its checked settings; recordings: the labelled ones, in the sheet's order.

    splits: recording -> split, where that is known before anything is made; groups: recording -> its group.
    """

    name: str
    rig: str
    cameras: tuple[str, ...]
    entry: dict[str, Any]
    recordings: tuple[str, ...]
    groups: dict[str, str]
    splits: dict[str, str]

    @property
    def cuts(self) -> bool:
        """Whether a clip is cut of every bout."""
        return "clips" in self.entry["formats"]

    @property
    def parts(self) -> list[tuple[str, str]]:
        """(recording, camera) of every part."""
        return [(recording, camera) for recording in self.recordings for camera in self.cameras]


class FramesRoom(Room):
    """Every dataset of labelled frames: settings, paths, targets."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.folder = f"{plan.path.results}/datasets/{{dataset}}"
        entries = {name: entry for name, entry in plan.config["datasets"].items() if entry["kind"] == "frames"}
        # Without recordings (`snakemake scan`, sounds alone) there is nothing to check against.
        self.datasets = {name: self._make(name, entry) for name, entry in entries.items() if plan.recordings}

    @property
    def names(self) -> str:
        """The datasets as a wildcard's pattern."""
        return one_of(self.datasets)

    def _make(self, name: str, entry: dict[str, Any]) -> FramesDataset:
        place, rigs = f"datasets.{name}", self.plan.rigs
        if not is_stream_name(name):
            raise ConfigError(f"{place}: a dataset's name becomes a folder; {instead_of(name, '_+=@-')}")
        if entry["rig"] not in rigs:
            raise ConfigError(f"{place}.rig: there is no rig `{entry['rig']}`{nearest(entry['rig'], rigs)}")
        known = [stream.name for stream in rigs[entry["rig"]].cameras]
        cameras = entry["cameras"] or known
        for camera in cameras:
            if camera not in known:
                raise ConfigError(f"{place}.cameras: the rig has no `{camera}`{nearest(camera, known)}")
        settings = checked_settings({**entry, **_of_preset(entry)}, place)
        own = [r for r in self.plan.recordings.values() if r.rig == entry["rig"] and r.labels]
        if not own:
            raise ConfigError(f"{place}: no recording of rig {entry['rig']} has a file in the column `labels`")
        check_names(settings, own, cameras, place)
        by = settings["split"]["by"]
        of_recording = {r.name: {"subject": r.subject, "session": r.session}.get(by, r.name) for r in own}
        fixed = {r.name: r.split for r in own if r.split}
        if by != "interval" and not settings["split"]["lists"]:
            refuse_apart(own, fixed, f"{place}.split")
            of_recording = joined_groups(own, of_recording, by)
        splits = known_splits(settings["split"], of_recording, fixed, f"{place}.split")
        refuse_apart(own, splits, f"{place}.split")
        names = tuple(recording.name for recording in own)
        # Lists name the sheet's own groups, but what shows the same pictures is one to all that comes after.
        groups = joined_groups(own, of_recording, "recording")
        return FramesDataset(name, entry["rig"], tuple(cameras), settings, names, groups, splits)

    def cleaned(self, what: str) -> str:
        """Of a recording's labels as the dataset takes them: labels.parquet or ledger.parquet."""
        return f"{self.folder}/labels/{{recording}}.{what}"

    def part(self, what: str) -> str:
        """Of a camera's pictures: tar, pictures.parquet or ledger.parquet."""
        return f"{self.folder}/pictures/{{recording}}.{{camera}}.{what}"

    def dataset(self, name: str) -> str:
        """A file or folder of the whole dataset."""
        return f"{self.folder}/{name}"

    def shards(self) -> str:
        """The folder of a camera's shards in one format."""
        return f"{self.folder}/{{shape}}/{{recording}}.{{camera}}"

    def shards_manifest(self) -> str:
        """What stands in that folder: name, size and sha256 of every shard."""
        return f"{self.shards()}.shards.json"

    def clips(self) -> str:
        """The folder of a camera's clips."""
        return f"{self.folder}/clips/{{recording}}.{{camera}}"

    def clips_ledger(self) -> str:
        """What became of a camera's bouts."""
        return f"{self.folder}/clips/{{recording}}.{{camera}}.ledger.parquet"

    def page(self) -> str:
        """The page that a person looks at."""
        return self.plan.path.report("labels/{dataset}.html")

    def of_parts(self, dataset: str, pattern: str) -> list[str]:
        """A file of every part of a dataset."""
        return [
            pattern.replace("{dataset}", dataset).replace("{recording}", recording).replace("{camera}", camera)
            for recording, camera in self.datasets[dataset].parts
        ]

    def targets(self, stage: str) -> list[str]:
        """The datasets with what their formats ask for; of a few recordings their pictures alone."""
        if stage != "datasets":
            return []
        if self.plan.only:
            return [path for path, name in self._of_all(self.part("tar")) if name in self.plan.only]
        found = []
        for name, dataset in self.datasets.items():
            found += [self.dataset("card.json").format(dataset=name)]
            formats = dataset.entry["formats"]
            found += [self.dataset(layout).format(dataset=name) for layout in LAYOUTS if layout in formats]
            for shape in SHARDS:
                if shape in formats:
                    found += self.of_parts(name, self.shards().replace("{shape}", shape))
            found += self.of_parts(name, self.clips_ledger()) if dataset.cuts else []
        return found

    def ledgers(self) -> list[str]:
        """Ledgers of the labels and of the pictures, and one of each whole dataset."""
        only = self.plan.only
        labels = [
            (self.cleaned("ledger.parquet").format(dataset=name, recording=recording), recording)
            for name, dataset in self.datasets.items()
            for recording in dataset.recordings
        ]
        whole = [] if only else [self.dataset("ledger.parquet").format(dataset=name) for name in self.datasets]
        # A split is of all recordings, and clips stand in the folders of their splits.
        clips = [] if only else self._of_all(self.clips_ledger(), [n for n, d in self.datasets.items() if d.cuts])
        parts = [*labels, *self._of_all(self.part("ledger.parquet")), *clips]
        return [*(path for path, recording in parts if not only or recording in only), *whole]

    def published(self) -> dict[str, list[str]]:
        """The tables and cards of the datasets, and their shards."""
        names = ("index.parquet", "card.json", "classes.json", "splits.tsv", "ledger.parquet")
        files = [self.dataset(name).format(dataset=dataset) for dataset in self.datasets for name in names]
        folders = [
            path
            for name, dataset in self.datasets.items()
            for shape in SHARDS
            if shape in dataset.entry["formats"]
            for path in self.of_parts(name, self.shards().replace("{shape}", shape))
        ]
        return {"files": files, "folders": folders}

    def reports(self) -> list[str]:
        """A page a dataset; none for a few recordings, which are no dataset."""
        return [] if self.plan.only else [self.page().format(dataset=name) for name in self.datasets]

    def _of_all(self, pattern: str, names: Iterable[str] | None = None) -> list[tuple[str, str]]:
        """(file, recording) of every part of every dataset, or of those of `names`."""
        return [
            (path, recording)
            for name in (self.datasets if names is None else names)
            for path, (recording, _) in zip(self.of_parts(name, pattern), self.datasets[name].parts, strict=True)
        ]


def _of_preset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the preset says where the entry has the schema's default."""
    from scripts.planning.config import schema

    properties = schema("datasets.frames")["properties"]
    preset = PRESETS[entry["preset"]]
    return {name: value for name, value in preset.items() if entry[name] == properties[name]["default"]}


def checked_settings(entry: dict[str, Any], place: str) -> dict[str, Any]:
    """Settings as plain values. Raises ConfigError for what contradicts itself."""
    if entry["fps"] and entry["stride"] != 1:
        raise ConfigError(f"{place}: stride and fps both say which frames are left out; name one of them")
    if entry["overlaps"] == "priority" and not entry["priority"]:
        raise ConfigError(f"{place}.priority: `overlaps: priority` wants classes, the strongest first")
    if entry["labels"]["unknown"] != "keep" and not entry["classes"]:
        raise ConfigError(f"{place}.classes: `labels.unknown: {entry['labels']['unknown']}` wants a list of classes")
    spellings: dict[str, str] = {}
    for name, to in entry["labels"]["map"].items():
        other = spellings.setdefault(" ".join(name.split()).casefold(), name)
        if entry["labels"]["map"][other] != to:
            raise ConfigError(f"{place}.labels.map: `{other}` and `{name}` are one label, whatever the case; keep one")
    split = entry["split"]
    if split["by"] == "interval" and (split["method"] != "hash" or split["lists"]):
        raise ConfigError(f"{place}.split: intervals are split by hash; leave out method and lists")
    if split["method"] == "folds" and split["fold"] >= split["folds"]:
        raise ConfigError(
            f"{place}.split.fold: {split['fold']}; of {split['folds']} folds the last is number {split['folds'] - 1}"
        )
    if isinstance(entry["size"], int) and 0 < entry["size"] < 8:
        raise ConfigError(f"{place}.size: {entry['size']} pixels; at least 8, or 0 for pictures as they are")
    if entry["resize"] == "short_side" and isinstance(entry["size"], list):
        raise ConfigError(f"{place}.size: `resize: short_side` wants one number")
    fps = rational(entry["fps"], f"{place}.fps") if entry["fps"] else ""
    return {**entry, "fps": fps, "rate": rational(entry["rate"], f"{place}.rate")}


def check_names(entry: Mapping[str, Any], recordings: Iterable[Recording], cameras: Iterable[str], place: str) -> None:
    """Raises ConfigError for a pattern that is none, or gives two pictures one name."""
    pattern = entry["names"]
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        raise ConfigError(f"{place}.names: `{pattern}` is no pattern: {error}") from None
    for field in fields:
        if field not in FIELDS:
            raise ConfigError(f"{place}.names: there is no field {{{field}}}{nearest(field, FIELDS)}")
    if "frame" not in fields:
        raise ConfigError(f"{place}.names: {{frame}} is missing, so that all pictures would have one name")
    seen: dict[str, str] = {}
    for recording in recordings:
        for camera in cameras:
            who = f"{recording.name}, {camera}"
            try:
                name = picture_name(pattern, fields_of(recording, camera), LAST_FRAME)
            except (ValueError, LookupError, AttributeError) as error:
                raise ConfigError(f"{place}.names: `{pattern}` cannot name a frame: {error}") from None
            if not is_folder_name(name) or len(name.encode()) > MAX_NAME_BYTES:
                raise ConfigError(
                    f"{place}.names: {name!r} cannot name a file, or is longer than {MAX_NAME_BYTES} bytes"
                )
            other = seen.setdefault(folded(name), who)
            if other != who:
                raise ConfigError(
                    f"{place}.names: pictures of {other} and of {who} would have the same names; "
                    "add {recording} or {camera}"
                )


def fields_of(recording: Recording, camera: str) -> dict[str, str]:
    """What names are made of, besides the frame's number."""
    own = {"recording": recording.name, "subject": recording.subject, "session": recording.session}
    return {**own, "camera": camera}
