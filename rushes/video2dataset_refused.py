"""What of video2dataset's arguments is refused, by its name, and why."""

from collections.abc import Mapping
from typing import Any

# The argument, and the reason.
REFUSED = {
    "stage=caption": "its captioners come from a hub; give an onnx model as `annotations.<name>: {kind: captions}`",
    "CaptionSubsampler": "its captioners come from a hub; give an onnx model as `annotations.<name>: {kind: captions}`",
    "detector_args": "Farneback has OpenCV's own settings; RAFT is `annotations.<name>: {method: raft, weights: …}`",
    "batch_size": "clips are transcribed one by one",
    "download_root": "nothing is downloaded; `model_name` is a folder",
    "downsample_method": "only `fps` is known",
    "encode_format": "pictures are written as mp4, sound as m4a",
    "oom_clip_count": "clips have five digits",
    "dataloader_args": "they belong to a stage that is not here",
    "sampler": "a table's rows are taken as they are; leave out rows in the table",
    "subjob_size": "lots are sized by the number of rows; `lot_shards` in our config changes that",
    "distributor=pyspark": "there is no Spark; one machine or SLURM",
    "distributor_args": "partitions and accounts stand in profiles/slurm",
}
# Values of refused keys that ask for nothing.
HARMLESS: dict[str, tuple[Any, ...]] = {
    "detector_args": (None,),
    "batch_size": (None, 1, 16),
    "download_root": (None,),
    "downsample_method": ("fps",),
    "encode_format": ("mp4", "m4a"),
    "oom_clip_count": (5,),
    "sampler": (None,),
    "subjob_size": (1000,),
    "distributor_args": (None,),
}


class ArgumentError(ValueError):
    """An argument that cannot be taken: its name, and why."""


def mapping_of(value: Any, place: str) -> dict[str, Any]:
    """A mapping, empty for nothing. Raises ArgumentError for anything else."""
    if value is not None and not isinstance(value, Mapping):
        raise ArgumentError(f"{place}: {value!r} is no mapping")
    return dict(value or {})


def refuse(place: str, key: str, value: Any) -> None:
    """Raise ArgumentError for a refused key, unless its value asks for nothing."""
    if value not in HARMLESS.get(key, ()):
        raise ArgumentError(f"{place}: {REFUSED[key]}")
