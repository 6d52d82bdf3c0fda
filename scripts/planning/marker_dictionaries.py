"""OpenCV's predefined dictionaries of markers, by name: how many markers each has, numbered from 0.

Written down, as planning does without OpenCV.
"""

from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.names import nearest

MARKERS = {
    **{f"DICT_{side}X{side}_{count}": count for side in (4, 5, 6, 7) for count in (50, 100, 250, 1000)},
    "DICT_ARUCO_ORIGINAL": 1024,
    **dict.fromkeys(("DICT_ARUCO_MIP_36h12", "DICT_ARUCO_MIP_36H12"), 250),
    **dict.fromkeys(("DICT_APRILTAG_16h5", "DICT_APRILTAG_16H5"), 30),
    **dict.fromkeys(("DICT_APRILTAG_25h9", "DICT_APRILTAG_25H9"), 35),
    **dict.fromkeys(("DICT_APRILTAG_36h10", "DICT_APRILTAG_36H10"), 2320),
    **dict.fromkeys(("DICT_APRILTAG_36h11", "DICT_APRILTAG_36H11"), 587),
}


def check_board_markers(board: dict[str, Any], place: str) -> None:
    """Raises ConfigError for a dictionary that is none, or has fewer markers than are on the board."""
    known = _count(board["dictionary"], place)
    squares = board["columns"] * board["rows"]
    printed = {"chessboard": 0, "charuco": squares // 2, "aruco_grid": squares}[board["kind"]]
    if printed > known:
        raise ConfigError(
            f"{place}.dictionary: {board['dictionary']} has {known} markers, and {printed} are on the board;"
            " name the one that it is printed with"
        )


def check_detected_markers(detect: dict[str, Any], place: str) -> None:
    """Raises ConfigError for a dictionary that is none, or lacks a marker that is looked for."""
    known = _count(detect["dictionary"], place)
    if strange := [number for number in detect["markers"] if number >= known]:
        raise ConfigError(
            f"{place}.markers: {detect['dictionary']} has the numbers 0 to {known - 1}, and no {strange[0]}"
        )


def _count(dictionary: str, place: str) -> int:
    if dictionary not in MARKERS:
        raise ConfigError(f"{place}.dictionary: OpenCV has no `{dictionary}`{nearest(dictionary, MARKERS)}")
    return MARKERS[dictionary]
