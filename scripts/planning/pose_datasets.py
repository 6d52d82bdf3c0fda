"""Datasets of poses, resolved against their rigs."""

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.names import instead_of, is_stream_name, nearest
from scripts.planning.cameras_plan import BOARD
from scripts.planning.datasets import Dataset, hop_of, splits_of
from scripts.planning.recordings import Recording
from scripts.planning.rigs import Rig


def make_pose_datasets(
    entries: Mapping[str, dict[str, Any]], rigs: Mapping[str, Rig], recordings: Iterable[Recording]
) -> dict[str, Dataset]:
    """The datasets of poses from their checked config entries. Raises ConfigError."""
    listed = list(recordings)
    return {name: _made(name, entry, rigs, listed) for name, entry in entries.items()}


def _made(name: str, entry: dict[str, Any], rigs: Mapping[str, Rig], recordings: list[Recording]) -> Dataset:
    place = f"datasets.{name}"
    if not is_stream_name(name):
        raise ConfigError(f"{place}: a dataset's name becomes a folder; {instead_of(name, '_+=@-')}")
    rig = rigs.get(entry["rig"])
    if rig is None:
        raise ConfigError(f"{place}.rig: there is no rig `{entry['rig']}`{nearest(entry['rig'], rigs)}")
    multicam = rig.entry.get("multicam", {})
    if multicam.get("detect", {}).get("backend", "none") == "none":
        raise ConfigError(f"{place}.rig: `{rig.name}` has no poses; set rigs.{rig.name}.multicam.detect.backend")
    own = [recording for recording in recordings if recording.rig == rig.name and recording.calibration != BOARD]
    return Dataset(
        name=name,
        kind="poses",
        rig=rig.name,
        fps="",
        rate_hz=0,
        window_frames=entry["frames"],
        hop=hop_of(entry, place),
        limits=dict(entry["limits"]),
        formats=tuple(entry["formats"]),
        features=(),
        shard_samples=entry["shard_samples"],
        recordings=tuple(recording.name for recording in own),
        splits=splits_of(own, entry, place),
        subjects={recording.name: recording.subject for recording in own},
        makers={recording.name: name for recording in own},
    )
