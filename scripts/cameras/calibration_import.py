"""Calibrations that other programs wrote: caliscope's TOML, OpenCV's yml, Qualisys' xml; anipose's is our own form."""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from scripts.cameras.calibration_size import Size, fitted
from scripts.common.calibration_file import Calibration, Camera, refuse_twins
from scripts.common.errors import InputError
from scripts.common.file_endings import CALIBRATIONS
from scripts.common.text_file import refused

# Qualisys' own pixels are 1/64 of a pixel of the picture.
QUALISYS_SUBPIXELS = 64
# Its cameras look along -z, with y up; OpenCV's along z, with y down.
LOOKS_BACK = np.diag([1.0, -1.0, -1.0])
MM_PER = {"mm": 1.0, "m": 1000.0}
# Skew that moves no pixel by more than this is none.
SKEW_PX = 1e-3


def read_calibration(
    path: Path,
    cameras: list[str],
    unit: str,
    fisheye: Collection[str] = (),
    sizes: Mapping[str, Size | None] | None = None,
) -> tuple[Calibration, list[str]]:
    """The cameras of a rig, by their names, from a file of any of these programs, in mm; and what to say of them.

    unit: of the translations in a TOML or yml, mm or m; Qualisys' are always mm.  fisheye: cameras that are one, for a
    yml, which does not say it.  sizes: of the cameras' pictures, to which matrices are scaled.
    Raises InputError if the file is not as its program writes it, a camera is missing, two cameras stand in the same
    place, or a camera's pictures have another shape.
    """
    suffix = path.suffix.lower()
    if suffix not in CALIBRATIONS:
        raise InputError("bad_calibration", f"{path}: known are files that end in {', '.join(CALIBRATIONS)}")
    notes: list[str] = []
    with refused(path, "bad_calibration", "its program"):
        if suffix == ".toml":
            found = _toml(path, cameras)
        elif suffix in (".yml", ".yaml"):
            found, notes = _opencv(path, cameras, fisheye)
        else:
            found, unit = _qualisys(path), "mm"
    named = {name: _of(found, name, path) for name in cameras}
    for name, camera in named.items():
        _check(camera, f"{path}, {name}")
    made = {}
    for name, camera in named.items():
        moved = replace(camera, name=name, translation=camera.translation * MM_PER[unit])
        made[name], said = fitted(moved, (sizes or {}).get(name), f"{path}, {name}")
        notes += [said] if said else []
    calibration = Calibration(made, {"adjusted": True, "source": path.name, "unit": "mm"})
    refuse_twins(calibration, str(path))
    return calibration, notes


def _called(name: str) -> tuple[str, str]:
    """How files may call a camera; caliscope knows numbers alone: `cam_3` and `3` are the camera that is 3."""
    return name, re.sub(r"^cam(era)?_?", "", name)


def _of(found: dict[str, Camera], name: str, path: Path) -> Camera:
    for known in _called(name):
        if known in found:
            return found[known]
    raise InputError("bad_calibration", f"{path}: it has no camera `{name}`; it has {', '.join(found)}")


def _check(camera: Camera, where: str) -> None:
    """Raises InputError for parameters of another shape, or that are not finite."""
    for key, shape in (("matrix", (3, 3)), ("rotation", (3,)), ("translation", (3,))):
        values = getattr(camera, key)
        if values.shape != shape:
            raise InputError("bad_calibration", f"{where}: `{key}` has the shape {values.shape}, not {shape}")
        if not np.isfinite(values).all():
            raise InputError("bad_calibration", f"{where}: `{key}` holds a number that is not finite")
    if not np.isfinite(camera.distortions).all():
        raise InputError("bad_calibration", f"{where}: `distortions` holds a number that is not finite")
    matrix = camera.matrix
    if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise InputError("bad_calibration", f"{where}: `matrix` has a focal length that is not above 0")
    if abs(matrix[0, 1]) > SKEW_PX:
        raise InputError("bad_calibration", f"{where}: `matrix` has a skew of {matrix[0, 1]:g}; none is known here")
    if matrix[1, 0] or matrix[2].tolist() != [0, 0, 1]:
        raise InputError("bad_calibration", f"{where}: `matrix` is not fx, 0, cx; 0, fy, cy; 0, 0, 1")


def _toml(path: Path, cameras: list[str]) -> dict[str, Camera]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        tables = {}
    if "cameras" in tables or any(isinstance(t, dict) and "rotation_count" in t for t in tables.values()):
        return _caliscope(path, tables, cameras)
    return Calibration.read(path).cameras


def _caliscope(path: Path, tables: dict[str, Any], cameras: list[str]) -> dict[str, Camera]:
    """Its cameras; one that has no place yet matters only to a rig that has it."""
    wanted = {known for name in cameras for known in _called(name)}
    listed = tables.get("cameras") or {k: t for k, t in tables.items() if isinstance(t, dict) and "rotation_count" in t}
    found = {}
    for key, table in listed.items():
        name = re.sub(r"^cam_", "", str(key))
        try:
            rotation = np.array(table["rotation"], np.float64)
            if rotation.shape == (3, 3):
                rotation = _rodrigues(rotation)
            fisheye = bool(table.get("fisheye", False))
            found[name] = Camera(
                name=name,
                size=(int(table["size"][0]), int(table["size"][1])),
                matrix=np.array(table["matrix"], np.float64).reshape(3, 3),
                distortions=_distortions(np.array(table["distortions"], np.float64).ravel(), fisheye, f"{path}, {key}"),
                rotation=rotation.reshape(3),
                translation=np.array(table["translation"], np.float64).reshape(3),
                fisheye=fisheye,
            )
        except (KeyError, TypeError, ValueError) as error:
            if name in wanted:
                raise InputError("bad_calibration", f"{path}: camera {key} is not whole ({error})") from None
    return found


def _rodrigues(turn: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64).ravel()


def _distortions(values: np.ndarray, fisheye: bool, where: str) -> np.ndarray:
    wanted = 4 if fisheye else 5
    if np.any(values[wanted:]) or len(values) < 4:
        known = "of a fisheye k1, k2, k3, k4" if fisheye else "k1, k2, p1, p2, k3"
        raise InputError("bad_calibration", f"{where}: {len(values)} distortions; {known} are known")
    return np.pad(values[:wanted], (0, max(0, wanted - len(values))))


def _opencv(path: Path, cameras: list[str], fisheye: Collection[str]) -> tuple[dict[str, Camera], list[str]]:
    """One camera (`camera_matrix`), or several: `M1, D1, M2, D2, R, T` of a stereo calibration, in the rig's order.

    And of which four distortions nobody has said whether they are a fisheye's.
    """
    try:
        return _lenses(path, cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ), cameras, fisheye)
    # Of bytes that are no text, OpenCV says SystemError.
    except (cv2.error, SystemError):
        raise InputError("bad_calibration", f"{path}: OpenCV cannot read it as a calibration") from None


def _lenses(
    path: Path, storage: cv2.FileStorage, cameras: list[str], fisheye: Collection[str]
) -> tuple[dict[str, Camera], list[str]]:
    def array(*names: str) -> np.ndarray | None:
        for name in names:
            node = storage.getNode(name)
            if not node.empty() and node.mat() is not None:
                return np.asarray(node.mat(), np.float64)
        return None

    def number(*names: str) -> int:
        return next((int(n.real()) for n in map(storage.getNode, names) if not n.empty()), 0)

    size = (number("image_width", "image_Width", "width"), number("image_height", "image_Height", "height"))
    one = array("camera_matrix", "Camera_Matrix", "K")
    lenses = [(one, array("distortion_coefficients", "Distortion_Coefficients", "D"))]
    if one is None:
        lenses = [(array("M1", "K1"), array("D1")), (array("M2", "K2"), array("D2"))]
    turn, move = array("R"), array("T")
    if any(matrix is None or bends is None for matrix, bends in lenses) or len(lenses) != len(cameras):
        raise InputError("bad_calibration", f"{path}: it holds {len(lenses)} cameras, the rig {len(cameras)}")
    if len(lenses) > 1 and (turn is None or move is None):
        raise InputError("bad_calibration", f"{path}: it has no R and T, which say where the second camera stands")
    found, notes = {}, []
    for index, (name, (matrix, bends)) in enumerate(zip(cameras, lenses, strict=True)):
        assert matrix is not None
        assert bends is not None
        second = index == 1
        rotation = _rodrigues(turn) if second and turn is not None else np.zeros(3)
        place = move.ravel() if second and move is not None else np.zeros(3)
        wide = name in fisheye
        bent = _distortions(bends.ravel(), wide, f"{path}, {name}")
        found[name] = Camera(name, size, matrix, bent, rotation, place, wide)
        if bends.size == 4 and not wide:
            notes.append(f"{name} is read as a pinhole with k1, k2, p1, p2; name a fisheye in calibration.fisheye")
    return found, notes


def _qualisys(path: Path) -> dict[str, Camera]:
    """Qualisys Track Manager's export: intrinsics in 1/64 pixel, a matrix of rotation and the place in mm.

    Read as Pose2Sim reads it, by which the distortions are in 1/64, too.
    """
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError("bad_calibration", f"{path}: it is no XML ({error})") from None
    found = {}
    for camera in root.iter("camera"):
        name = camera.get("name") or camera.get("serial") or ""
        inner, place, view = camera.find("intrinsic"), camera.find("transform"), camera.find("fov_video")
        if inner is None or place is None:
            continue
        try:
            scale = QUALISYS_SUBPIXELS

            def value(node: Any, key: str) -> float:
                return float(node.attrib[key])

            matrix = np.array(
                [
                    [value(inner, "focalLengthU") / scale, 0, value(inner, "centerPointU") / scale],
                    [0, value(inner, "focalLengthV") / scale, value(inner, "centerPointV") / scale],
                    [0, 0, 1],
                ]
            )
            matrix[0, 1] = float(inner.get("skew", 0)) / scale
            if view is not None:
                matrix[0, 2] -= value(view, "left")
                matrix[1, 2] -= value(view, "top")
            names = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
            bends = [*(value(inner, key) / scale for key in names), 0.0]
            turn = np.array([[value(place, f"r{row}{column}") for column in (1, 2, 3)] for row in (1, 2, 3)])
            turn = LOOKS_BACK @ turn
            home = np.array([value(place, key) for key in ("x", "y", "z")])
            width = int(value(view, "right") - value(view, "left") + 1) if view is not None else 0
            height = int(value(view, "bottom") - value(view, "top") + 1) if view is not None else 0
        except (KeyError, ValueError) as error:
            raise InputError("bad_calibration", f"{path}, camera {name}: {error} is missing or no number") from None
        rotation = _rodrigues(turn)
        found[name] = Camera(name, (width, height), matrix, np.array(bends), rotation, -turn @ home)
    if not found:
        raise InputError("bad_calibration", f"{path}: it holds no camera with intrinsic and transform")
    return found
