"""The settings on a dataset's card: those that decide what stands in it. Another of them makes it another dataset.

How a dataset is written once more, as folders, shards or clips, is none of them: a model that learned from it is still
its model.
"""

from collections.abc import Mapping
from typing import Any

from scripts.planning.datasets import Dataset

# What decides besides what a dataset of windows has itself, by where its windows are from.
OF_WINDOWS = {"rig": ("rig", "landmarks", "speaker", "split"), "npz": ("npz",), "from": ("from",)}
# How labelled frames are written; and what has become other settings by now.
NOT_OF_FRAMES = {"formats", "shard_rows", "clips", "preset"}


def of_windows(dataset: Dataset, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of windows or poses; what the config leaves open, or says in other words, as it is taken."""
    origin = next(name for name in OF_WINDOWS if name in entry)
    said = {"kind": dataset.kind, **{name: entry[name] for name in OF_WINDOWS[origin] if name in entry}}
    said["frames"] = dataset.window_frames
    if dataset.kind == "windows":
        said |= {"fps": dataset.fps, "rate_hz": dataset.rate_hz, "features": list(dataset.features)}
    if dataset.rig:
        said |= {"hop": dataset.hop, "limits": dataset.limits}
    if dataset.camera:
        said |= {"camera": dataset.camera, "microphone": dataset.microphone}
    return said


def of_frames(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of labelled frames, from their checked settings."""
    return {name: value for name, value in entry.items() if name not in NOT_OF_FRAMES}
