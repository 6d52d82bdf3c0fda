"""Calibrations of cameras as TOML, in the form that aniposelib reads and writes: one table a camera.

    [cam_0]
    name = "top"
    size = [1920, 1200]                   # pixels
    matrix = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    distortions = [k1, k2, p1, p2, k3]    # fisheye: k1..k4
    rotation = [rx, ry, rz]               # Rodrigues vector, world to camera
    translation = [tx, ty, tz]            # in the unit of the world
    fisheye = false

Cameras are known by their names, never by their position in the file.
"""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from scripts.common.errors import InputError

DISTORTIONS = {False: (4, 5), True: (4,)}
# Beyond this angle from the axis a polynomial of distortion says nothing.
WIDEST_PINHOLE = np.deg2rad(80)


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    size: width, height in pixels.  matrix: float64 (3, 3).  distortions: float64 (5,), fisheye (4,).
    rotation, translation: float64 (3,), from the world to the camera.
    """

    name: str
    size: tuple[int, int]
    matrix: np.ndarray
    distortions: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    fisheye: bool = False

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels of points of the world, float64 (N, 3) to (N, 2); NaN for what does not lie in front of the camera.

        The models are OpenCV's: pinhole with k1, k2, p1, p2, k3, and the fisheye of Kannala and Brandt.
        """
        seen = np.asarray(points, np.float64) @ rotation_matrix(self.rotation).T + self.translation
        depth = np.where(seen[:, 2] > 0, seen[:, 2], np.nan)
        x, y = seen[:, 0] / depth, seen[:, 1] / depth
        x, y = self._fisheye(x, y) if self.fisheye else self._pinhole(x, y)
        fx, fy, cx, cy = self.matrix[0, 0], self.matrix[1, 1], self.matrix[0, 2], self.matrix[1, 2]
        return np.stack([fx * x + self.matrix[0, 1] * y + cx, fy * y + cy], axis=1)

    def holds(self, pixels: np.ndarray) -> np.ndarray:
        """Which pixels, float64 (N, 2), lie in the picture; bool (N,)."""
        inside: np.ndarray = np.all((pixels >= 0) & (pixels <= np.array(self.size) - 1), axis=1)
        return inside

    def _pinhole(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k1, k2, p1, p2, k3 = np.pad(self.distortions, (0, 5 - len(self.distortions)))
        square = x * x + y * y
        square = np.where(square < min(np.tan(WIDEST_PINHOLE) ** 2, _turning([k1, k2, k3])), square, np.nan)
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        return (
            x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
            y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        )

    def _fisheye(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radius = np.hypot(x, y)
        angle = np.arctan(radius)
        square = angle * angle
        square = np.where(square < _turning(self.distortions), square, np.nan)
        k1, k2, k3, k4 = self.distortions
        bent = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
        scale = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
        return x * scale, y * scale


def _turning(bends: Iterable[float]) -> float:
    """Square of the radius at which r (1 + k1 r² + k2 r⁴ + …) stops rising: what lies beyond is seen nowhere.

    There the polynomial folds back, and would put into the picture what stands far beside it. inf: it always rises.
    """
    slope = [(2 * power + 1) * bend for power, bend in enumerate([1.0, *bends])]
    roots = np.roots(slope[::-1])
    real = roots.real[np.abs(roots.imag) < 1e-9 * np.maximum(1, np.abs(roots))]
    return float(real[real > 0].min(initial=np.inf))


def rotation_matrix(rotation: np.ndarray) -> np.ndarray:
    """The matrix of a Rodrigues vector; float64 (3,) to (3, 3)."""
    angle = float(np.linalg.norm(rotation))
    if angle == 0:
        return np.eye(3)
    a, b, c = np.asarray(rotation) / angle
    cross = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    matrix: np.ndarray = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return matrix


@dataclass(frozen=True)
class Calibration:
    """The cameras of a rig by name, and what the file says besides."""

    cameras: dict[str, Camera]
    metadata: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises InputError for what is no calibration."""
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError("bad_calibration", f"{path}: it is no TOML ({' '.join(str(error).split())})") from None
        metadata = tables.pop("metadata", {})
        cameras: dict[str, Camera] = {}
        for key, table in tables.items():
            camera = _camera(path, key, table)
            if camera.name in cameras:
                raise InputError("bad_calibration", f"{path}: the camera `{camera.name}` stands there twice")
            cameras[camera.name] = camera
        if not cameras:
            raise InputError("bad_calibration", f"{path}: it holds no camera")
        return cls(cameras, metadata if isinstance(metadata, dict) else {})

    def write(self, path: Path) -> None:
        """Write all cameras in their order, the same bytes on every run."""
        lines = []
        for index, camera in enumerate(self.cameras.values()):
            lines += [f"[cam_{index}]", f"name = {_text(camera.name)}", f"size = {list(camera.size)}"]
            lines += [f"matrix = {_numbers(camera.matrix)}", f"distortions = {_numbers(camera.distortions)}"]
            lines += [f"rotation = {_numbers(camera.rotation)}", f"translation = {_numbers(camera.translation)}"]
            lines += [f"fisheye = {json.dumps(camera.fisheye)}", ""]
        lines.append("[metadata]")
        lines += [f"{key} = {_text(value)}" for key, value in sorted(self.metadata.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def refuse_twins(calibration: Calibration, where: str) -> None:
    """Raises InputError if two cameras stand in the same place and look the same way: one stands for the other."""
    cameras = list(calibration.cameras.values())
    for index, one in enumerate(cameras):
        for other in cameras[index + 1 :]:
            turn = np.array_equal(one.rotation, other.rotation)
            if turn and np.array_equal(one.translation, other.translation):
                raise InputError("twin_cameras", f"{where}: `{one.name}` and `{other.name}` have the same parameters")


def _text(value: Any) -> str:
    """A value as TOML, whose strings are JSON's, but hold neither pairs of surrogates nor DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _numbers(values: np.ndarray) -> str:
    return json.dumps(np.asarray(values, np.float64).tolist())


def _camera(path: Path, key: str, table: Any) -> Camera:
    if not isinstance(table, dict):
        raise InputError("bad_calibration", f"{path}: `{key}` is no table of a camera")
    where = f"{path}, {key}"
    fisheye = table.get("fisheye", False) is True
    distortions = _array(table, "distortions", where, None)
    if distortions.ndim != 1 or len(distortions) not in DISTORTIONS[fisheye]:
        raise InputError(
            "bad_calibration", f"{where}: {distortions.size} distortions; only k1, k2, p1, p2, k3 are known"
        )
    size = _array(table, "size", where, (2,))
    return Camera(
        name=str(table.get("name", key)),
        size=(int(size[0]), int(size[1])),
        matrix=_array(table, "matrix", where, (3, 3)),
        distortions=distortions if fisheye else np.pad(distortions, (0, 5 - len(distortions))),
        rotation=_array(table, "rotation", where, (3,)),
        translation=_array(table, "translation", where, (3,)),
        fisheye=fisheye,
    )


def _array(table: dict[str, Any], key: str, where: str, shape: Iterable[int] | None) -> np.ndarray:
    try:
        values = np.asarray(table[key], np.float64)
    except KeyError:
        raise InputError("bad_calibration", f"{where}: `{key}` is missing") from None
    except (TypeError, ValueError):
        raise InputError("bad_calibration", f"{where}: `{key}` does not hold numbers") from None
    if shape is not None and values.shape != tuple(shape):
        raise InputError("bad_calibration", f"{where}: `{key}` has the shape {values.shape}, not {tuple(shape)}")
    if not np.isfinite(values).all():
        raise InputError("bad_calibration", f"{where}: `{key}` holds a number that is not finite")
    return values
