"""Runs of a table by this project, by video2dataset and by bare ffmpeg, each with what it cost."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.shards_made import FFMPEG, SCENE_S

REPO = Path(__file__).parents[1]
SIZE, FPS = 224, 5
CRF, PRESET = 23, "medium"
# Of Linux' prctl.
PR_SET_CHILD_SUBREAPER = 36

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


def prepared(folder: Path, config: str) -> list[str]:
    """Our command line for a config of datasets, in an emptied folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "recordings.tsv").write_text("recording\trig\tsource\n")
    (folder / "config" / "models.yaml").write_text("{}\n")
    (folder / "config" / "config.yaml").write_text(config)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile")]
    return [*command, "--profile", str(REPO / "profiles" / "local"), "--quiet", "all"]


def ours(folder: Path, table: Path, settings: str) -> Cost:
    """Our own run of a table, from the command line."""
    entry = f"kind: shards, table: {table}, fetch: {{allow_private_hosts: true}}, {settings}"
    return measure(prepared(folder, f"datasets: {{web: {{{entry}}}}}\n"), folder)


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
