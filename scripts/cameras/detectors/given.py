"""Keypoints that another program found: DeepLabCut csv and h5, SLEAP h5, OpenPose json, our own parquet."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from scripts.cameras.detectors import deeplabcut
from scripts.cameras.detectors.interface import BAD_FILE, Row
from scripts.common.errors import InputError
from scripts.common.keypoints import Keypoints, Skeleton
from scripts.common.text_file import refused

# fmt: off
BODY_25 = (
    "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip", "RHip", "RKnee",
    "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar", "LBigToe", "LSmallToe", "LHeel",
    "RBigToe", "RSmallToe", "RHeel",
)
# fmt: on


def read_given(path: Path, names: list[str]) -> tuple[Skeleton, Iterator[Row]]:
    """The skeleton, and (frame, person, uv (K, 2), confidence (K,)) of every row. A folder is one of OpenPose's.

    names: for files that carry none. Raises InputError, here or while rows are taken, for what cannot be read as what
    it should be.
    """
    # Arrow and HDF5 say OSError and RuntimeError of bytes that are not theirs.
    with refused(path, BAD_FILE, "its program", OSError, RuntimeError):
        skeleton, rows = _reader(path)(path, names)
    count = len(skeleton.names)
    if wrong := [bone for bone in skeleton.bones if not all(0 <= end < count for end in bone)]:
        raise InputError(BAD_FILE, f"{path.name}: the bone {wrong[0]} has an end that is none of its {count} keypoints")
    return skeleton, _checked(path, rows, count)


def _reader(path: Path) -> Callable[[Path, list[str]], tuple[Skeleton, Iterator[Row]]]:
    if path.is_dir():
        return _openpose
    known = {".csv": deeplabcut.read_csv, ".parquet": _own, ".h5": _h5, ".hdf5": _h5}
    if path.suffix not in known:
        raise InputError(BAD_FILE, f"{path.name}: known are .csv, .h5, .parquet, and a folder of OpenPose's json")
    return known[path.suffix]


def _checked(path: Path, rows: Iterator[Row], count: int) -> Iterator[Row]:
    """The rows, of which each must have `count` keypoints; a point without a score is as sure as can be.

    So are those that a person placed, or moved: labels of DeepLabCut, corrections of SLEAP.
    """
    with refused(path, BAD_FILE, "its program"):
        for frame, person, uv, confidence in rows:
            if uv.shape != (count, 2) or confidence.shape != (count,):
                raise InputError(
                    BAD_FILE,
                    f"{path.name}: frame {frame} has {len(uv)} keypoints, {len(confidence)} scores, not {count}",
                )
            yield frame, person, uv, np.where(np.isnan(confidence), np.isfinite(uv).all(axis=1), confidence)


def _own(path: Path, _: list[str]) -> tuple[Skeleton, Iterator[Row]]:
    known = Keypoints.read(path)
    if not known.skeleton.names:
        raise InputError(BAD_FILE, f"{path.name}: it names no keypoints, so it is none of our files or a failed one")
    return known.skeleton, zip(known.frame.tolist(), known.person.tolist(), known.uv, known.confidence, strict=True)


def _openpose(folder: Path, names: list[str]) -> tuple[Skeleton, Iterator[Row]]:
    files = sorted(folder.glob("*_keypoints.json"))
    if not files:
        raise InputError(BAD_FILE, f"{folder.name}: it holds no *_keypoints.json")
    skeleton = Skeleton(tuple(names or BODY_25))
    return skeleton, _openpose_rows(files, len(skeleton.names))


def _openpose_rows(files: list[Path], count: int) -> Iterator[Row]:
    for path in files:
        # NAME_000000000012_keypoints.json: the frame's number stands in the name.
        number = path.stem.split("_")[-2]
        try:
            people = json.loads(path.read_text(encoding="utf-8"))["people"]
            for person, entry in enumerate(people):
                values = np.array(entry["pose_keypoints_2d"], np.float64).reshape(count, 3)
                # A point that OpenPose did not find stands at 0, 0 with confidence 0.
                values[values[:, 2] <= 0, :2] = np.nan
                yield int(number), person, values[:, :2], values[:, 2]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(BAD_FILE, f"{path.name}: it is not as OpenPose writes it ({error})") from None


def _h5(path: Path, names: list[str]) -> tuple[Skeleton, Iterator[Row]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "tracks" in file:
                return _sleap(file, path)
            if "df_with_missing" in file:
                return deeplabcut.read_h5(file["df_with_missing"], path, names)
    except OSError as error:
        raise InputError(BAD_FILE, f"{path.name}: it is no whole HDF5 ({error})") from None
    raise InputError(BAD_FILE, f"{path.name}: it holds neither SLEAP's `tracks` nor DeepLabCut's table")


def _sleap(file: object, path: Path) -> tuple[Skeleton, Iterator[Row]]:
    """SLEAP's analysis file: tracks (T, 2, K, F), point_scores (T, K, F), node_names, edge_inds."""
    tracks = np.asarray(file["tracks"], np.float64)  # type: ignore[index]
    names = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in file["node_names"][()])  # type: ignore[index]
    bones = np.asarray(file["edge_inds"]).tolist() if "edge_inds" in file else []  # type: ignore[index,operator]
    if "point_scores" in file:  # type: ignore[operator]
        scores = np.asarray(file["point_scores"], np.float64)  # type: ignore[index]
    else:
        scores = np.isfinite(tracks[:, 0]).astype(np.float64)
    if tracks.ndim != 4 or tracks.shape[1:3] != (2, len(names)) or scores.shape != tracks[:, 0].shape:
        raise InputError(
            BAD_FILE,
            f"{path.name}: `tracks` {tracks.shape}, `point_scores` {scores.shape}, {len(names)} names: no match",
        )
    skeleton = Skeleton(names, tuple((int(a), int(b)) for a, b in bones))

    def rows() -> Iterator[Row]:
        for frame in range(tracks.shape[3]):
            for person in range(len(tracks)):
                uv = tracks[person, :, :, frame].T
                if np.isfinite(uv).any():
                    yield frame, person, uv, np.clip(scores[person, :, frame], 0, 1)

    return skeleton, rows()
