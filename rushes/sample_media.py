"""Pictures and sound of a sample of a shard, decoded, and which pictures of a clip are taken."""

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np


def choose_frames(
    times: np.ndarray,
    *,
    n_frames: int | None,
    fps: float | None,
    start: float = 0.5,
    span: tuple[float, float] | None = None,
) -> np.ndarray:
    """Which pictures are taken. times: float64 (N,) in seconds, N > 0; start: where between the earliest (0) and the
    latest (1) place; span: only between these two times. Returns int64 (n_frames,), or as many as there are."""
    numbers = np.arange(len(times))
    if span is not None:
        inside = numbers[(times >= span[0] - 1e-6) & (times < span[1] - 1e-6)]
        numbers = inside if len(inside) else numbers
    if fps:
        step = 1 / fps
        first = times[numbers[0]]
        # The end of the last picture is not known; it lasts as long as the one before it.
        last = times[numbers[-1]] + (times[numbers[-1]] - times[numbers[-2]] if len(numbers) > 1 else step)
        count = max(1, int((last - first) * fps + 0.02))
        at = np.searchsorted(times[numbers], first + (np.arange(count) + 0.5) * step - 1e-6, side="right") - 1
        numbers = numbers[np.clip(at, 0, len(numbers) - 1)]
    if n_frames is None:
        return numbers
    spare = len(numbers) - n_frames
    if spare <= 0:
        return np.concatenate([numbers, np.full(-spare, numbers[-1])]).astype(np.int64)
    offset = round(start * spare)
    return numbers[offset : offset + n_frames]


def decode_pictures(content: bytes, size: tuple[int, int] | None) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures of a video, upright and with square pixels, uint8 (height, width, 3), and their times in seconds (N,).

    Pictures that do not decode are left out. Raises ValueError if there is none, or none of a medium.
    """
    pictures: list[np.ndarray] = []
    times: list[float] = []
    for picture, stream in _decoded(content, "video"):
        times.append(float(len(times)) if picture.time is None else picture.time)
        pictures.append(_sized(picture, size, _pixel_shape(stream)))
    if not pictures:
        raise ValueError("the video has no picture")
    return pictures, np.array(times)


def decode_sound(content: bytes) -> tuple[np.ndarray, int]:
    """The first sound, float32 (channels, N), and its rate in Hz. Raises ValueError if there is none."""
    import av

    # Not planar: PyAV reads beyond the planes of a frame of eight channels or more.
    resampler = av.AudioResampler(format="flt")
    blocks, rate_hz = [], 0
    for block, _ in _decoded(content, "audio"):
        rate_hz = int(block.sample_rate)
        blocks += [part.to_ndarray().reshape(-1, part.layout.nb_channels).T for part in resampler.resample(block)]
    if not blocks:
        raise ValueError("it has no sound")
    return np.concatenate(blocks, axis=1), rate_hz


def _decoded(content: bytes, kind: str) -> Iterator[tuple[Any, Any]]:
    """Frames of the first stream of a kind, each with its stream. Raises ValueError if it is no medium, or has none."""
    import av

    try:
        container = av.open(io.BytesIO(content), "r", options={"protocol_whitelist": ""})
    except av.error.FFmpegError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    with container:
        streams = getattr(container.streams, kind)
        if not streams:
            raise ValueError(f"it has no {kind}")
        for packet in _packets(container, streams[0]):
            try:
                for frame in streams[0].decode(packet):
                    yield frame, streams[0]
            except av.error.FFmpegError:
                # What is damaged costs its own frames, and no epoch.
                continue


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets up to where the file is broken off."""
    import av

    with contextlib.suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def _pixel_shape(stream: Any) -> Fraction:
    """Width of a coded pixel over its height; 1 where the file says none, or nonsense."""
    ratio: Fraction | None = stream.sample_aspect_ratio
    return ratio if ratio and Fraction(1, 4) <= ratio <= 4 else Fraction(1)


def _sized(picture: Any, size: tuple[int, int] | None, pixel_shape: Fraction) -> np.ndarray:
    turn, wide = _turn_of(picture), picture.width * pixel_shape
    if size is None:
        return _turned(_as_rgb(picture, round(wide), picture.height), turn)
    # What is wanted upright lies on its side in a picture that is turned.
    height, width = reversed(size) if turn[0] else size
    scale = max(Fraction(height, picture.height), width / wide)
    scaled = (max(width, round(wide * scale)), max(height, round(picture.height * scale)))
    whole = _as_rgb(picture, *scaled)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    return _turned(whole[top : top + height, left : left + width], turn)


def _as_rgb(picture: Any, width: int, height: int) -> np.ndarray:
    # Threads of a scaler outlive it for a while; a worker that is forked meanwhile has none of them, and would wait for
    # them for ever.
    pixels: np.ndarray = picture.to_ndarray(format="rgb24", width=width, height=height, threads=1)
    return pixels


def _turn_of(picture: Any) -> tuple[bool, bool, bool]:
    """Whether the file wants a picture transposed, then mirrored left-right, then top-bottom.

    As `orientation` of `scripts/common/video.py`, which is not there where rushes is installed.
    """
    from av.sidedata.sidedata import Type

    matrix = picture.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False, False, False
    a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(matrix), np.int32)[:5])
    transposed = abs(a) + abs(d) < abs(b) + abs(c)
    return (True, c < 0, b < 0) if transposed else (False, a < 0, d < 0)


def _turned(picture: np.ndarray, turn: tuple[bool, bool, bool]) -> np.ndarray:
    transposed, mirrored, flipped = turn
    picture = picture.transpose(1, 0, 2) if transposed else picture
    return picture[:: -1 if flipped else 1, :: -1 if mirrored else 1]
