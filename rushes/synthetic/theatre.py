"""Chunked recordings of acts that somebody has labelled: the picture shows its number, and which act it is.

Three chunks a recording. Between the first two the camera was off; the third follows the second without a break, though
its name, in whole seconds, says otherwise. The sheet of labels is one of procedures, with the clock on the wall.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rushes.synthetic.bars import STRIP, draw_number
from rushes.synthetic.encode import write_file

SIZE = (160, 120)
FPS = Fraction(25)
CHUNK_FRAMES = 60
B_FRAMES = 2
# True start of each chunk in seconds, and the second that its name tells.
CHUNKS = ((Fraction(0), 0), (Fraction(7), 7), (Fraction(47, 5), 10))
BEGAN = datetime(2019, 4, 4, 9, 21, 58)
HEADER = "ignore,PROCEDURE,Original_Start_Time,Original_Stop_Time,Comments"
# Label as it is typed, start and stop in seconds: edges on frames and between them, across the break, across the seam
# between two chunks, in two spellings, one without length.
ACTS = (
    ("walk", "0.4", "1.2"),
    ("run", "1.2", "2"),
    ("rest", "2.1", "7.3"),
    ("Walk", "7.51", "8.5"),
    ("rest", "8.7", "8.7"),
    ("run", "8.9", "10.04"),
    ("rest", "10.05", "11.79"),
)
NS = 10**9


def write_theatre(folder: Path, subject: int) -> dict[str, Any]:
    """Write the chunks and the labels of a subject into a new `folder`; returns the truth about them.

    numbers, stamps_ns: of every frame; intervals: label in lower case, start_ns, stop_ns; typed: rows of the sheet.
    """
    folder.mkdir(parents=True)
    # Each subject acts a little later.
    late = Fraction(subject - 1, 25)
    acts = [(label, Fraction(start) + late, Fraction(stop) + late) for label, start, stop in ACTS]
    numbers, stamps_ns = [], []
    for chunk, (start_s, named_s) in enumerate(CHUNKS):
        own = range(chunk * CHUNK_FRAMES, (chunk + 1) * CHUNK_FRAMES)
        times_s = [start_s + (number - own.start) / FPS for number in own]
        numbers += list(own)
        stamps_ns += [round(time_s * NS) for time_s in times_s]
        images = [draw_act(n, act_at(acts, t), subject) for n, t in zip(own, times_s, strict=True)]
        name = f"{BEGAN + timedelta(seconds=named_s):%Y%m%d_%H%M%S}.mp4"
        silence = np.zeros(round(CHUNK_FRAMES / FPS * 16_000), np.int16)
        write_file(
            folder / name,
            images,
            SIZE,
            FPS,
            silence,
            16_000,
            video_start_s=Fraction(0),
            tick=Fraction(1, 12_800),
            b_frames=B_FRAMES,
        )
    rows = [HEADER, f"Clap,CLAP,{_wall(Fraction(0))},{_wall(Fraction(1, 10))},"]
    rows += [f"{label},{label},{_wall(start)},{_wall(stop)}," for label, start, stop in acts]
    (folder / "labels.csv").write_text("".join(f"{row}\r\n" for row in rows), encoding="utf-8")
    return {
        "kind": "chunks",
        "room": "labels",
        "subject": str(subject),
        "numbers": numbers,
        "stamps_ns": stamps_ns,
        "intervals": [(label.lower(), round(start * NS), round(stop * NS)) for label, start, stop in acts],
        "typed": len(rows) - 1,
        "cameras": {},
        "microphones": {},
    }


def act_at(acts: list[tuple[str, Fraction, Fraction]], time_s: Fraction) -> str:
    """What is done at an instant: the act that has begun and not ended; "" between two."""
    return next((label.lower() for label, start, stop in acts if start <= time_s < stop), "")


def draw_act(number: int, act: str, subject: int) -> np.ndarray:
    """The picture, uint8 (H, W, 3): its number above, stripes that lie, stand or are squares, on a subject's grey."""
    width, height = SIZE
    noise = np.random.default_rng([subject, number]).integers(-12, 13, (height, width))
    y, x = np.mgrid[0:height, 0:width]
    lying, standing = (y + 2 * number) // 10 % 2, (x + 2 * number) // 10 % 2
    shown = {"walk": lying, "run": standing, "rest": lying ^ standing}.get(act, np.zeros((height, width), int))
    grey = 60 + 25 * subject + 60 * shown + noise
    image = np.repeat(np.clip(grey, 16, 235).astype(np.uint8)[..., None], 3, axis=2)
    image[: round(height * STRIP)] = 16
    draw_number(image, number)
    return image


def _wall(seconds: Fraction) -> str:
    """As the old sheets write it, with a colon before the microseconds."""
    return f"{BEGAN + timedelta(microseconds=round(seconds * 10**6)):%Y-%m-%d %H:%M:%S:%f}"
