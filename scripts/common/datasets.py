"""Datasets of the config, resolved against their rigs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scripts.common.config import rational
from scripts.common.errors import ConfigError
from scripts.common.names import is_stream_name, nearest
from scripts.common.recordings import Recording
from scripts.common.rigs import Rig, StreamSource
from scripts.common.splits import shares_of, split_recordings


@dataclass(frozen=True)
class Dataset:
    """A dataset of windows. hop: frames from one window to the next; splits: recording -> train, val or test."""

    name: str
    rig: str
    camera: str
    microphone: str
    landmarks: str
    window_frames: int
    hop: int
    limits: dict[str, float]
    formats: tuple[str, ...]
    recordings: tuple[str, ...]
    splits: dict[str, str]
    speaker: str = "only"

    def members(self, split: str | None) -> list[str]:
        """The recordings of a split, or all of them, in the order of the sheet."""
        return [name for name in self.recordings if split in (None, self.splits[name])]

    @property
    def split_names(self) -> list[str]:
        """The splits that hold a recording, sorted."""
        return sorted(set(self.splits.values()))


def make_dataset(name: str, entry: dict[str, Any], rigs: Mapping[str, Rig], recordings: Iterable[Recording]) -> Dataset:
    """The dataset `name` from its checked config entry. Raises ConfigError."""
    place = f"datasets.{name}"
    if not is_stream_name(name):
        raise ConfigError(f"{place}: a dataset's name becomes a folder; use letters, digits and _+=@-")
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
    split = entry["split"]
    return Dataset(
        name=name,
        rig=rig.name,
        camera=_stream(entry, "camera", rig.cameras, place),
        microphone=_stream(entry, "microphone", rig.microphones, place),
        landmarks=entry["landmarks"],
        window_frames=entry["frames"],
        hop=_hop(entry, place),
        limits=dict(entry["limits"]),
        formats=tuple(entry["formats"]),
        recordings=tuple(recording.name for recording in own),
        splits=split_recordings(
            {r.name: {"subject": r.subject, "session": r.session, "recording": r.name}[split["by"]] for r in own},
            {r.name: r.split for r in own if r.split},
            shares_of(split),
            split["seed"],
            f"{place}.split",
        ),
        speaker=entry["speaker"],
    )


def _hop(entry: dict[str, Any], place: str) -> int:
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
