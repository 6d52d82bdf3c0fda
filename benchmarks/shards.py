"""python -m benchmarks.shards: lists of videos to shards, beside video2dataset and beside bare ffmpeg.

Videos of 10 s, 640x360 at 30 frames a second with sound and four scenes, from an HTTP server on loopback, to exact
cuts of 224x224 and 5 frames a second as webdataset, with the same codec, preset and crf; start-up included. The peer
runs in a Python 3.10 of its own: RUSHES_PEER names its interpreter, with video2dataset==1.3.0 installed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.shards_made import make_small_files, make_videos, serve, write_urls
from benchmarks.shards_runs import CRF, FPS, PRESET, SIZE, floor, measure, ours, peer, prepared, samples_in
from benchmarks.table import Row, line_of, write

COMMAND = "make bench AREA=shards"


def compare(
    measure_name: str, cost: float, unit: str, against: str, other: float | None, least: float, most: bool
) -> Row:
    """A row: how many times less than the other (least), or at most so many times the other."""
    if other is None:
        return Row(measure_name, cost, unit, f"{against}: not installed", None, None, "", None, COMMAND)
    ratio = cost / other if most else other / cost
    goal = f"at most {least} x" if most else f"{least} x less"
    return Row(
        measure_name, cost, unit, against, other, ratio, goal, ratio <= least if most else ratio >= least, COMMAND
    )


def bench_clips(root: Path, count: int, times_less: float) -> Iterator[Row]:
    """The headline: scenes of `count` videos."""
    videos = root / f"videos{count}"
    make_videos(videos, count)
    names = sorted(path.name for path in videos.iterdir())
    parts = {"wall s": 0, "CPU s": 1}
    with serve(videos) as address:
        table = root / f"urls{count}.txt"
        write_urls(table, address, names)
        settings = f"clips: cuts, video: {{height: {SIZE}, width: {SIZE}, fps: {FPS}, crf: {CRF}, preset: {PRESET}}}"
        own = ours(root / "ours", table, settings)
        made = samples_in(root / "ours" / "results" / "datasets" / "web" / "shards" / "data")
        name = f"{count} videos"
        yield Row(f"{name}: scenes", made, "clips", "made", 4 * count, None, "all", made == 4 * count, COMMAND)
        bare = floor(root / f"floor{count}", [videos / name for name in names])
        for unit, part in parts.items():
            yield compare(f"{name}: {unit}", own[part], "s", "bare ffmpeg", bare[part], 1.3, True)
        other = peer(root / f"peer{count}", table, "two", 4 * count)
    for unit, part in parts.items():
        against = other[part] if other else None
        yield compare(f"{name}: {unit}", own[part], "s", "video2dataset", against, times_less, False)


def bench_downloads(root: Path, count: int) -> Iterator[Row]:
    """Small files from the server into tars, nothing decoded."""
    files = make_small_files(root, count)
    with serve(files) as address:
        table = root / "small.txt"
        write_urls(table, address, [f"{number:05d}.mp4" for number in range(count)])
        own = ours(root / "ours", table, "scan: {thumbnails: false}")
        other = peer(root / "peer_small", table, "download", count)
    each = count / own.cpu_s
    name = "download and tar, items a CPU second"
    if other is None:
        yield Row(name, each, "items", "video2dataset: not installed", None, None, "2 x more", None, COMMAND)
        return
    ratio = each / (count / other.cpu_s)
    yield Row(name, each, "items", "video2dataset", count / other.cpu_s, ratio, "2 x more", ratio >= 2, COMMAND)


def bench_plan(root: Path, rows: int) -> Iterator[Row]:
    """The plan of a large table, and the dry run of its DAG."""
    program = (
        "import pyarrow as pa, pyarrow.parquet as pq, sys\n"
        "n, step = int(sys.argv[1]), 500_000\n"
        "schema = pa.schema([('url', pa.string()), ('caption', pa.string()), ('duration', pa.float64())])\n"
        "with pq.ParquetWriter(sys.argv[2], schema) as w:\n"
        "    for a in range(0, n, step):\n"
        "        k = range(a, min(n, a + step))\n"
        "        w.write_table(pa.table({'url': [f'https://host{i % 97}.example/v/{i}.mp4' for i in k],"
        " 'caption': [f'a caption of video {i}' for i in k], 'duration': [float(i % 60) for i in k]}, schema=schema))\n"
    )
    table = root / "large.parquet"
    subprocess.run([sys.executable, "-c", program, str(rows), str(table)], check=True)
    folder = root / "plan"
    command = prepared(folder, f"datasets: {{web: {{kind: shards, table: {table}}}}}\n")
    planned = measure([*command, "--", "results/lots/web/plan.json"], folder)
    dry = measure([*command, "--dry-run"], folder)
    content = json.loads((folder / "results" / "lots" / "web" / "plan.json").read_text())
    jobs = 4 * len(content["lots"]) + 6
    name = f"{rows / 1e6:g} M rows"
    yield from [
        Row(f"{name}: plan", planned.wall_s, "s", "limit", 300, None, "at most 300 s", planned.wall_s <= 300, COMMAND),
        Row(f"{name}: memory", planned.peak_kb / 1024, "MB", "limit", 1000, None, "at most 1 GB",
            planned.peak_kb / 1024 <= 1000, COMMAND),
        Row(f"{name}: jobs", jobs, "jobs", "limit", 2000, None, "at most 2,000", jobs <= 2000, COMMAND),
        Row(f"{name}: dry run", dry.wall_s, "s", "limit", 10, None, "at most 10 s", dry.wall_s <= 10, COMMAND),
    ]  # fmt: skip


def main() -> None:
    """Measure, print and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--parts", nargs="+", default=["20", "downloads", "plan", "200"])
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the planned table")
    chosen = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="rushes_shards_") as folder:
        root = Path(folder)
        parts: dict[str, Callable[[], Iterator[Row]]] = {
            "20": lambda: bench_clips(root, 20, 6),
            "200": lambda: bench_clips(root, 200, 8),
            "downloads": lambda: bench_downloads(root, 1000),
            "plan": lambda: bench_plan(root, chosen.rows),
        }
        for name in chosen.parts:
            for row in parts[name]():
                rows.append(row)
                # What was measured stands there even if what follows fails.
                write("shards", rows)
                print(line_of(row), flush=True)


if __name__ == "__main__":
    main()
