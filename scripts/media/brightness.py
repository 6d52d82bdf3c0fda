"""How bright pictures are, and where a flash begins."""

from pathlib import Path

import numpy as np

from scripts.common.camera_pictures import CameraPictures
from scripts.common.frame_table import FrameTable
from scripts.common.video import plane_arrays

# A flash is brighter than the picture before it by this share of the largest step, and by so many levels at least.
SHARE = 0.4
LEAST_STEP = 8.0


def mean_luma(video: Path, table: FrameTable) -> np.ndarray:
    """Mean of a few rows' luma of every frame, float64 (N,); NaN where a frame does not decode."""
    luma = np.full(len(table), np.nan)
    with CameraPictures(video, table) as pictures:
        for row in range(len(table)):
            found = pictures.at(row)
            if found is not None and found[0] == row:
                plane = found[1] if found[1].format.name.startswith("yuv") else found[1].reformat(format="gray8")
                luma[row] = plane_arrays(plane)[0][::4].mean()
    return luma


def flash_frames(luma: np.ndarray) -> np.ndarray:
    """The first frame of each flash: a step up from the frame before that is like the largest one. int (E,)."""
    steps = np.diff(luma, prepend=luma[:1])
    steps = np.where(np.isfinite(steps), steps, 0.0)
    limit = max(LEAST_STEP, SHARE * float(steps.max(initial=0.0)))
    high = steps > limit
    # A flash that grows over two frames begins with the first.
    return np.flatnonzero(high & ~np.concatenate([[False], high[:-1]]))
