"""Keypoints in space as files of other programs: numpy, tables, sleap-anipose's h5, OpenSim's trc, c3d."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from scripts.cameras.series import grid_places, on_grid
from scripts.common.errors import InputError
from scripts.common.keypoints import Poses

# What a file of motion capture says for a point that is not there.
C3D_MISSING = -1.0
# Its header counts frames in 16 bits.
C3D_FRAMES = 65_535
# Rows without points that stand for frames which all cameras lost; more are a pause, and would fill the disk.
MOST_LOST = 200_000
CSV_COLUMNS = ("x", "y", "z", "error", "ncams")


@dataclass(frozen=True)
class Session:
    """The poses of a recording, and how many common frames a second it has."""

    recording: str
    poses: Poses
    fps: float

    @property
    def persons(self) -> list[int]:
        """Those that are seen at all."""
        return sorted(set(self.poses.person.tolist()))

    def of_person(self, person: int) -> Poses:
        """One person's rows."""
        rows, poses = self.poses.of_person(person), self.poses
        names = ("frame", "person", "time_ns", "xyz", "error_px", "cameras", "inliers", "covariance")
        return replace(poses, **{name: getattr(poses, name)[rows] for name in names})


@dataclass(frozen=True)
class EvenRows:
    """One person's poses in a row a period, as motion capture has them: frames that all cameras lost have NaN.

    xyz: float64 (N, K, 3).  error_px: float64 (N, K).  seconds: float64 (N,), from the first row.
    """

    xyz: np.ndarray
    error_px: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of(cls, poses: Poses, ending: str) -> "EvenRows":
        """Raises InputError where the times leave out more frames than can stand as empty rows."""
        places = grid_places(poses.time_ns)
        count = int(places[-1]) + 1
        if (lost := count - len(places)) > MOST_LOST:
            raise InputError(
                "long_pause",
                f"{ending} has a row for every period, and the times leave out {lost} of {count}; "
                "cut the recording by start and end in the sheet, or export npz, csv or h5",
                value=lost,
                limit=MOST_LOST,
            )
        seconds = (poses.time_ns - poses.time_ns[0]) / 1e9
        return cls(
            on_grid(poses.xyz, places), on_grid(poses.error_px, places), np.interp(np.arange(count), places, seconds)
        )

    @property
    def rate_hz(self) -> float:
        """Rows a second on average, so that the last one stands where it should; 1 for a single row, for readers of
        motion capture divide by it."""
        return (len(self.seconds) - 1) / float(self.seconds[-1]) if len(self.seconds) > 1 else 1.0


def write_npz(session: Session, folder: Path) -> None:
    """All arrays as `Poses` has them, and names, bones, unit, calibration, fps; nothing in it is pickled."""
    poses = session.poses
    np.savez(
        folder / "poses.npz",
        frame=poses.frame,
        person=poses.person,
        time_ns=poses.time_ns,
        xyz=poses.xyz,
        error_px=poses.error_px,
        cameras=poses.cameras,
        inliers=poses.inliers,
        covariance=poses.covariance,
        names=np.array(poses.skeleton.names, str),
        bones=np.array(poses.skeleton.bones, np.int32).reshape(-1, 2),
        unit=np.array(poses.facts["unit"]),
        calibration=np.array(poses.facts["calibration"]),
        fps=np.array(session.fps),
    )


def write_csv(session: Session, folder: Path) -> None:
    """Anipose's columns, `{name}_x`, `_y`, `_z`, `_error` (px), `_ncams`, after frame, time and person."""
    poses = session.poses
    header = ["fnum", "time_s", "person"]
    header += [f"{name}_{column}" for name in poses.skeleton.names for column in CSV_COLUMNS]
    beginning = poses.time_ns.min()
    with (folder / "poses.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in range(len(poses)):
            values = [*poses.xyz[row].T, poses.error_px[row], poses.inliers[row]]
            points = [_number(value) for point in zip(*values, strict=True) for value in point]
            seconds = f"{(poses.time_ns[row] - beginning) / 1e9:.6f}"
            writer.writerow([int(poses.frame[row]), seconds, int(poses.person[row]), *points])


def write_h5(session: Session, folder: Path) -> None:
    """As sleap-anipose: `tracks` float64 (frames, persons, keypoints, 3), NaN for none; and what else is known."""
    poses, persons = session.poses, session.persons
    frames, at = np.unique(poses.frame, return_inverse=True)
    tracks = np.full((len(frames), len(persons), *poses.xyz.shape[1:]), np.nan)
    error = np.full(tracks.shape[:3], np.nan, np.float32)
    place = np.searchsorted(persons, poses.person)
    tracks[at, place], error[at, place] = poses.xyz, poses.error_px
    with h5py.File(folder / "poses.h5", "w", track_order=True) as file:
        file["tracks"] = tracks
        file["reprojection_error"] = error
        file["frames"] = frames
        file["time_ns"] = poses.time_ns[np.unique(at, return_index=True)[1]]
        file["node_names"] = np.array(poses.skeleton.names, h5py.string_dtype())
        file["edge_inds"] = np.array(poses.skeleton.bones, np.int32).reshape(-1, 2)
        file.attrs.update({"unit": poses.facts["unit"], "calibration": poses.facts["calibration"], "fps": session.fps})


def write_trc(session: Session, folder: Path) -> None:
    """OpenSim's track row columns, one file a person; a point that is not there is an empty field."""
    for person in session.persons:
        poses = session.of_person(person)
        even = EvenRows.of(poses, "trc")
        name = _named(session, person, "trc")
        rate, count, points = f"{even.rate_hz:.9g}", len(even.seconds), len(poses.skeleton.names)
        titles = ["Frame#", "Time", *(field for name in poses.skeleton.names for field in (_word(name), "", ""))]
        axes = ["", "", *(f"{axis}{n + 1}" for n in range(points) for axis in "XYZ")]
        facts = ("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame")
        said = (rate, rate, count, points, poses.facts["unit"], rate, 1, count)
        lines = [
            ["PathFileType", "4", "(X/Y/Z)", name],
            [*facts, "OrigNumFrames"],
            list(map(str, said)),
            titles,
            axes,
            [],
        ]
        for row, (xyz, seconds) in enumerate(zip(even.xyz, even.seconds, strict=True)):
            lines.append([str(row + 1), f"{seconds:.6f}", *map(_number, xyz.ravel())])
        (folder / name).write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def write_c3d(session: Session, folder: Path) -> None:
    """The format of motion capture, one file a person; a point that is not there has the residual -1.

    What is longer than a file can be goes on in the next part, which says how many seconds after the first it begins.
    """
    for person in session.persons:
        even = EvenRows.of(session.of_person(person), "c3d")
        parts = math.ceil(len(even.seconds) / C3D_FRAMES)
        for part in range(parts):
            rows = slice(part * C3D_FRAMES, (part + 1) * C3D_FRAMES)
            name = _named(session, person, "c3d" if parts == 1 else f"part_{part + 1}.c3d")
            _write_c3d_part(session.poses, even, rows, folder / name)


def _write_c3d_part(poses: Poses, even: EvenRows, rows: slice, target: Path) -> None:
    import ezc3d

    xyz, error_px = even.xyz[rows], even.error_px[rows]
    missing = ~np.isfinite(xyz).all(axis=2)
    points = np.concatenate([np.where(missing[..., None], 0, xyz), np.ones((*missing.shape, 1))], axis=2)
    residual = np.where(missing, C3D_MISSING, np.nan_to_num(error_px))
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["UNITS"]["value"] = [poses.facts["unit"]]
    file["parameters"]["POINT"]["RATE"]["value"] = [even.rate_hz]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(poses.skeleton.names)
    file["data"]["points"] = points.transpose(2, 1, 0)
    file["data"]["meta_points"]["residuals"] = residual.T[None]
    file.add_parameter("RUSHES", "CALIBRATION", [str(poses.facts["calibration"])])
    file.add_parameter("RUSHES", "SKELETON", [json.dumps(poses.skeleton.bones)])
    file.add_parameter("RUSHES", "BEGINS_S", [float(even.seconds[rows.start])])
    file.write(str(target))


def _named(session: Session, person: int, ending: str) -> str:
    """A file of one person; no number where there is but one."""
    return f"poses.{ending}" if len(session.persons) == 1 else f"poses.person_{person}.{ending}"


def _word(name: str) -> str:
    """A name without what would end a column of a trc."""
    return " ".join(name.split())


def _number(value: float) -> str:
    return f"{value:.9g}" if np.isfinite(value) else ""


WRITERS: dict[str, Callable[[Session, Path], None]] = {
    "npz": write_npz,
    "csv": write_csv,
    "h5": write_h5,
    "trc": write_trc,
    "c3d": write_c3d,
}
