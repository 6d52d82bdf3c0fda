"""Pictures as jpeg of constant quality, under names that say when and by which camera they were taken."""

import av
import numpy as np
import simplejpeg

from scripts.common.timeline import NS
from scripts.common.video import EXACT, upright


def encode(picture: av.VideoFrame, quality: int) -> bytes:
    """The upright picture as jpeg; the same bytes on every run."""
    return encode_pixels(upright(picture).to_ndarray(format="rgb24", interpolation=EXACT, threads=1), quality)


def encode_pixels(rgb: np.ndarray, quality: int) -> bytes:
    """Pixels, uint8 (H, W, 3), red first, as jpeg; the same bytes on every run."""
    jpeg: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="420", fastdct=False
    )
    return jpeg


def file_name(time_ns: int, view: str = "") -> str:
    """frame_<seconds>.<nanoseconds>[_<view>].jpg, of an instant on the recording's clock."""
    sign, whole = ("-", -time_ns) if time_ns < 0 else ("", time_ns)
    return f"frame_{sign}{whole // NS}.{whole % NS:09d}{'_' + view if view else ''}.jpg"
