"""Files of keypoints in pictures and in space: names, skeleton and units travel in the file.

Both are parquet with one row a frame and person. Of K keypoints `uv` holds 2 K numbers, `xyz` 3 K, and so on, as
lists of a fixed length; the names stand in the schema's metadata. Rows are written in groups, so memory does not
grow with them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common import table_file

ROWS = 2048
KEY = b"rushes"
# The six numbers of a symmetric matrix.
UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class Skeleton:
    """Names of keypoints in their order, and bones as pairs of their places."""

    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], bones: Sequence[Sequence[str]]) -> Self:
        """From bones by name. Raises ValueError for a name that is no keypoint."""
        places = {name: place for place, name in enumerate(names)}
        try:
            return cls(tuple(names), tuple((places[a], places[b]) for a, b in bones))
        except KeyError as error:
            raise ValueError(f"the skeleton names {error}, which is no keypoint") from None


@dataclass(frozen=True)
class Keypoints:
    """Keypoints in the pictures of a camera, R rows.

    frame: int64 (R,), of the camera's video.  person: int32 (R,), within the frame or the track.  uv: float32
    (R, K, 2), pixels, the middle of the first pixel at 0, NaN where there is none.  confidence: float32 (R, K), 0 to 1.
    """

    skeleton: Skeleton
    frame: np.ndarray
    person: np.ndarray
    uv: np.ndarray
    confidence: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of `KeypointWriter`; no names and no rows where the detection failed."""
        table, facts = _read(path)
        skeleton = _skeleton(facts)
        count = len(skeleton.names)
        if not facts:
            empty = np.empty(0, np.int64)
            return cls(skeleton, empty, empty, np.empty((0, 0, 2), np.float32), np.empty((0, 0), np.float32))
        return cls(
            skeleton,
            table["frame"].to_numpy(),
            table["person"].to_numpy(),
            _numbers(table, "uv", (count, 2)),
            _numbers(table, "confidence", (count,)),
        )

    def by_common_frame(self, shown: np.ndarray, persons: int) -> tuple[np.ndarray, np.ndarray]:
        """By common frame: uv float32 (M, P, K, 2), confidence (M, P, K), NaN and 0 for none.

        shown: int32 (M,), the camera's frame of each common frame, negative where it has none. Of more than P in a
        frame the surest count, whatever their numbers; they keep the order of these.
        """
        count = len(self.skeleton.names)
        uv = np.full((len(shown), persons, count, 2), np.nan, np.float32)
        sure = np.zeros((len(shown), persons, count), np.float32)
        if not count or not len(self.frame):
            return uv, sure
        place = self._places(shown)
        surest = np.lexsort((-np.nan_to_num(self.confidence).sum(axis=1), self.frame))
        rows = surest[(_numbered(self.frame[surest]) < persons) & (place[surest] >= 0)]
        rows = rows[np.lexsort((self.person[rows], self.frame[rows]))]
        at = place[rows], _numbered(self.frame[rows])
        uv[at], sure[at] = self.uv[rows], self.confidence[rows]
        return uv, np.where(np.isfinite(uv).all(axis=-1), sure, 0)

    def beyond(self, shown: np.ndarray, persons: int) -> int:
        """How many rows of common frames `by_common_frame` leaves out."""
        if not len(self.frame):
            return 0
        counts = np.unique(self.frame[self._places(shown) >= 0], return_counts=True)[1]
        return int(np.maximum(counts - persons, 0).sum())

    def _places(self, shown: np.ndarray) -> np.ndarray:
        """The common frame of each row, -1 for none."""
        common = np.full(max(int(shown.max(initial=-1)), int(self.frame.max())) + 1, -1)
        common[shown[shown >= 0]] = np.flatnonzero(shown >= 0)
        place: np.ndarray = common[self.frame]
        return place


class KeypointWriter:
    """Writes keypoints of frames as they come."""

    def __init__(self, path: Path, skeleton: Skeleton, **facts: Any) -> None:
        count = len(skeleton.names)
        fields = [("frame", pa.int64()), ("person", pa.int32()), _field("uv", 2 * count), _field("confidence", count)]
        self._schema = pa.schema(fields, metadata={KEY: _facts(skeleton, {"unit": "px", **facts})})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[tuple[int, int, np.ndarray, np.ndarray]] = []
        self.written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._flush()
        self._writer.close()

    def add(self, frame: int, uv: np.ndarray, confidence: np.ndarray) -> None:
        """The persons of a frame: float (I, K, 2), (I, K)."""
        for person, (points, sure) in enumerate(zip(uv, confidence, strict=True)):
            self.add_person(frame, person, points, sure)

    def add_person(self, frame: int, person: int, uv: np.ndarray, confidence: np.ndarray) -> None:
        """One person of a frame: float (K, 2), (K,)."""
        self._rows.append((frame, person, uv.astype(np.float32).ravel(), confidence.astype(np.float32)))
        self.written += 1
        if len(self._rows) == ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        frame, person, uv, confidence = zip(*self._rows, strict=True)
        columns = [pa.array(frame, pa.int64()), pa.array(person, pa.int32())]
        columns += [_lists(np.array(uv)), _lists(np.array(confidence))]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows = []


@dataclass(frozen=True)
class Poses:
    """Keypoints in space: R rows, one a common frame and person, in the order of person and frame.

    frame: int64 (R,).  person: int32 (R,).  time_ns: int64 (R,).  xyz: float64 (R, K, 3), NaN where there is none.
    error_px: float32 (R, K).  cameras, inliers: uint8 (R, K), how many saw it, how many agree.  covariance: float64
    (R, K, 3, 3).  facts: unit, calibration (sha256), and what was done.
    """

    skeleton: Skeleton
    frame: np.ndarray
    person: np.ndarray
    time_ns: np.ndarray
    xyz: np.ndarray
    error_px: np.ndarray
    cameras: np.ndarray
    inliers: np.ndarray
    covariance: np.ndarray
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.frame)

    def of_person(self, person: int) -> np.ndarray:
        """Places of a person's rows, in the order of time."""
        return np.flatnonzero(self.person == person)

    @property
    def fps(self) -> float:
        """Frames a second of the first person, from the median step; 0 with fewer than two."""
        times = self.time_ns[self.person == self.person[0]] if len(self) else self.time_ns
        return 1e9 / float(np.median(np.diff(times))) if len(times) > 1 else 0.0

    def write(self, path: Path) -> None:
        """Write to parquet, the same bytes on every run."""
        count, rows = len(self.skeleton.names), len(self)
        upper = np.stack([self.covariance[..., i, j] for i, j in UPPER], axis=-1)
        lists: dict[str, tuple[np.ndarray, Any]] = {
            "xyz": (self.xyz, pa.float64()),
            "error_px": (self.error_px, pa.float32()),
            "cameras": (self.cameras, pa.uint8()),
            "inliers": (self.inliers, pa.uint8()),
            "covariance": (upper, pa.float32()),
        }
        fields: list[Any] = [("frame", pa.int64()), ("person", pa.int32()), ("time_ns", pa.int64())]
        columns = [pa.array(c, f[1]) for c, f in zip((self.frame, self.person, self.time_ns), fields, strict=True)]
        for name, (values, kind) in lists.items():
            width = values.size // rows if rows else count * {"xyz": 3, "covariance": 6}.get(name, 1)
            fields.append((name, pa.list_(kind, width)))
            flat = pa.array(values.ravel().astype(kind.to_pandas_dtype()), kind)
            columns.append(pa.FixedSizeListArray.from_arrays(flat, width))
        schema = pa.schema(fields, metadata={KEY: _facts(self.skeleton, self.facts)})
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), path, compression="zstd", row_group_size=ROWS)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of `write`; no names and no rows where the triangulation failed."""
        table, facts = _read(path)
        skeleton = _skeleton(facts)
        count = len(skeleton.names)
        if not facts:
            table = pa.table({name: pa.array([], pa.int64()) for name in ("frame", "person", "time_ns")})
        arrays = {
            name: _numbers(table, name, shape)
            for name, shape in {
                "xyz": (count, 3),
                "error_px": (count,),
                "cameras": (count,),
                "inliers": (count,),
                "covariance": (count, 6),
            }.items()
        }
        upper = arrays.pop("covariance")
        covariance = np.empty((*upper.shape[:2], 3, 3))
        for place, (i, j) in enumerate(UPPER):
            covariance[..., i, j] = covariance[..., j, i] = upper[..., place]
        named = {name: table[name].to_numpy() for name in ("frame", "person", "time_ns")}
        rest = {key: value for key, value in facts.items() if key not in ("names", "bones")}
        return cls(skeleton, **named, **arrays, covariance=covariance, facts=rest)


def _numbered(groups: np.ndarray) -> np.ndarray:
    """The number of each row within its group, from 0; groups: int (R,), sorted."""
    first = np.append(True, np.diff(groups) != 0)[: len(groups)]
    numbers = np.arange(len(groups))
    out: np.ndarray = numbers - np.maximum.accumulate(np.where(first, numbers, 0))
    return out


def _field(name: str, width: int) -> tuple[str, Any]:
    return name, pa.list_(pa.float32(), width)


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), values.shape[1])


def _facts(skeleton: Skeleton, facts: dict[str, Any]) -> bytes:
    whole = {"names": skeleton.names, "bones": skeleton.bones, **facts}
    return json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()


def _skeleton(facts: dict[str, Any]) -> Skeleton:
    return Skeleton(tuple(facts.get("names", ())), tuple((a, b) for a, b in facts.get("bones", ())))


def _read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    table = table_file.read(path)
    facts = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    return table, facts


def _numbers(table: pa.Table, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A column of lists as an array (R, *shape)."""
    if name not in table.column_names:
        return np.empty((0, *shape), np.float32)
    column = table[name].combine_chunks()
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(table.num_rows, *shape)
