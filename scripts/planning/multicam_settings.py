"""What a rig says under `multicam`, checked beyond its schema."""

import os
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.keypoint_names import blob_names, corner_names
from scripts.common.names import nearest
from scripts.planning.marker_dictionaries import check_board_markers, check_detected_markers
from scripts.planning.rigs import Rig

ALIGNED_BY_TABLE = {"triggers": "{camera}", "given": ""}
# Columns of the table of common frames that no camera may be called.
TAKEN = ("frame", "time_ns")
# Back ends whose bones are those of the config alone; aruco has its own, and a given file may have some.
BONES_BY_CONFIG = ("markers", "onnx", "torchscript", "rtmpose", "function")


def check_multicam(rig: Rig) -> dict[str, Any]:
    """The settings of a rig. Raises ConfigError for what contradicts itself."""
    settings: dict[str, Any] = rig.entry["multicam"]
    place = f"rigs.{rig.name}.multicam"
    cameras = list(rig.camera_settings)
    if not cameras:
        raise ConfigError(f"{place}: the rig has no cameras")
    if taken := [name for name in cameras if name in TAKEN]:
        raise ConfigError(
            f"rigs.{rig.name}.cameras.{taken[0]}: the name is that of a column of the table of common frames"
        )
    if "compress" in settings and rig.source not in ("file", "files"):
        raise ConfigError(f"{place}.compress: it is for rigs of the source file or files, not {rig.source}")
    _check_align(rig, settings["align"], f"{place}.align")
    board = settings["board"]
    if board["kind"] != "chessboard" and board["marker_mm"] >= board["square_mm"]:
        raise ConfigError(f"{place}.board.marker_mm: {board['marker_mm']:g} is not less than square_mm")
    if board["kind"] == "chessboard" and min(board["columns"], board["rows"]) < 4:
        raise ConfigError(f"{place}.board: a chessboard wants 4 squares or more in both directions")
    check_board_markers(board, f"{place}.board")
    for name in settings["calibration"]["fisheye"]:
        if name not in cameras:
            raise ConfigError(f"{place}.calibration.fisheye: there is no camera `{name}`{nearest(name, cameras)}")
    _check_detect(settings["detect"], f"{place}.detect")
    for section in ("segment", "detect"):
        _check_env(settings[section]["env"], f"{place}.{section}.env")
    segment = settings["segment"]
    if segment["backend"] in ("onnx", "torchscript") and not segment["weights"]:
        raise ConfigError(f"{place}.segment.weights: the back end {segment['backend']} wants it")
    boneless = settings["detect"]["backend"] in BONES_BY_CONFIG and not settings["detect"]["skeleton"]
    if settings["smooth"]["method"] == "gimbal" and boneless:
        raise ConfigError(f"{place}.smooth.method: gimbal wants bones, and detect.skeleton names none")
    for name in settings["triangulate"]["exclude"]:
        if name not in cameras:
            raise ConfigError(f"{place}.triangulate.exclude: there is no camera `{name}`{nearest(name, cameras)}")
    if settings["detect"]["backend"] != "none":
        _check_used(cameras, settings["triangulate"], f"{place}.triangulate")
    return settings


def _check_env(env: str, place: str) -> None:
    if env.endswith((".yaml", ".yml")) and not os.path.isfile(env):
        raise ConfigError(f"{place}: {env!r} is no file; an env that exists is named without an ending")


def _check_used(cameras: list[str], triangulate: dict[str, Any], place: str) -> None:
    used = len(cameras) - len(set(triangulate["exclude"]))
    if used < 2:
        raise ConfigError(f"{place}: two cameras or more are wanted")
    if triangulate["min_cameras"] > used:
        left = ", without those of exclude" if triangulate["exclude"] else ""
        raise ConfigError(
            f"{place}.min_cameras: {triangulate['min_cameras']} is more than the rig's {used} cameras{left}:"
            " no point is left"
        )


def _check_detect(detect: dict[str, Any], place: str) -> None:
    wants = {
        "aruco": ("markers",),
        "onnx": ("weights", "names"),
        "torchscript": ("weights", "names"),
        "rtmpose": ("weights", "names"),
        "function": ("weights", "names", "function"),
        "given": ("given",),
    }
    for key in wants.get(detect["backend"], ()):
        if not detect[key]:
            raise ConfigError(f"{place}.{key}: the back end {detect['backend']} wants it")
    for key in ("names", "markers"):
        if len(set(detect[key])) != len(detect[key]):
            raise ConfigError(f"{place}.{key}: one stands there twice")
    check_detected_markers(detect, place)
    known = _keypoints(detect, place)
    for bone in detect["skeleton"]:
        for name in bone:
            if known is not None and name not in known:
                raise ConfigError(f"{place}.skeleton: there is no keypoint `{name}`{nearest(name, known)}")


def _keypoints(detect: dict[str, Any], place: str) -> list[str] | None:
    """Names of the keypoints; None if a file has its own: it is asked for bones when it is read."""
    names: list[str] = detect["names"]
    if detect["backend"] == "aruco":
        if names:
            raise ConfigError(f"{place}.names: the corners of aruco's markers have names, 1.a to 1.d; leave it out")
        return corner_names(detect["markers"])
    if detect["backend"] == "markers":
        if names and len(names) != detect["count"]:
            raise ConfigError(f"{place}.names: {len(names)} names for {detect['count']} markers (count)")
        return blob_names(detect["count"], names)
    return names if names or detect["backend"] != "given" else None


def _check_align(rig: Rig, align: dict[str, Any], place: str) -> None:
    wanted = ALIGNED_BY_TABLE.get(align["by"])
    if wanted is not None and (not align["table"] or wanted not in align["table"]):
        raise ConfigError(f"{place}.table: by {align['by']} wants a file pattern{f' with {wanted}' if wanted else ''}")
    if align["by"] == "clap":
        known = list(rig.microphone_settings)
        for camera in rig.camera_settings:
            name = align["microphones"].get(camera)
            if name is None:
                raise ConfigError(
                    f"{place}.microphones: the key `{camera}` is missing; by clap wants a microphone for each camera"
                )
            if name not in known:
                raise ConfigError(
                    f"{place}.microphones.{camera}: there is no microphone `{name}`{nearest(name, known)}"
                )
