"""What a player sees and hears: files decoded by the ffmpeg program, not by the project's own readers."""

import subprocess
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np

from rushes.synthetic.bars import is_flash, read_number
from rushes.synthetic.sounds import find_beeps


class Seen(NamedTuple):
    """The pictures of a video.

    numbers: int64 (N,), -1 where none can be read.  pts_ns: int64 (N,).  flash: bool (N,).
    """

    numbers: np.ndarray
    pts_ns: np.ndarray
    flash: np.ndarray

    def flash_onsets(self) -> np.ndarray:
        """Indices of the pictures in which a flash begins."""
        return np.flatnonzero(self.flash & ~np.r_[False, self.flash[:-1]])


def watch(video: Path, width: int, height: int) -> Seen:
    """Decode every picture of `video`, which shows `width` x `height` pixels."""
    return watch_cells(video, width, height, {"": (0, 0, width, height)})[""]


def watch_cells(
    video: Path, width: int, height: int, boxes: Mapping[str, tuple[int, int, int, int]]
) -> dict[str, Seen]:
    """Decode every picture of `video`, and look at parts of it. boxes: left, top, width, height of each, in pixels."""
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        once = ["-map", "0:v:0", "-fps_mode", "passthrough"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-copyts", "-i", f"file:{video}"]
        command += [*once, "-pix_fmt", "gray", "-f", "rawvideo", "-"]
        command += [*once, "-enc_time_base", "demux", "-f", "framecrc", str(times)]
        pixels = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
        pts_ns = _presentation_times(times.read_text(encoding="utf-8"))
    pictures = np.frombuffer(pixels, np.uint8).reshape(-1, height, width)
    return {
        name: _seen(pictures[:, top : top + high, left : left + wide], pts_ns)
        for name, (left, top, wide, high) in boxes.items()
    }


def _seen(pictures: np.ndarray, pts_ns: np.ndarray) -> Seen:
    found = [read_number(picture) for picture in pictures]
    return Seen(
        numbers=np.array([-1 if number is None else number for number in found], np.int64),
        pts_ns=pts_ns,
        flash=np.array([is_flash(picture) for picture in pictures], bool),
    )


def hear(sound: Path) -> tuple[np.ndarray, int]:
    """The first channel of a sound, float32 (N,), and its sample rate in Hz."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", f"file:{sound}"]
    command += ["-af", "pan=mono|c0=c0", "-f", "f32le", "-"]
    decoded = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    return np.frombuffer(decoded, "<f4"), _rate_hz(sound)


def hear_sides(sound: Path) -> tuple[np.ndarray, int]:
    """Both sides of a stereo sound, float32 (2, N), and its sample rate in Hz."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", f"file:{sound}"]
    command += ["-map", "0:a:0", "-ac", "2", "-f", "f32le", "-"]
    decoded = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    return np.frombuffer(decoded, "<f4").reshape(-1, 2).T, _rate_hz(sound)


def heard_from_ns(sound: Path) -> int:
    """When the first sample of a file is played: its presentation time."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-copyts", "-i", f"file:{sound}", "-map", "0:a:0"]
    command += ["-frames:a", "1", "-f", "framecrc", "-"]
    times = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True).stdout
    return int(_presentation_times(times)[0])


def hear_all(sound: Path) -> np.ndarray:
    """Every sample of every channel, interleaved, int32 (N,), full scale at the top bit."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", f"file:{sound}", "-map", "0:a:0"]
    command += ["-c:a", "pcm_s32le", "-f", "s32le", "-"]
    return np.frombuffer(subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).stdout, "<i4")


def _rate_hz(sound: Path) -> int:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", f"file:{sound}"]
    about = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr
    words = about[about.index("Audio:") :].replace(",", " ").split()
    return int(words[words.index("Hz") - 1])


def hear_beeps(sound: Path) -> np.ndarray:
    """Sample numbers at which beeps begin."""
    signal, rate_hz = hear(sound)
    return find_beeps(signal, rate_hz)


def nearest_offset_ns(times_ns: np.ndarray, others_ns: np.ndarray) -> np.ndarray:
    """For each of `times_ns`, int64 (N,), the signed distance to the nearest of `others_ns`, int64 (N,)."""
    distance = times_ns[:, None] - others_ns[None, :]
    nearest: np.ndarray = distance[np.arange(len(times_ns)), np.abs(distance).argmin(axis=1)]
    return nearest


def _presentation_times(framecrc: str) -> np.ndarray:
    base = Fraction(1)
    ticks = []
    for line in framecrc.splitlines():
        if line.startswith("#tb 0:"):
            base = Fraction(line.split(":")[1].strip())
        elif not line.startswith("#"):
            ticks.append(int(line.split(",")[2]))
    return np.array([round(tick * base * 10**9) for tick in ticks], np.int64)
