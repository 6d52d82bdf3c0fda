"""python -m benchmarks.faces_gpu: frames a second of landmarks by FAN on a GPU, end to end, over sizes of its batch.

The rule's function on a video of 1280x720, decoding, detection in every 5th frame and writing included; weights drawn
from a seed, whose work is that of the true ones, and an answer that is a face in its box (see `benchmarks.faces`).
Beside it the network alone on crops that lie on the GPU: its share of the time.
"""

import argparse
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from unittest import mock

# face-alignment compiles two functions at their first call; that is no work on frames.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

import numpy as np
import torch

from benchmarks.faces import DATA, ScriptedFan, make_weights
from benchmarks.table import Row, publish
from scripts.common.frame_table import FrameTable
from scripts.common.video import VideoReader, VideoWriter
from scripts.faces import landmark_item
from scripts.faces.backends.fan import SIDE_PX
from scripts.faces.extract_landmarks import extract_landmarks

COMMAND = "make bench AREA=faces_gpu"
WIDTH, HEIGHT = 1280, 720
GOAL_FPS = 1000.0
BATCHES = (8, 16, 32, 64, 128)
USUAL_BATCH = 64
# Crops that the network alone is timed with.
ALONE = 2048


def make_video(path: Path, frames: int) -> None:
    """A speaker of the GRID corpus, again and again, at 720p."""
    with VideoReader(DATA / "faces" / "grid" / "id2_vcd_swwp2s.mpg") as reader:
        pictures = [picture.reformat(WIDTH, HEIGHT, "yuv420p") for picture in reader]
    rate = Fraction(25)
    with VideoWriter(path, rate=rate, time_base=1 / rate, crf=20, preset="veryfast") as writer:
        for number in range(frames):
            writer.write(pictures[number % len(pictures)], number)


def end_to_end(video: Path, frames: int, weights: list[Path], batch: int, precision: str, threads: int) -> float:
    """Seconds of the rule's function."""
    folder = video.parent
    times = np.arange(frames, dtype=np.int64) * 40_000_000
    FrameTable.make(times // 1000, times).write(folder / "frames.parquet")
    start = time.perf_counter()
    extract_landmarks(
        video,
        folder / "frames.parquet",
        weights,
        None,
        folder / "landmarks.npz",
        folder / "ledger.parquet",
        recording="speaker",
        camera="front",
        backend="fan",
        batch=batch,
        detect_every=5,
        min_score=0.6,
        network={"precision": precision, "peaks": "soft", "flipped": False},
        accelerator="cuda",
        threads=threads,
    )
    return time.perf_counter() - start


def alone(fan: ScriptedFan, batch: int) -> float:
    """Seconds a crop of the network and of reading its maps, the crops ready on the GPU."""
    crops = torch.randint(0, 256, (batch, SIDE_PX, SIDE_PX, 3), device="cuda", dtype=torch.uint8)
    with torch.inference_mode():
        for _ in range(3):
            fan._run(crops)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(-(-ALONE // batch)):
            fan._run(crops)
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / (-(-ALONE // batch) * batch)


def main() -> None:
    """Measure, write results/faces_gpu.json, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces_gpu", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--threads", type=int, nargs="+", default=[8, 12, 16])
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    chosen = parser.parse_args()
    card = torch.cuda.get_device_name(0)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fan, _ = make_weights(folder)
        weights = [DATA / "models" / "yunet" / "face_detection_yunet_2023mar.onnx", fan]
        video = folder / "720p.mp4"
        make_video(video, chosen.frames)
        with mock.patch.object(landmark_item, "open_network", lambda _, path, **more: ScriptedFan(path, **more)):
            end_to_end(video, chosen.frames, weights, USUAL_BATCH, "bfloat16", chosen.threads[0])
            cases = [(batch, "bfloat16", chosen.threads[0]) for batch in chosen.batches]
            cases += [(USUAL_BATCH, "bfloat16", threads) for threads in chosen.threads[1:]]
            for batch, precision, threads in [*cases, (USUAL_BATCH, "float32", chosen.threads[0])]:
                network = ScriptedFan(fan, accelerator="cuda", threads=threads, precision=precision)
                each = alone(network, batch)
                torch.cuda.reset_peak_memory_stats()
                rate = chosen.frames / end_to_end(video, chosen.frames, weights, batch, precision, threads)
                memory = torch.cuda.max_memory_allocated() / 1e6
                case = f"fan.720p.{precision}.batch{batch}.threads{threads}"
                goal, ok = (f">= {GOAL_FPS:g}", rate >= GOAL_FPS) if precision == "bfloat16" else ("", None)
                rows.append(Row(case, rate, "fps", f"network on {card}", 1 / each, rate * each, goal, ok, COMMAND))
                rows.append(Row(f"{case}.memory", memory, "MB", card, None, None, "", None, COMMAND))
    publish("faces_gpu", rows)


if __name__ == "__main__":
    main()
