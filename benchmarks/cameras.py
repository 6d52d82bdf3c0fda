"""python -m benchmarks.cameras: points in space a second on one core, a calibration, and memory of a long video.

The peer of the triangulation is how multicamera_keypoints does it: for every frame and keypoint, OpenCV's
triangulatePoints of every pair of cameras, and the median. Six cameras, 15 % of the keypoints missing, 10 % wild.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.table import Row, publish
from scripts.cameras import lens
from scripts.cameras.calibrate_cameras import calibrate_cameras
from scripts.cameras.triangulation import Rig, solve_all, triangulate
from scripts.common.frame_table import FrameTable

COMMAND = "make bench AREA=cameras"
DATA = Path(os.environ.get("RUSHES_TEST_DATA", "../shared/data")).resolve()
CALISCOPE = DATA / "multicam" / "caliscope" / "post_optimization" / "calibration" / "extrinsic" / "xy.csv"
CAMERAS, POINTS, PEER_POINTS = 6, 200_000, 1_000
FOCAL_PX = 1200.0
FISHEYE = np.array([FOCAL_PX, FOCAL_PX, 0, 0, 0.01, -0.003, 0.001, 0])
MISSING, WILD = 0.15, 0.10
# The best of several: what else the machine does adds to all of them.
REPEATS = 5
SHORT, LONG = 300, 3_000


def ring(count: int = CAMERAS) -> Rig:
    """Cameras around, 1.5 m off, looking at the middle."""
    poses = []
    for angle in np.arange(count) * 2 * np.pi / count:
        home = np.array([1500 * np.cos(angle), 1500 * np.sin(angle), 600])
        ahead = -home / np.linalg.norm(home)
        right = np.cross(ahead, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead])
        poses.append(np.column_stack([turn, -turn @ home]))
    return Rig(tuple(f"camera{n}" for n in range(count)), np.array(poses), (lens.pinhole(FOCAL_PX),) * count)


def made(rig: Rig, count: int) -> tuple[np.ndarray, np.ndarray]:
    """True points (N, 3), and their rays (C, 2, N) with noise of 0.7 px, wild ones and gaps."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-300, 300, (count, 3))
    place = np.einsum("cij,nj->cin", rig.poses[:, :, :3], points) + rig.poses[:, :, 3:]
    rays = place[:, :2] / place[:, 2:] + generator.normal(0, 0.7 / FOCAL_PX, (CAMERAS, 2, count))
    wild = generator.random((CAMERAS, count)) < WILD
    rays += np.where(wild[:, None], generator.uniform(-300, 300, rays.shape) / FOCAL_PX, 0)
    gone = generator.random((CAMERAS, count)) < MISSING
    return points, np.where(gone[:, None], np.nan, rays)


def by_pairs(rays: np.ndarray, rig: Rig) -> np.ndarray:
    """The old way: a loop over points and pairs of cameras, and the median."""
    found = np.full((rays.shape[2], 3), np.nan)
    for n in range(rays.shape[2]):
        proposals = []
        for a, b in combinations(range(CAMERAS), 2):
            if np.isfinite(rays[[a, b], :, n]).all():
                point = cv2.triangulatePoints(rig.poses[a], rig.poses[b], rays[a, :, n], rays[b, :, n])
                proposals.append(point[:3, 0] / point[3, 0])
        if proposals:
            found[n] = np.median(proposals, axis=0)
    return found


def rate(work: Callable[[], Any], count: int) -> float:
    """Points a second of processor time, the best of REPEATS."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return count / min(seconds)


def triangulation() -> list[Row]:
    """Robust and plain, beside the old loop."""
    rig = ring()
    points, rays = made(rig, POINTS)
    weights = np.ones((CAMERAS, POINTS))
    few = np.ascontiguousarray(rays[:, :, :PEER_POINTS])
    old = rate(lambda: by_pairs(few, rig), PEER_POINTS)
    robust = rate(lambda: triangulate(rays, weights, rig), POINTS)
    bent = replace(rig, lenses=(FISHEYE,) * CAMERAS)
    wide = rate(lambda: triangulate(rays, weights, bent), POINTS)
    plain = rate(lambda: solve_all(rays, weights, rig), POINTS)

    def p95(found: np.ndarray, true: np.ndarray) -> float:
        return float(np.nanpercentile(np.linalg.norm(found - true, axis=1), 95))

    error = p95(triangulate(rays, weights, rig).xyz, points)
    others = p95(solve_all(rays, weights, rig), points)
    peer = "median of pairs, a loop"
    return [
        _row("triangulation.robust", robust / 1e6, "M/s", peer, old / 1e6, robust / old, ">= 0.5 M/s", robust >= 5e5),
        _row("triangulation.robust_fisheye", wide / 1e6, "M/s", peer, old / 1e6, wide / old, ">= 0.5 M/s", wide >= 5e5),
        _row("triangulation.robust_to_loop", robust / old, "x", peer, None, None, ">= 100 x", robust >= 100 * old),
        _row("triangulation.plain", plain / 1e6, "M/s", peer, old / 1e6, plain / old, ">= 3 M/s", plain >= 3e6),
        _row("triangulation.error_p95", error, "mm", "plain", others, others / error, "<= 2 mm", error <= 2),
    ]


def calibration(folder: Path) -> list[Row]:
    """The rule's function on caliscope's corners, with its three starts."""
    columns: dict[str, list[float]] = {}
    with CALISCOPE.open() as file:
        for line in csv.DictReader(file):
            for key, value in line.items():
                columns.setdefault(key, []).append(float(value) if value else np.nan)
    camera = np.array(columns["cam_id"], int)
    paths = []
    for index in range(4):
        mine = camera == index
        table = {
            "frame": np.array(columns["sync_index"], np.int64)[mine],
            "corner": np.array(columns["keypoint_id"], np.int64)[mine],
            "x": np.array(columns["img_loc_x"])[mine],
            "y": np.array(columns["img_loc_y"])[mine],
            "width": np.full(mine.sum(), 1280),
            "height": np.full(mine.sum(), 720),
        }
        paths.append(folder / f"{index}.parquet")
        pq.write_table(pa.table(table), paths[-1])
    board = {"kind": "charuco", "columns": 4, "rows": 5, "square_mm": 54.0, "marker_mm": 40.5}
    board |= {"dictionary": "DICT_4X4_1000", "inverted": True, "legacy": False, "dot": False}
    settings = {"fisheye": [], "square_pixels": False, "starts": 3, "seed": 0, "max_views": 200, "max_median_px": 5.0}
    start = time.perf_counter()
    calibrate_cameras(
        paths,
        folder / "c.toml",
        folder / "c.json",
        folder / "l.parquet",
        recording="caliscope",
        cameras=list("0123"),
        board=board,
        settings=settings,
    )
    seconds = time.perf_counter() - start
    return [_row("calibration.caliscope", seconds, "s", "limit", 10.0, 10 / seconds, "<= 10 s", seconds <= 10)]


PROGRAM = """
import resource, sys
from pathlib import Path
from scripts.cameras.detect_keypoints import detect_keypoints
folder, count = Path(sys.argv[1]), sys.argv[2]
settings = {"backend": "aruco", "batch": 8, "dictionary": "DICT_4X4_50", "markers": [1], "names": [], "skeleton": []}
detect_keypoints(folder / f"{count}.mp4", folder / f"{count}.parquet", None, None, None, folder / "k", folder / "l",
    recording="r", camera="c", settings=settings, accelerator="cpu")
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)
"""


def detection(folder: Path) -> list[Row]:
    """Memory and time of a video ten times as long; and the bare decode of it."""
    measured = {}
    for count in (SHORT, LONG):
        path = folder / f"{count}.mp4"
        made_by = ["-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=30:duration={count / 30}"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *made_by, "-c:v", "libx264", "-preset", "veryfast"]
        subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True, stdin=subprocess.DEVNULL)
        times = np.arange(count, dtype=np.int64) * 1_000_000_000 // 30
        FrameTable.make(np.rint(times / 1000).astype(np.int64), times).write(folder / f"{count}.parquet")
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder), str(count)], check=True, capture_output=True, text=True
        )
        measured[count] = tuple(map(float, done.stdout.split()))
    more = measured[LONG][0] - measured[SHORT][0]
    each = (measured[LONG][1] - measured[SHORT][1]) / (LONG - SHORT) * 1000
    short = measured[SHORT][0]
    return [
        _row("detection.memory_of_10_times", measured[LONG][0], "MB", "a tenth", short, None, "+ 10 MB", more <= 10),
        _row("detection.aruco_720p", each, "cpu-ms", "with its decode", None, None, "", None),
    ]


def _row(
    measure: str,
    value: float,
    unit: str,
    against: str,
    against_value: float | None,
    ratio: float | None,
    goal: str,
    ok: bool | None,
) -> Row:
    return Row(
        measure, float(value), unit, against, against_value, ratio, goal, None if ok is None else bool(ok), COMMAND
    )


def main() -> None:
    """Measure and publish."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        publish("cameras", [*triangulation(), *calibration(Path(folder)), *detection(Path(folder))])


if __name__ == "__main__":
    main()
