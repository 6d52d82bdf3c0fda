"""What a dataset of shards asks of its clips beyond their times."""

from collections.abc import Mapping
from typing import Any

# Precisions whose clips begin at keyframes.
AT_KEYFRAMES = ("keyframe", "keyframe_adjusted")
# What a copy can be: packets in MP4, and nothing beside them.
OF_COPIES = {"video": "mp4"}


def changes_pictures(video: Mapping[str, Any]) -> bool:
    """Whether clips show other pictures than their item."""
    return any(video[key] for key in ("width", "height", "fps"))


def changes_sound(audio: Mapping[str, Any]) -> bool:
    """Whether clips sound at another rate than their item, or by other channels."""
    return any(audio[key] for key in ("rate_hz", "channels"))
