"""python -m benchmarks.faces: processor time of landmarks a frame, beside face-alignment as the seed calls it.

Both run the same FAN network with the same weights, drawn from a seed: their values mean nothing, their work is that of
the true ones. What the network says is replaced by a face in its box, and every picture has one face, so that neither
looks again where the other does not. The peer detects by S3FD in every frame and runs FAN with flip, fp32, one picture
after the other; ours detects by YuNet in every 5th frame, and runs FAN in bfloat16, or in float32 on
a processor without it. Decoding is part of both.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

# face-alignment compiles two functions at their first call; that is no work on frames.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

import cv2
import numpy as np
import torch

from benchmarks.table import Row, publish
from scripts.common.frame_table import FrameTable
from scripts.common.landmarks import FOREHEAD
from scripts.faces import landmark_item
from scripts.faces.backends.fan import Fan
from scripts.faces.extract_landmarks import extract_landmarks

COMMAND = "make bench AREA=faces"
DATA = Path(os.environ.get("RUSHES_TEST_DATA", "../shared/data")).resolve()
SIZES = {"640x360": (640, 360, 10.0), "1280x720": (1280, 720, 20.0)}
# The peer takes seconds a frame.
PEER_FRAMES = 6
FAN_FRAMES = 30
# The least of several: what else the machine does adds to all of them.
REPEATS = 5
THREADS = 2
# Points that fill a detector's box, but for the forehead: none is measured again for lying elsewhere.
BROWS_SHARE = FOREHEAD / (1 + FOREHEAD)
FACE_SHARES = np.stack([np.tile(np.linspace(0, 1, 17), 4), np.repeat(np.linspace(BROWS_SHARE, 1, 4), 17)], axis=1)


def make_video(folder: Path, width: int, height: int, frames: int) -> Path:
    """A speaker of the GRID corpus at another size."""
    import imageio_ffmpeg

    path = folder / f"{width}x{height}.{frames}.mp4"
    source = DATA / "faces" / "grid" / "id2_vcd_swwp2s.mpg"
    scale = f"scale=-2:{height},pad={width}:{height}:(ow-iw)/2:0"
    coded = ["-an", "-frames:v", frames, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-vf", scale, *coded, path]
    subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)
    return path


def make_weights(folder: Path) -> tuple[Path, Path]:
    """Weights of FAN-4 and of S3FD drawn from a seed, where face-alignment looks for them."""
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    torch.manual_seed(0)
    hub = folder / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    fan, detector = hub / "2DFAN4-11f355bf06.pth.tar", hub / "s3fd-619a316812.pth"
    torch.save(FAN(4).state_dict(), fan)
    torch.save(s3fd().state_dict(), detector)
    return fan, detector


def in_boxes(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks whose own boxes are these, and full scores."""
    points = boxes[:, None, :2] + (boxes[:, None, 2:] - boxes[:, None, :2]) * FACE_SHARES
    return points.astype(np.float32), np.ones(len(boxes), np.float32)


class ScriptedFan(Fan):
    """FAN at work, whose answer is a face in the box."""

    least_score = 0.0

    def __call__(self, pictures: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `LandmarkNetwork`."""
        super().__call__(pictures, boxes)
        return in_boxes(np.asarray(boxes))


def ours(video: Path, folder: Path, backend: str, weights: list[Path], frames: int) -> float:
    """Processor seconds a frame of the rule's function, with decoding and writing."""
    table = folder / "frames.parquet"
    times = np.arange(frames, dtype=np.int64) * 40_000_000
    FrameTable.make(times // 1000, times).write(table)
    network = {"precision": "bfloat16", "peaks": "soft", "flipped": False} if backend == "fan" else {}

    def work() -> None:
        extract_landmarks(
            video,
            table,
            weights,
            None,
            folder / "landmarks.npz",
            folder / "ledger.parquet",
            recording="speaker",
            camera="front",
            backend=backend,
            batch=16,
            detect_every=5,
            min_score=0.6,
            network=network,
            threads=THREADS,
        )

    return cpu_seconds(work) / frames


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Processor time of this process, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peer(video: Path, boxes: Iterator[list[float]]) -> float:
    """Processor seconds a frame of face-alignment: S3FD and FAN with flip, one picture after the other."""
    import face_alignment

    found = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device="cpu", flip_input=True, face_detector="sfd", compile=False
    )
    capture = cv2.VideoCapture(str(video))

    def work() -> None:
        for _ in range(PEER_FRAMES):
            good, picture = capture.read()
            assert good
            colours = np.ascontiguousarray(picture[..., ::-1])
            found.face_detector.detect_from_image(colours.copy())
            found.get_landmarks_from_image(colours, detected_faces=[next(boxes)])

    torch.set_num_threads(THREADS)
    return cpu_seconds(work) / PEER_FRAMES


def beside(measure: str, own: float, other: float, goal: float) -> Row:
    """A figure beside face-alignment's."""
    ratio = other / own
    return Row(measure, own, "cpu-s", "face-alignment", other, ratio, f">= {goal:g}", ratio >= goal, COMMAND)


def alone(measure: str, value: float, limit: float | None) -> Row:
    """A figure against its limit, if it has one."""
    goal, ok = (f"<= {limit:g}", value <= limit) if limit else ("", True)
    return Row(measure, value, "cpu-ms", "", None, None, goal, ok, COMMAND)


def main() -> None:
    """Measure, write results/faces.json, print."""
    rows = []
    yunet = DATA / "models" / "yunet" / "face_detection_yunet_2023mar.onnx"
    openseeface = DATA / "models" / "openseeface" / "lm_model0_opt.onnx"
    if not yunet.exists():
        sys.exit(f"{yunet} is missing: RUSHES_TEST_DATA names the folder of the test data, see docs/test_data.md")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TORCH_HOME"] = name
        fan, _ = make_weights(folder)
        for size, (width, height, goal) in SIZES.items():
            video, short = (make_video(folder, width, height, frames) for frames in (75, FAN_FRAMES))
            ours(video, folder, "openseeface", [yunet, openseeface], 75)
            light = 1000 * min(ours(video, folder, "openseeface", [yunet, openseeface], 75) for _ in range(REPEATS))
            with mock.patch.object(
                landmark_item, "open_network", lambda _, weights, **more: ScriptedFan(weights, **more)
            ):
                own = ours(short, folder, "fan", [yunet, fan], FAN_FRAMES)
            other = peer(video, iter([[width * 0.4, height * 0.3, width * 0.6, height * 0.8]] * PEER_FRAMES))
            rows.append(beside(f"fan.{size}", own, other, goal))
            rows.append(alone(f"openseeface.{size}", light, 12.0 if size == "640x360" else None))
    publish("faces", rows)


if __name__ == "__main__":
    main()
