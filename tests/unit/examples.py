"""Small things that tests are made of: sheets, plans, tables and clocks whose every number is known."""

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from scripts.common.clock import Clock, Gap
from scripts.common.frame_table import FrameTable
from scripts.common.landmarks import Landmarks

REPO = Path(__file__).parents[2]

BOOTH: dict[str, Any] = {
    "source": "file",
    "cameras": {"front": "{source}"},
    "microphones": {"voice": ["{stem}.wav", "{source}"]},
}
AVIARY: dict[str, Any] = {
    "source": "bag",
    "cameras": {"left": "/left", "right": "/right"},
    "microphones": {"array": {"topic": "/audio", "stamp": "block_end"}},
}


def write_sheet(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """A tab-separated sheet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in [columns, *rows]), encoding="utf-8")
    return path


def make_files(root: Path, *names: str, size: int = 0) -> None:
    """Files of `size` zero bytes below `root`."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


class House:
    """A working directory with two rigs, in which a test writes its sheet and asks for its plan."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rigs: dict[str, Any] = {"booth": dict(BOOTH), "aviary": dict(AVIARY)}
        self.datasets: dict[str, Any] = {}
        self.exclude: list[Sequence[str]] = []

    def sheet(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
        """Write the sheet of recordings."""
        return write_sheet(self.root / "config" / "recordings.tsv", columns, rows)

    def files_of_sources(self, *names: str, size: int = 0) -> None:
        """Make the files that the sheet names."""
        make_files(self.root, *names, size=size)

    def config(self, **changes: Any) -> dict[str, Any]:
        """The config of a run in this directory."""
        if self.exclude:
            columns = ["recording", "start", "stop", "reason"]
            write_sheet(self.root / "config" / "exclude.tsv", columns, self.exclude)
        weights = str(REPO / "config" / "models.yaml")
        return {"rigs": self.rigs, "datasets": self.datasets, "weights": weights, **changes}

    def write_config(self, **changes: Any) -> None:
        """Write the config where Snakemake looks for it."""
        path = self.root / "config" / "config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(self.config(**changes), allow_unicode=True, sort_keys=False))


def every_ms(step_ms: float, count: int, start_ms: float = 0) -> np.ndarray:
    """Instants in nanoseconds, int64 (count,)."""
    return np.rint((start_ms + step_ms * np.arange(count)) * 1e6).astype(np.int64)


def conformed_frames(count: int, **columns: Any) -> FrameTable:
    """The frame table of `count` frames of 25 a second, each from its own source frame, without a gap."""
    times = every_ms(40, count)
    return FrameTable.make(times // 1000, times, **{"gap_before_ns": np.zeros(count, np.int64), **columns})


def conformed_clock(frames: int, gaps: Sequence[Gap] = ()) -> Clock:
    """The clock of a sound of 16 kHz, 640 samples a frame."""
    return Clock(0, 16_000.0, 16_000, frames * 640, 1, gaps=list(gaps))


def ramp(frames: int) -> np.ndarray:
    """A sound in which each sample of frame k has the value k; int16 (frames x 640,), exact in a WAV."""
    return np.repeat(np.arange(frames, dtype=np.int16), 640)


def face_points(frames: int, *, width: float = 200, at: Mapping[int, tuple[float, float]] | None = None) -> np.ndarray:
    """68 points in a row `width` pixels wide, the same in every frame but for the offsets `at`.

    Returns float32 (frames, 68, 2).
    """
    points = np.zeros((frames, 68, 2), np.float32)
    points[:, :, 0] = np.linspace(100, 100 + width, 68)
    points[:, :, 1] = 300 + np.arange(68) % 7
    for frame, offset in (at or {}).items():
        points[frame] += np.float32(offset)
    return points


def one_face(points: np.ndarray, *, without: Sequence[int] = (), track: np.ndarray | None = None) -> Landmarks:
    """Landmarks of one face a frame, none in the frames `without`. points: float (frames, 68, 2)."""
    frames = len(points)
    kept = np.setdiff1d(np.arange(frames), without)
    tracks = np.zeros(frames, int) if track is None else track
    return Landmarks.make(kept, tracks[kept], points[kept], np.ones(len(kept)), frames=frames, backend="given")


def tar_of(path: Path, **members: bytes) -> Path:
    """A tar of one sample, `000`, with a member for each ending."""
    with tarfile.open(path, "w") as tar:
        for ending, payload in members.items():
            entry = tarfile.TarInfo(f"000.{ending}")
            entry.size = len(payload)
            tar.addfile(entry, io.BytesIO(payload))
    return path
