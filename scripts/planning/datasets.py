"""Datasets of the config, resolved against their rigs."""

import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.common.adopted_folders import misplaced
from scripts.common.errors import ConfigError
from scripts.common.names import instead_of, is_stream_name, nearest
from scripts.common.splits import SPLITS, shares_of, split_recordings
from scripts.planning.config import rational
from scripts.planning.recordings import Recording
from scripts.planning.rigs import Rig, StreamSource
from scripts.planning.same_source import joined_groups, refuse_apart

# Files that a message names.
SHOWN = 5
# Limits that the scores of the model `faces.sync.model` are held against.
OF_SYNC = ("low_sync", "sync_offset")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset of windows: cut from the recordings of a rig, adopted from a folder, or those of other datasets.

    kind: windows, of landmarks and sound, or poses, of keypoints in space, which have no camera, microphone and fps.

    hop: frames from one window to the next.  splits, subjects: by recording.  makers: which dataset makes a recording's
    windows.  adopted: the folder of a speaker, who counts as one recording.  rig, camera, microphone,
    landmarks: "" where nothing is cut from them.
    """

    name: str
    rig: str = ""
    camera: str = ""
    microphone: str = ""
    landmarks: str = ""
    fps: str
    rate_hz: int
    window_frames: int
    hop: int
    limits: dict[str, float]
    formats: tuple[str, ...]
    features: tuple[str, ...]
    recordings: tuple[str, ...]
    splits: dict[str, str]
    subjects: dict[str, str]
    makers: dict[str, str]
    speaker: str = "only"
    shard_samples: int = 1000
    adopted: dict[str, str] = field(default_factory=dict)
    kind: str = "windows"

    def members(self, split: str | None) -> list[str]:
        """The recordings of a split, or all of them, in the order of the sheet."""
        return [name for name in self.recordings if split in (None, self.splits[name])]

    @cached_property
    def _by_name(self) -> list[str]:
        return sorted(self.recordings)

    def named_after(self, recording: str) -> list[str]:
        """The recordings whose names begin with this one's and `_`, as the names of its windows do; sorted."""
        start = f"{recording}_"
        first, stop = (bisect_left(self._by_name, name) for name in (start, start + chr(sys.maxunicode)))
        return self._by_name[first:stop]

    @property
    def split_names(self) -> list[str]:
        """The splits that hold a recording, sorted."""
        return sorted(set(self.splits.values()))

    @property
    def own(self) -> list[str]:
        """The recordings whose windows this dataset makes itself."""
        return [name for name in self.recordings if self.makers[name] == self.name]

    @property
    def cut(self) -> list[str]:
        """The recordings that it cuts into windows of landmarks and sound."""
        return self.own if self.rig and self.kind == "windows" else []

    @property
    def posed(self) -> list[str]:
        """The recordings that it cuts into windows of poses."""
        return self.own if self.kind == "poses" else []

    @property
    def places(self) -> dict[str, str]:
        """Where the windows of a recording are, from the dataset's folder, where another dataset makes them."""
        return {name: f"../{maker}/" for name, maker in self.makers.items() if maker != self.name}


def make_datasets(
    entries: Mapping[str, dict[str, Any]], rigs: Mapping[str, Rig], recordings: Iterable[Recording]
) -> dict[str, Dataset]:
    """The datasets of windows from their checked config entries. Raises ConfigError."""
    listed = list(recordings)
    made: dict[str, Dataset] = {}
    for name, entry in entries.items():
        if not is_stream_name(name):
            raise ConfigError(f"datasets.{name}: a dataset's name becomes a folder; {instead_of(name, '_+=@-')}")
        if len({"rig", "from", "npz"} & set(entry)) != 1:
            raise ConfigError(
                f"datasets.{name}: name one of `rig` (windows are cut), `from` (those of other datasets) and `npz` "
                "(a folder of windows is adopted)"
            )
        if "rig" in entry:
            made[name] = make_dataset(name, entry, rigs, listed)
        elif "npz" in entry:
            made[name] = adopt_dataset(name, entry)
    for name, entry in entries.items():
        if "from" in entry:
            made[name] = join_datasets(name, entry, made)
            rig_of = {recording: made[maker].rig for recording, maker in made[name].makers.items()}
            members = [recording for recording in listed if rig_of.get(recording.name) == recording.rig]
            refuse_apart(members, made[name].splits, f"datasets.{name}.from")
    return {name: made[name] for name in entries}


def make_dataset(name: str, entry: dict[str, Any], rigs: Mapping[str, Rig], recordings: Iterable[Recording]) -> Dataset:
    """A dataset that is cut from the recordings of a rig. Raises ConfigError."""
    place = f"datasets.{name}"
    rig = rigs.get(entry["rig"])
    if rig is None:
        raise ConfigError(f"{place}.rig: there is no rig `{entry['rig']}`{nearest(entry['rig'], rigs)}")
    fps = rational(entry.get("fps", rig.fps), f"{place}.fps")
    if fps != rig.fps:
        raise ConfigError(f"{place}.fps: {fps}, but the rig is conformed to {rig.fps}; set rigs.{rig.name}.conform.fps")
    if Fraction(rig.rate_hz) % Fraction(fps):
        raise ConfigError(f"{place}: {rig.rate_hz} samples cannot be divided evenly among {fps} frames a second")
    own = [recording for recording in recordings if recording.rig == rig.name]
    if entry["landmarks"] == "given":
        _check_given(own, place)
    return Dataset(
        name=name,
        rig=rig.name,
        camera=_stream(entry, "camera", rig.cameras, place),
        microphone=_stream(entry, "microphone", rig.microphones, place),
        landmarks=entry["landmarks"],
        fps=fps,
        rate_hz=rig.rate_hz,
        **_common(entry, place),
        recordings=tuple(recording.name for recording in own),
        splits=splits_of(own, entry, place),
        subjects={recording.name: recording.subject for recording in own},
        makers={recording.name: name for recording in own},
    )


def adopt_dataset(name: str, entry: dict[str, Any]) -> Dataset:
    """A dataset of the windows that stand in a folder as {train,val,test}/<speaker>/*.npz. Raises ConfigError."""
    place = f"datasets.{name}.npz"
    folder = Path(entry["npz"])
    if not folder.is_dir():
        raise ConfigError(f"{place}: {folder} is no folder")
    adopted: dict[str, str] = {}
    splits: dict[str, str] = {}
    for split in SPLITS:
        for speaker in sorted(path for path in (folder / split).glob("*") if path.is_dir()):
            if not is_stream_name(speaker.name):
                raise ConfigError(f"{place}: {speaker} becomes a folder's name; rename it to letters, digits and _+=@-")
            if speaker.name in splits:
                raise ConfigError(f"{place}: {speaker.name} stands in {splits[speaker.name]} and in {split}")
            adopted[speaker.name], splits[speaker.name] = str(speaker), split
    if not adopted:
        raise ConfigError(f"{place}: {folder} has no folder train/<speaker>, val/<speaker> or test/<speaker>")
    if lost := [str(path) for path in misplaced(folder)]:
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise ConfigError(
            f"{place}: {folder} must hold train/<speaker>/*.npz, val/<speaker>/*.npz and test/<speaker>/*.npz; move "
            f"what would be left out: {', '.join(lost[:SHOWN])}{more}"
        )
    fps = rational(entry.get("fps", "25"), f"datasets.{name}.fps")
    if Fraction(entry["rate_hz"]) % Fraction(fps):
        raise ConfigError(f"datasets.{name}: {entry['rate_hz']} samples cannot be divided evenly among {fps} frames")
    return Dataset(
        name=name,
        fps=fps,
        rate_hz=entry["rate_hz"],
        **_common(entry, f"datasets.{name}"),
        recordings=tuple(adopted),
        splits=splits,
        subjects={speaker: speaker for speaker in adopted},
        makers=dict.fromkeys(adopted, name),
        adopted=adopted,
    )


def join_datasets(name: str, entry: dict[str, Any], made: Mapping[str, Dataset]) -> Dataset:
    """A dataset of the windows of others, each recording in the split where it is there. Raises ConfigError."""
    place = f"datasets.{name}.from"
    for other in entry["from"]:
        if other not in made:
            raise ConfigError(f"{place}: there is no dataset `{other}` that makes windows{nearest(other, made)}")
    parts = [made[other] for other in entry["from"]]
    first = parts[0]
    for part in parts[1:]:
        for what in ("fps", "rate_hz", "window_frames", "features"):
            ours, theirs = getattr(first, what), getattr(part, what)
            if ours != theirs:
                raise ConfigError(f"{place}: {what} is {ours} in {first.name} and {theirs} in {part.name}")
    makers: dict[str, str] = {}
    split_of: dict[str, str] = {}
    for part in parts:
        for recording in part.recordings:
            if recording in makers:
                raise ConfigError(f"{place}: {recording} stands in {makers[recording]} and in {part.name}")
            makers[recording] = part.name
            subject, split = part.subjects[recording], part.splits[recording]
            if entry["split"]["by"] == "subject" and split_of.setdefault(subject, split) != split:
                raise ConfigError(
                    f"{place}: `{subject}` stands in {split_of[subject]} and, by {part.name}, in {split}; give all of "
                    "its recordings the same split"
                )
    return Dataset(
        name=name,
        fps=first.fps,
        rate_hz=first.rate_hz,
        **_common({**entry, "frames": first.window_frames, "features": first.features}, f"datasets.{name}"),
        recordings=tuple(makers),
        splits={recording: split for part in parts for recording, split in part.splits.items()},
        subjects={recording: subject for part in parts for recording, subject in part.subjects.items()},
        makers=makers,
    )


def _common(entry: dict[str, Any], place: str) -> dict[str, Any]:
    return {
        "window_frames": entry["frames"],
        "hop": hop_of(entry, place),
        "limits": dict(entry["limits"]),
        "formats": tuple(entry["formats"]),
        "features": tuple(entry["features"]),
        "speaker": entry["speaker"],
        "shard_samples": entry["shard_samples"],
    }


def without_sync(entry: dict[str, Any]) -> dict[str, Any]:
    """A dataset's entry without limits of scores that no model gives."""
    limits = {name: value for name, value in entry["limits"].items() if name not in OF_SYNC}
    return {**entry, "limits": limits}


def splits_of(recordings: Iterable[Recording], entry: dict[str, Any], place: str) -> dict[str, str]:
    """The split of each recording of a dataset that is cut from them. Raises ConfigError."""
    own, by = list(recordings), entry["split"]["by"]
    groups = {r.name: {"subject": r.subject, "session": r.session, "recording": r.name}[by] for r in own}
    fixed = {r.name: r.split for r in own if r.split}
    refuse_apart(own, fixed, f"{place}.split")
    return split_recordings(
        joined_groups(own, groups, by),
        fixed,
        shares_of(entry["split"]),
        entry["split"]["seed"],
        f"{place}.split",
    )


def hop_of(entry: dict[str, Any], place: str) -> int:
    """Frames from one window to the next. Raises ConfigError."""
    if "hop" in entry:
        return int(entry["hop"])
    frames, factor = int(entry["frames"]), int(entry["augment_factor"])
    if frames % factor:
        raise ConfigError(f"{place}.augment_factor: {frames} frames cannot be divided by {factor}; set `hop` instead")
    return frames // factor


def _stream(entry: dict[str, Any], kind: str, streams: tuple[StreamSource, ...], place: str) -> str:
    names = [stream.name for stream in streams]
    if kind in entry:
        if entry[kind] not in names:
            raise ConfigError(f"{place}.{kind}: the rig has no `{entry[kind]}`{nearest(entry[kind], names)}")
        return str(entry[kind])
    if len(names) != 1:
        raise ConfigError(f"{place}: the rig has {len(names)} {kind}s; name one by the key `{kind}`")
    return names[0]


def _check_given(recordings: list[Recording], place: str) -> None:
    for recording in recordings:
        if not recording.landmarks:
            raise ConfigError(f"{place}.landmarks: `given`, but {recording.name} has no file in the column `landmarks`")
