"""The landmarks file: 68 points (iBUG order) of every face in every frame of a conformed video.

One row per frame and face, sorted by frame, then track. A frame without a row shows no face.
"""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from scripts.common.errors import InputError

POINTS = 68

# Name: dtype and shape without the rows' axis; R rows.
ROWS = {
    "frame": (np.int32, ()),
    "track": (np.int32, ()),
    "points": (np.float32, (POINTS, 2)),
    "score": (np.float32, ()),
    "box": (np.float32, (4,)),
    "interpolated": (np.bool_, ()),
}
COUNTS = ("frames", "width", "height")


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of a video, R rows.

    frame: int32 (R,), number in the conformed video.  track: int32 (R,), the same face through time.
    points: float32 (R, 68, 2), x and y in pixels of the conformed video, NaN where unknown.
    score: float32 (R,), how sure the back end is; comparable only within one back end.
    box: float32 (R, 4), x0 y0 x1 y1 of the face with its forehead, see `face_boxes`.
    interpolated: bool (R,), the row stands in a gap and was computed from its neighbours in time.
    imputed: bool (68,), points that no network measured: they follow from their neighbours in the face.
    frames: number of frames of the video.  backend: fan, openseeface, given; "" where there is none.
    width, height: of the video in pixels; 0 where nobody knows.
    """

    frame: np.ndarray
    track: np.ndarray
    points: np.ndarray
    score: np.ndarray
    box: np.ndarray
    interpolated: np.ndarray
    imputed: np.ndarray
    frames: int
    backend: str
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays are not those of the contract."""
        count = len(self.frame)
        for name, (dtype, shape) in ROWS.items():
            _check(name, getattr(self, name), dtype, (count, *shape))
        _check("imputed", self.imputed, np.bool_, (POINTS,))
        order = self.frame.astype(np.int64) << 32 | self.track
        if (np.diff(order) <= 0).any():
            raise ValueError("rows are not sorted by frame and track, each pair once")
        if count and (self.frame[0] < 0 or self.frame[-1] >= self.frames):
            raise ValueError(f"frames {self.frame[0]} to {self.frame[-1]} in a video of {self.frames}")

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def make(
        cls,
        frame: np.ndarray,
        track: np.ndarray,
        points: np.ndarray,
        score: np.ndarray,
        *,
        frames: int,
        backend: str,
        imputed: tuple[int, ...] = (),
        size: tuple[int, int] = (0, 0),
    ) -> Self:
        """Landmarks from rows in any order; boxes come from the points, tracks are numbered without holes."""
        order = np.lexsort((track, frame))
        _, number = np.unique(np.asarray(track)[order], return_inverse=True)
        ordered = np.asarray(points, np.float32).reshape(-1, POINTS, 2)[order]
        return cls(
            frame=np.asarray(frame, np.int32)[order],
            track=number.astype(np.int32),
            points=ordered,
            score=np.asarray(score, np.float32)[order],
            box=face_boxes(ordered),
            interpolated=np.zeros(len(order), bool),
            imputed=np.isin(np.arange(POINTS), imputed),
            frames=frames,
            backend=backend,
            width=size[0],
            height=size[1],
        )

    @classmethod
    def empty(cls, frames: int = 0, backend: str = "") -> Self:
        """No face in any frame; without arguments, what stands for a video that could not be read."""
        none = np.empty(0)
        return cls.make(none, none, none, none, frames=frames, backend=backend)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file written by `write`. Raises InputError if it is anything else."""
        try:
            arrays = np.load(path, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            with arrays:
                values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)}
            for name in COUNTS:
                _check(name, values[name], np.int32, ())
                values[name] = int(values[name])
            return cls(**{**values, "backend": str(values["backend"])})
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            # KeyError's own text is quoted.
            cause = error.args[0] if error.args else type(error).__name__
            raise InputError("bad_landmarks", f"{path} is no landmarks file: {cause}") from error

    def write(self, path: Path) -> None:
        """Write as npz, the same bytes on every run."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with path.open("wb") as file:
            counts = {name: np.int32(arrays[name]) for name in COUNTS}
            np.savez(file, **{**arrays, **counts, "backend": np.str_(self.backend)})

    @property
    def frames_with_face(self) -> int:
        """In how many frames at least one face was found."""
        return len(np.unique(self.frame))


# Height of the forehead above the brows, in heights of the face from brows to chin. Measured on the GRID clips:
# YuNet's boxes are 0.35 higher than the landmarks (standard deviation 0.02) and as wide.
FOREHEAD = 0.35


def face_boxes(points: np.ndarray) -> np.ndarray:
    """Boxes of faces as a detector draws them: around the points, with the forehead.

    points: float (R, 68, 2), NaN where unknown.  Returns float32 (R, 4), x0 y0 x1 y1, NaN without any point.
    """
    known = np.isfinite(points)
    low = np.where(known, points, np.inf).min(axis=1)
    high = np.where(known, points, -np.inf).max(axis=1)
    boxes = np.concatenate([low, high], axis=1)
    boxes[~np.isfinite(boxes).all(axis=1)] = np.nan
    boxes[:, 1] -= FOREHEAD * (boxes[:, 3] - boxes[:, 1])
    return boxes.astype(np.float32)


def _check(name: str, array: np.ndarray, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        wanted = f"{np.dtype(dtype)} {shape}"
        raise ValueError(f"`{name}` is {array.dtype} {array.shape} instead of {wanted}")
