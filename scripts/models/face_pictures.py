"""Faces of landmarks as pictures: what a model says beside what was true, and a video of it with the sound."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from scripts.common.aac_rates import AAC_RATES_HZ
from scripts.common.encoder import Coding
from scripts.common.product_writer import ProductWriter, SoundCoding

Colour = tuple[int, int, int]
# Blue, green, red.
TRUE, SAID, PAPER, INK = (170, 170, 170), (200, 90, 0), (255, 255, 255), (60, 60, 60)
CELL_PX = 200
CAPTION_PX = 22
SHIFT = 4
# How much of a cell the largest face fills.
FILL = 0.8
CONTOURS = [
    *((range(first, stop), False) for first, stop in ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36))),
    *((range(first, stop), True) for first, stop in ((36, 42), (42, 48), (48, 60), (60, 68))),
]
# Frames of a window that a sheet shows.
SHOWN = 8


class Sound:
    """A mono signal for `ProductWriter`."""

    sides = 1

    def __init__(self, signal: np.ndarray, rate_hz: int) -> None:
        self._signal, self._done = signal.astype(np.float32), 0
        self.samples, self.rate_hz = len(signal), rate_hz

    def read(self, count: int) -> np.ndarray:
        """The next samples, float32 (1, count)."""
        block = self._signal[None, self._done : self._done + count]
        self._done += count
        return block


def scale_of(faces: np.ndarray) -> tuple[float, np.ndarray]:
    """Cell pixels a pixel, and the middle of all `faces`, float (…, 2, 68): one scale for all, so that sizes tell."""
    low, high = faces.min(axis=-1), faces.max(axis=-1)
    low, high = low.reshape(-1, 2).min(axis=0), high.reshape(-1, 2).max(axis=0)
    side = float(max((high - low).max(), 1e-6))
    return FILL * CELL_PX / side, (low + high) / 2


def draw_face(cell: np.ndarray, face: np.ndarray, scale: tuple[float, np.ndarray], colour: Colour) -> None:
    """Draw (2, 68) landmarks into a cell, uint8 (H, W, 3)."""
    height, width = cell.shape[:2]
    places = (face.T - scale[1]) * scale[0] + [width / 2, height / 2]
    points = np.rint(np.clip(places, -4096, 4096) * 2**SHIFT).astype(np.int32)
    for part, closed in CONTOURS:
        cv2.polylines(cell, [points[list(part)]], closed, colour, 1, cv2.LINE_AA, SHIFT)


def _blank(width: int, height: int = CELL_PX) -> np.ndarray:
    return np.full((height, width, 3), PAPER, np.uint8)


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    bar = _blank(picture.shape[1], CAPTION_PX)
    cv2.putText(bar, text, (6, 16), INK, cv2.FontFace("sans"), 13, 400)
    return np.concatenate([bar, picture])


def sheet(by_epoch: Mapping[str, np.ndarray], true: np.ndarray) -> np.ndarray:
    """One row an epoch, some frames a row, the true face in grey behind; float (T, 2, 68) px each."""
    frames = [number * (len(true) - 1) // (SHOWN - 1) for number in range(SHOWN)]
    scale = scale_of(true)
    rows = []
    for name, predicted in by_epoch.items():
        cells = []
        for frame in frames:
            cell = _blank(CELL_PX)
            draw_face(cell, true[frame], scale, TRUE)
            draw_face(cell, predicted[frame], scale, SAID)
            cells.append(cell)
        rows.append(_captioned(np.concatenate(cells, axis=1), name))
    return np.concatenate(rows)


def write_png(path: Path, picture: np.ndarray) -> None:
    """The same bytes on every run."""
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def write_faces_video(
    path: Path, faces: Mapping[str, np.ndarray], signal: np.ndarray, rate_hz: int, fps: Fraction
) -> None:
    """Faces side by side through time, with their sound. faces: name -> float (T, 2, 68) px, all of one length."""
    scale = scale_of(np.concatenate(list(faces.values())))
    size = (CELL_PX * len(faces), CELL_PX + CAPTION_PX)
    count = len(next(iter(faces.values())))
    coding = Coding("h264", 23, "veryfast")
    with ProductWriter(
        path, size, coding, rate=fps, sound=Sound(signal, rate_hz), sound_coding=SoundCoding(_codec(rate_hz))
    ) as writer:
        for frame in range(count):
            cells = []
            for name, face in faces.items():
                cell = _blank(CELL_PX)
                draw_face(cell, face[frame], scale, SAID if name != "gt" else TRUE)
                cells.append(_captioned(cell, name))
            picture = av.VideoFrame.from_ndarray(np.concatenate(cells, axis=1), format="bgr24")
            writer.write(picture.reformat(format="yuv420p"), round(frame / fps * 1_000_000))


def _codec(rate_hz: int) -> str:
    return "aac" if rate_hz in AAC_RATES_HZ else "pcm"


def write_epochs_plot(samples: Path, target: Path, rate_hz: int, fps: str) -> None:
    """Pictures and a video of every set of validation samples in `samples`, into `target`."""
    epochs: Sequence[Path] = sorted(folder for folder in samples.glob("epoch_*") if folder.is_dir())
    target.mkdir()
    for number, name in enumerate(sorted(file.name for file in epochs[-1].glob("*.npz"))):
        said: dict[str, np.ndarray] = {}
        for folder in (folder for folder in epochs if (folder / name).exists()):
            with np.load(folder / name, allow_pickle=False) as arrays:
                said[folder.name], true, audio = arrays["pred"], arrays["gt"], arrays["audio"][0]
        write_png(target / f"{Path(name).stem}.png", sheet(said, true))
        if number == 0:
            shown = {"gt": true, min(said): said[min(said)], max(said): said[max(said)]}
            write_faces_video(target / "epochs.mp4", shown, audio, rate_hz, Fraction(fps))
