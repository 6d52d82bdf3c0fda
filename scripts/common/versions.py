"""The version of a method in the params of its rule, so that what an older one made is made again."""

from typing import Any

# Of the methods that go on with what a killed job of theirs has left: in the key of their rule, and in the mark of what
# is left, so that nothing an older method has made is taken for this one's.
LOT_METHODS = {
    "scan_shard": 2,
    "detect_lot_speech": 2,
    "cut_shard": 7,
    "compute_flow": 3,
    "extract_clip_frames": 3,
    "embed_clips": 2,
    "caption_clips": 2,
    "transcribe_clips": 2,
    "find_clip_landmarks": 5,
}


def versioned(version: int, **settings: Any) -> dict[str, Any]:
    """The param `key` of a rule: the version of its method and its settings by name.

    Snakemake compares params by their sorted values, without names, and cannot tell a swap of two; this it compares
    whole. A higher version reruns what an older method has made.
    """
    return {"version": version, **settings}
