"""The demo recordings and `truth.json`, what is known about each of them.

    {"generator": {"name", "version"},
     "recordings": {NAME: {"path", "kind": bag | file | garbage, "start_ns", "flash_times_ns", "landmarks", …,
                           "cameras": {NAME: …}, "microphones": {NAME: …}}}}

Times are ns: since the epoch in bags, after the container's zero in files. A camera lists `numbers` and
`stamps_ns` of the frames that are there, and the numbers `dropped`, `lost` and `tainted`; a microphone its
true start, rate and holes.
"""

import json
import os
import shutil
import socket
from fractions import Fraction
from pathlib import Path
from typing import Any

from rushes.synthetic.arena import write_arena
from rushes.synthetic.aviary import write_aviary_bag
from rushes.synthetic.bench import write_mcap
from rushes.synthetic.talking_head import write_garbage, write_talking_head
from rushes.synthetic.theatre import write_theatre

# Raise it whenever the recordings change.
VERSION = 3
GENERATOR = "rushes.synthetic"
TRUTH = "truth.json"


def make_demo(folder: Path) -> bool:
    """Make all recordings and their truth in `folder`; returns False if this version's are there already.

    The folder appears whole or not at all. Raises FileExistsError if it holds something else.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / TRUTH).is_file() or _generator(folder)["name"] != GENERATOR:
            raise FileExistsError(f"{folder}: holds other files than demo recordings; name an empty or new folder")
        if _generator(folder)["version"] == VERSION:
            return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.glob(f".part.*.{folder.name}"):
        shutil.rmtree(old)
    part = folder.with_name(f".part.{socket.gethostname()}-{os.getpid()}.{folder.name}")
    _write_all(part)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return True


def read_truth(folder: Path) -> dict[str, Any]:
    """The truth about the recordings in `folder`, by name of the recording."""
    recordings: dict[str, Any] = json.loads((folder / TRUTH).read_text(encoding="utf-8"))["recordings"]
    return recordings


def _generator(folder: Path) -> dict[str, Any]:
    return {"name": "", "version": 0, **json.loads((folder / TRUTH).read_text(encoding="utf-8")).get("generator", {})}


def _write_all(folder: Path) -> None:
    (folder / "Week#2").mkdir(parents=True)
    recordings: dict[str, Any] = {}

    def add(name: str, path: str, truth: dict[str, Any]) -> None:
        recordings[name] = {"path": path, **truth}

    path = "aviary.bag"
    add("aviary", path, write_aviary_bag(folder / path))
    path = "bench.mcap"
    add("bench", path, write_mcap(folder / path))
    path = "Week#2/Speaker One.MOV"
    add("speaker_one", path, write_talking_head(folder / path, 12.0, seed=3))
    path = "Week#2/Speaker Two.mp4"
    two = write_talking_head(
        folder / path, 10.0, seed=4, fps=Fraction(25), sound_lead_s=Fraction(0), rate_hz=48_000, b_frames=2
    )
    add("speaker_two", path, two)
    path = "Week#2/No Face Stretch.mp4"
    add("no_face_stretch", path, write_talking_head(folder / path, 10.0, seed=5, faceless_s=(4.0, 6.0)))
    path = "too short.mp4"
    add("too_short", path, write_talking_head(folder / path, 1.0, seed=6))
    path = "garbage.mp4"
    add("garbage", path, write_garbage(folder / path))
    for subject in (1, 2, 3):
        path = f"theatre/P{subject}"
        add(f"act_{subject}", path, write_theatre(folder / path, subject))
    # A session of cameras: first the board, then the cube.
    for shows, count in (("board", 30), ("cube", 45)):
        path = f"arena/{shows}"
        add(f"arena_{shows}", path, write_arena(folder / path, f"arena_{shows}", shows, count))
    truth = {"generator": {"name": GENERATOR, "version": VERSION}, "recordings": recordings}
    (folder / TRUTH).write_text(json.dumps(truth, separators=(",", ":")) + "\n", encoding="utf-8")
