"""The ffmpeg program, for what its libraries do not do well from Python: sound is piped through it."""

import errno
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg

from scripts.common.errors import RunError

PIECE = 1 << 20
FULL = os.strerror(errno.ENOSPC)


def program() -> str:
    """The pinned ffmpeg; the environment variable IMAGEIO_FFMPEG_EXE names another."""
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


class SoundEncoder:
    """Interleaved little-endian samples into a file."""

    def __init__(self, path: Path, *, sample_format: str, rate_hz: int, channels: int, options: Sequence[str]) -> None:
        """sample_format: ffmpeg's name, e.g. "s32le"; options: those of the output."""
        self._path = path
        command = [program(), "-v", "error", "-y", "-f", sample_format, "-ar", str(rate_hz), "-ac", str(channels)]
        command += ["-i", "pipe:0", "-threads", "1", "-fflags", "+bitexact", "-flags", "+bitexact", *options]
        self._process = subprocess.Popen(
            [*command, f"file:{path}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def write(self, samples: bytes | memoryview) -> None:
        """Append samples. Raises OSError for a full disk, RunError for anything else."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(samples)
        except BrokenPipeError:
            self.close()

    def close(self) -> None:
        """Finish the file. Raises as `write`."""
        _, errors = self._process.communicate()
        if self._process.returncode:
            text = errors.decode(errors="replace").strip()
            if FULL in text:
                raise OSError(errno.ENOSPC, FULL, str(self._path))
            raise RunError(
                f"ffmpeg could not write {self._path.name}: {text.splitlines()[-1] if text else 'no reason'}"
            )


def decode_sound(path: Path, sample_format: str) -> Iterator[bytes]:
    """The samples of a file, interleaved, in pieces; ends early where it does not decode."""
    command = [program(), "-v", "error", "-i", f"file:{path}", "-map", "0:a:0", "-c:a", f"pcm_{sample_format}"]
    yield from output_of([*command, "-f", sample_format, "pipe:1"])


def output_of(command: Sequence[str]) -> Iterator[bytes]:
    """What a program writes to its standard output, in pieces of PIECE bytes."""
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing) as made:
        assert made.stdout is not None
        try:
            while piece := made.stdout.read(PIECE):
                yield piece
        finally:
            # Whoever stops listening stops the program, too.
            made.stdout.close()
