"""Landmarks of a video as the job extracts them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from scripts.common import ledger
from scripts.common.frame_table import FrameTable
from scripts.common.landmarks import Landmarks
from scripts.common.video import VideoWriter, as_yuv420p
from scripts.faces.extract_landmarks import extract_landmarks


def weights_of(data: Path) -> list[Path]:
    models = data / "models"
    return [
        models / "yunet" / "face_detection_yunet_2023mar.onnx",
        models / "openseeface" / "lm_model0_opt.onnx",
    ]


def extract(
    tmp_path: Path,
    video: Path,
    weights: list[Path],
    *,
    frames: int | FrameTable,
    given: Path | None = None,
    backend: str = "openseeface",
    **options: object,
) -> tuple[Landmarks, ledger.Row]:
    if isinstance(frames, int):
        frames = FrameTable.make(np.arange(frames) * 40_000, np.arange(frames) * 40_000_000)
    frames.write(tmp_path / "front.frames.parquet")
    if not video.exists():
        # Of landmarks that are given, nothing but the size of the pictures is asked of the video.
        grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="bgr24")
        with VideoWriter(video, rate=Fraction(25), time_base=Fraction(1, 25), crf=30, preset="ultrafast") as writer:
            writer.write(as_yuv420p(grey), 0)
    out, out_ledger = tmp_path / "front.landmarks.npz", tmp_path / "front.ledger.parquet"
    settings = {"batch": 16, "detect_every": 5, "min_score": 0.6, "threads": 1} | options
    extract_landmarks(
        video,
        tmp_path / "front.frames.parquet",
        weights,
        given,
        out,
        out_ledger,
        recording="booth_1",
        camera="front",
        backend=backend,
        **settings,  # type: ignore[arg-type]
    )
    (row,) = ledger.rows(ledger.read([out_ledger]))
    return Landmarks.read(out), row
