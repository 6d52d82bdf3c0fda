"""What the keypoints of markers are called: known before a picture is looked at."""

from collections.abc import Sequence

# Corners run clockwise from the marker's own upper left one.
CORNERS = ("a", "b", "c", "d")


def corner_names(markers: Sequence[int]) -> list[str]:
    """Of ArUco markers by their numbers: `{number}.a` to `{number}.d`."""
    return [f"{number}.{corner}" for number in markers for corner in CORNERS]


def blob_names(count: int, names: Sequence[str]) -> list[str]:
    """Of `count` blobs: `names`, or, without any, `marker_1`, `marker_2`, …"""
    return list(names) or [f"marker_{number + 1}" for number in range(count)]
