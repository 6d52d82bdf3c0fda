"""python -m benchmarks.bags_mosaic: a mosaic beside a bare ffmpeg that does the same filter graph.

Four cameras of 1920x1200 at 40 fps, each scaled to half and stacked 2 x 2, h264 veryfast. Both make the same pictures
with the same codec, crf and preset; ours also matches frames by time, and writes the table of instants and the ledger.
Both have the two processors that the rule asks for, whatever the machine has. Pairs alternate; the row is the median of
the ratios of each pair.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np

from benchmarks.table import Row, publish

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
COMMAND = "make bench AREA=bags_mosaic"
CAMERAS = 4
WIDTH, HEIGHT, FPS = 1920, 1200, 40
CRF, PRESET = 20, "veryfast"
GOAL = 1.2
# Of the rule render_mosaic.
THREADS = 2
START_NS = 1_700_000_000_000_000_000


class Cost(NamedTuple):
    """What one command took: wall clock, and processor time of it and its children, in seconds."""

    wall_s: float
    cpu_s: float


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    start = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=_environment())
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def make_cameras(folder: Path, seconds: float) -> None:
    """Cameras as an import leaves them: moving pictures with noise at about 11 Mb/s, and their frame tables."""
    from scripts.common.frame_table import FrameTable

    for index in range(CAMERAS):
        source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={seconds},hue=h={index * 40}"
        command = [FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", f"{source},noise=alls=6:allf=t", "-c:v", "libx264"]
        command += ["-preset", "superfast", "-b:v", "11M", "-g", "20", "-bf", "0", "-pix_fmt", "yuv420p"]
        run([*command, "-video_track_timescale", "1000000", str(folder / f"cam{index}.mp4")])
        pts_us = np.arange(round(seconds * FPS), dtype=np.int64) * 1_000_000 // FPS
        table = FrameTable.make(pts_us, START_NS + pts_us * 1000, keyframe=np.arange(len(pts_us)) % 20 == 0)
        table.write(folder / f"cam{index}.frames.parquet")


def bare(folder: Path) -> Cost:
    """The same by ffmpeg alone."""
    scaled = "".join(f"[{k}:v]scale={WIDTH // 2}:{HEIGHT // 2}[c{k}];" for k in range(CAMERAS))
    stacked = "".join(f"[c{k}]" for k in range(CAMERAS)) + "xstack=grid=2x2"
    inputs = [part for k in range(CAMERAS) for part in ("-i", str(folder / f"cam{k}.mp4"))]
    command = [FFMPEG, "-v", "error", "-y", *inputs, "-filter_complex", scaled + stacked, "-c:v", "libx264"]
    return run([*command, "-preset", PRESET, "-crf", str(CRF), str(folder / "bare.mp4")])


def ours(folder: Path) -> Cost:
    """The rule's function in a fresh process, as Snakemake runs it."""
    return run([sys.executable, "-m", "benchmarks.bags_mosaic", "--render", str(folder)])


def render(folder: Path) -> None:
    """Render the mosaic of the cameras in `folder`."""
    from scripts.media.render_mosaic import render_mosaic

    cameras = [f"cam{k}" for k in range(CAMERAS)]
    scene = {"rows": [cameras], "columns": 2, "explicit": False, "cell": [WIDTH // 2, HEIGHT // 2]}
    scene |= {"missing": "black", "fps": "own", "codec": "h264", "crf": CRF, "preset": PRESET, "encoder": "cpu"}
    render_mosaic(
        [folder / f"{name}.mp4" for name in cameras],
        [folder / f"{name}.frames.parquet" for name in cameras],
        [],
        [],
        folder / "ours.mp4",
        folder / "ours.instants.parquet",
        folder / "ours.ledger.parquet",
        recording="bench",
        product="mosaic",
        cameras=cameras,
        microphones=[],
        scene=scene,
        sound={},
    )


def measure(folder: Path, *, seconds: float = 20, pairs: int = 3) -> list[Row]:
    """The rows of the mosaic, made in `folder`."""
    make_cameras(folder, seconds)
    costs = [(ours(folder), bare(folder)) for _ in range(pairs)]
    rows = []
    for index, name in enumerate(("wall", "cpu")):
        ratio = statistics.median(own[index] / other[index] for own, other in costs)
        rows.append(
            Row(
                measure=f"bags.mosaic.{name}",
                value=statistics.median(own[index] for own, _ in costs),
                unit="s",
                against="bare ffmpeg, same graph",
                against_value=statistics.median(other[index] for _, other in costs),
                ratio=ratio,
                goal=f"<= {GOAL}" if name == "wall" else "",
                ok=ratio <= GOAL if name == "wall" else None,
                command=COMMAND,
            )
        )
    return rows


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bags_mosaic", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="length of the cameras' videos")
    parser.add_argument("--pairs", type=int, default=3, help="how often both are run")
    parser.add_argument("--render", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.render:
        render(chosen.render)
        return
    with tempfile.TemporaryDirectory() as folder:
        publish("bags_mosaic", measure(Path(folder), seconds=chosen.seconds, pairs=chosen.pairs))


if __name__ == "__main__":
    main()
