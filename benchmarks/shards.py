"""python -m benchmarks.shards: lists of videos to shards, beside video2dataset and beside bare ffmpeg.

Videos of 10 s, 640x360 at 30 frames a second with sound and four scenes, from an HTTP server on loopback, to exact
cuts of 224x224 and 5 frames a second as webdataset, with the same codec, preset and crf; start-up included. The peer
runs in a Python 3.10 of its own: RUSHES_PEER names its interpreter, with video2dataset==1.3.0 installed.
"""

import argparse
import contextlib
import ctypes
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg

from benchmarks.table import Row, publish

REPO = Path(__file__).parents[1]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SCENES = ("testsrc2", "smptebars", "mandelbrot", "rgbtestsrc")
SCENE_S = 2.5
SIZE, FPS = 224, 5
# Of Linux' prctl.
PR_SET_CHILD_SUBREAPER = 36
CRF, PRESET = 23, "medium"
COMMAND = "make bench AREA=shards"

PEER = """
import os, sys
import torch.distributed as dist
# Its torch 2.1 raised RuntimeError without a process group, which it catches; later ones raise ValueError.
def as_before(asked):
    def ask(*given, **named):
        try:
            return asked(*given, **named)
        except ValueError as error:
            raise RuntimeError(str(error)) from error
    return ask
dist.get_rank, dist.get_world_size = as_before(dist.get_rank), as_before(dist.get_world_size)
from video2dataset import video2dataset
def config(subsampling):
    return {
        "subsampling": subsampling,
        "reading": {
            "yt_args": {"download_size": 360, "download_audio_rate": 44100, "yt_metadata_args": None},
            "timeout": 60,
            "sampler": None,
        },
        "storage": {"number_sample_per_shard": 1000, "oom_shard_count": 5, "captions_are_subtitles": False},
        "distribution": {"processes_count": 2, "thread_count": 16, "subjob_size": 1000,
                         "distributor": "multiprocessing"},
    }
def main(table, folder, stages):
    if stages == "download":
        video2dataset(url_list=table, input_format="txt", output_format="webdataset", output_folder=folder,
                      encode_formats={"video": "mp4"}, stage="download", config=config({}))
        return
    cuts = {"CutDetectionSubsampler": {"args": {"cut_detection_mode": "all", "framerates": None, "threshold": 27,
            "min_scene_len": 15}, "cuts_are_clips": True}}
    clips = {"ClippingSubsampler": {"args": {"min_length": 0.0, "max_length": 999999.0, "max_length_strategy": "all",
             "precision": "exact"}}}
    video2dataset(url_list=table, input_format="txt", output_format="webdataset", output_folder=folder + "/one",
                  encode_formats={"video": "mp4"}, stage="download", config=config({**cuts, **clips}))
    frames = {"FrameSubsampler": {"args": {"frame_rate": 5}}}
    size = {"ResolutionSubsampler": {"args": {"video_size": 224, "resize_mode": "scale,crop,pad"}}}
    tars = sorted(os.path.join(folder, "one", n) for n in os.listdir(folder + "/one") if n.endswith(".tar"))
    video2dataset(url_list=tars[0] if len(tars) == 1 else folder + "/one/{00000..%05d}.tar" % (len(tars) - 1),
                  input_format="webdataset", output_format="webdataset", output_folder=folder + "/two",
                  encode_formats={"video": "mp4"}, stage="subset", config=config({**size, **frames}))
if __name__ == "__main__":
    main(*sys.argv[1:4])
"""


class Cost(NamedTuple):
    """Wall and CPU seconds of a command and all its children, and peak memory in kB."""

    wall_s: float
    cpu_s: float
    peak_kb: float


def adopt_orphans() -> None:
    """From here on processes whose parents have ended become children of this one, so that their CPU time is known."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def measure(command: list[str], folder: Path, **environment: str) -> Cost:
    """Run a command to its end, with all that it leaves behind. Raises SystemExit if it fails."""
    adopt_orphans()
    start = time.perf_counter()
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "SLURM_CONF": os.devnull, **environment}, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start
    cpu_s, peak_kb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    with contextlib.suppress(ChildProcessError):
        while True:
            _, _, usage = os.wait4(-1, 0)
            cpu_s, peak_kb = cpu_s + usage.ru_utime + usage.ru_stime, max(peak_kb, usage.ru_maxrss)
    if status:
        raise SystemExit(f"{' '.join(command[:4])} failed in {folder}: {(folder / 'log').read_text()[-2000:]}")
    return Cost(wall_s, cpu_s, peak_kb)


def make_videos(folder: Path, count: int) -> None:
    """Videos of four scenes, each in its own colours, with as much noise as a camera has."""
    folder.mkdir()

    def make(number: int) -> None:
        inputs = []
        for scene in SCENES:
            inputs += ["-f", "lavfi", "-t", str(SCENE_S), "-i", f"{scene}=size=640x360:rate=30"]
        order = [(number + k) % len(SCENES) for k in range(len(SCENES))]
        chain = "".join(f"[{k}:v]setsar=1,format=yuv420p[s{k}];" for k in order) + "".join(f"[s{k}]" for k in order)
        chain += f"concat=n={len(SCENES)}:v=1,hue=h={18 * number},noise=alls=4:allf=t:all_seed={number + 1}[v]"
        sound = ["-f", "lavfi", "-t", "10", "-i", f"sine=frequency={300 + 10 * number}:sample_rate=44100"]
        command = [FFMPEG, "-v", "error", *inputs, *sound, "-filter_complex", chain, "-map", "[v]", "-map", "4:a"]
        command += ["-c:v", "libx264", "-preset", "fast", "-crf", "20", "-c:a", "aac", "-shortest"]
        subprocess.run([*command, str(folder / f"{number:04d}.mp4")], check=True, stdin=subprocess.DEVNULL)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, range(count)))


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """A server of the files of a folder; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def write_urls(path: Path, address: str, names: list[str]) -> None:
    """A table of the files' addresses."""
    path.write_text("".join(f"{address}/{name}\n" for name in names))


def ours(folder: Path, table: Path, settings: str) -> Cost:
    """Our own run of a table, from the command line."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "recordings.tsv").write_text("recording\trig\tsource\n")
    (folder / "config" / "models.yaml").write_text("{}\n")
    config = f"datasets: {{web: {{kind: shards, table: {table}, fetch: {{allow_private_hosts: true}}, {settings}}}}}\n"
    (folder / "config" / "config.yaml").write_text(config)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile")]
    return measure([*command, "--profile", str(REPO / "profiles" / "local"), "--quiet", "all"], folder)


def peer(folder: Path, table: Path, stages: str, least: int) -> Cost | None:
    """The peer's run of a table, or None where it is not installed. Raises SystemExit if it makes less than `least`."""
    python = os.environ.get("RUSHES_PEER", "")
    if not python:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "run.py").write_text(PEER)
    binaries = folder / "bin"
    binaries.mkdir()
    # It calls a program named ffmpeg; with 7 its list of segments comes out one short, and it loses every video.
    (binaries / "ffmpeg").symlink_to(shutil.which("ffmpeg") or FFMPEG)
    path = f"{binaries}:{os.environ['PATH']}"
    cost = measure([python, "run.py", str(table), str(folder / "out"), stages], folder, PATH=path)
    made = samples_in(folder / "out" / ("two" if stages == "two" else ""))
    if made < least:
        raise SystemExit(f"video2dataset made {made} of {least} samples, so its time says nothing; see {folder}/log")
    return cost


def floor(folder: Path, videos: list[Path]) -> Cost:
    """Bare ffmpeg: of each video one small decode, and one decode with one encode a scene, two at a time."""
    folder.mkdir(exist_ok=True)
    program = folder / "floor.py"
    program.write_text(
        "import subprocess, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        f"FFMPEG = {FFMPEG!r}\n"
        "def run(path):\n"
        "    one = [FFMPEG, '-v', 'error', '-nostdin', '-threads', '1', '-i', path]\n"
        "    subprocess.run([*one, '-an', '-vf', 'scale=256:144', '-f', 'rawvideo', '-y', '/dev/null'], check=True)\n"
        "    chain = '[0:v]split=4[a0][a1][a2][a3];[0:a]asplit=4[b0][b1][b2][b3];'\n"
        "    outs = []\n"
        "    for k in range(4):\n"
        f"        t = f'{{k * {SCENE_S}}}:{{(k + 1) * {SCENE_S}}}'\n"
        f"        chain += f'[a{{k}}]trim={{t}},setpts=PTS-STARTPTS,fps={FPS},scale=-2:{SIZE},'\n"
        f"        chain += f'crop={SIZE}:{SIZE}[v{{k}}];'\n"
        "        chain += f'[b{k}]atrim={t},asetpts=PTS-STARTPTS[w{k}];'\n"
        f"        outs += ['-map', f'[v{{k}}]', '-map', f'[w{{k}}]', '-c:v', 'libx264', '-threads', '1',\n"
        f"                 '-preset', '{PRESET}', '-crf', '{CRF}', '-c:a', 'aac', '-y',\n"
        "                 path.rsplit('/')[-1] + f'.{k}.mp4']\n"
        "    subprocess.run([*one, '-filter_complex', chain.rstrip(';'), *outs], check=True)\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    list(pool.map(run, sys.argv[1:]))\n"
    )
    return measure([sys.executable, "floor.py", *map(str, videos)], folder)


def samples_in(folder: Path) -> int:
    """How many mp4 the tars of a folder hold."""
    count = 0
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            count += sum(name.endswith(".mp4") for name in tar.getnames())
    return count


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


def bench_clips(root: Path, count: int, times_less: float, with_peer: bool) -> list[Row]:
    """The headline: scenes of `count` videos."""
    videos = root / f"videos{count}"
    make_videos(videos, count)
    names = sorted(path.name for path in videos.iterdir())
    rows = []
    with serve(videos) as address:
        table = root / f"urls{count}.txt"
        write_urls(table, address, names)
        settings = f"clips: cuts, video: {{height: {SIZE}, width: {SIZE}, fps: {FPS}, crf: {CRF}, preset: {PRESET}}}"
        own = ours(root / "ours", table, settings)
        made = samples_in(root / "ours" / "results" / "datasets" / "web" / "shards" / "data")
        rows.append(
            Row(f"{count} videos: scenes", made, "clips", "made", 4 * count, None, "all", made == 4 * count, COMMAND)
        )
        bare = floor(root / f"floor{count}", [videos / name for name in names])
        other = peer(root / f"peer{count}", table, "two", 4 * count) if with_peer else None
    for unit, part in (("wall s", 0), ("CPU s", 1)):
        name = f"{count} videos: {unit}"
        if with_peer:
            rows.append(
                compare(name, own[part], "s", "video2dataset", other[part] if other else None, times_less, False)
            )
        rows.append(compare(name, own[part], "s", "bare ffmpeg", bare[part], 1.3, True))
    return rows


def bench_downloads(root: Path, count: int) -> list[Row]:
    """Small files from the server into tars, nothing decoded."""
    files = root / "small"
    make_videos(root / "one", 1)
    files.mkdir()
    small = root / "small.mp4"
    command = [FFMPEG, "-v", "error", "-i", str(root / "one" / "0000.mp4"), "-t", "1", "-vf", "scale=64:36"]
    subprocess.run([*command, "-b:v", "20k", "-an", str(small)], check=True, stdin=subprocess.DEVNULL)
    for number in range(count):
        os.link(small, files / f"{number:05d}.mp4")
    with serve(files) as address:
        table = root / "small.txt"
        write_urls(table, address, [f"{number:05d}.mp4" for number in range(count)])
        own = ours(root / "ours", table, "scan: {thumbnails: false}")
        other = peer(root / "peer_small", table, "download", count)
    each = count / own.cpu_s
    name = "download and tar, items a CPU second"
    if other is None:
        return [Row(name, each, "items", "video2dataset: not installed", None, None, "2 x more", None, COMMAND)]
    ratio = each / (count / other.cpu_s)
    return [Row(name, each, "items", "video2dataset", count / other.cpu_s, ratio, "2 x more", ratio >= 2, COMMAND)]


def bench_plan(root: Path, rows: int) -> list[Row]:
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
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "recordings.tsv").write_text("recording\trig\tsource\n")
    (folder / "config" / "models.yaml").write_text("{}\n")
    (folder / "config" / "config.yaml").write_text(f"datasets: {{web: {{kind: shards, table: {table}}}}}\n")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile")]
    command += ["--profile", str(REPO / "profiles" / "local"), "--quiet", "all"]
    planned = measure([*command, "--", "results/lots/web/plan.json"], folder)
    dry = measure([*command, "--dry-run"], folder)
    content = json.loads((folder / "results" / "lots" / "web" / "plan.json").read_text())
    jobs = 4 * len(content["lots"]) + 6
    name = f"{rows / 1e6:g} M rows"
    return [
        Row(f"{name}: plan", planned.wall_s, "s", "limit", 300, None, "at most 300 s", planned.wall_s <= 300, COMMAND),
        Row(f"{name}: memory", planned.peak_kb / 1024, "MB", "limit", 1000, None, "at most 1 GB",
            planned.peak_kb / 1024 <= 1000, COMMAND),
        Row(f"{name}: jobs", jobs, "jobs", "limit", 2000, None, "at most 2,000", jobs <= 2000, COMMAND),
        Row(f"{name}: dry run", dry.wall_s, "s", "limit", 10, None, "at most 10 s", dry.wall_s <= 10, COMMAND),
    ]  # fmt: skip


def main() -> None:
    """Measure, print and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--parts", nargs="+", default=["20", "200", "downloads", "plan"])
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the planned table")
    chosen = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="rushes shards ".replace(" ", "_")) as folder:
        root = Path(folder)
        parts: dict[str, Callable[[], list[Row]]] = {
            "20": lambda: bench_clips(root, 20, 6, with_peer=True),
            "200": lambda: bench_clips(root, 200, 8, with_peer=True),
            "downloads": lambda: bench_downloads(root, 1000),
            "plan": lambda: bench_plan(root, chosen.rows),
        }
        for name in chosen.parts:
            rows += parts[name]()
            # What was measured stands there even if a later part fails.
            publish("shards", rows)


if __name__ == "__main__":
    main()
