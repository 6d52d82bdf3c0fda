"""Where the scenes of faces begin: at PySceneDetect's cuts, and where the picture changes many times more than around.

Two people before one backdrop, one after the other, change fewer pixels than the threshold of a whole picture asks for.
Measured (docs/faces.md): the same change stands out from its neighbours, as motion, noise and a flash do not.
"""

import numpy as np

from scripts.common.scene_cuts import find_cuts

# Frames before and after that a change is compared with: 3 pictures a second stand for 8 frames each at 25.
NEIGHBOURS = 8


def scene_starts(
    change: np.ndarray, threshold: float, min_scene_frames: int, local_ratio: float = 0.0, local_change: float = 0.0
) -> list[int]:
    """Numbers of the frames that begin a new scene, sorted. change: float (N,), the score of each frame.

    threshold, min_scene_frames: of `find_cuts`.  local_ratio, local_change: of `stands_out`; a ratio of 0 asks nobody.
    """
    cuts = find_cuts(change, threshold, min_scene_frames)
    local = np.flatnonzero(stands_out(change, local_ratio, local_change)).tolist() if local_ratio else []
    return sorted({*cuts, *local})


def stands_out(change: np.ndarray, ratio: float, least: float) -> np.ndarray:
    """Frames that change by `least` or more, and `ratio` times as much as any of their NEIGHBOURS, bool (N,)."""
    padded = np.pad(np.asarray(change, float), NEIGHBOURS)
    shifts = (shift for shift in range(2 * NEIGHBOURS + 1) if shift != NEIGHBOURS)
    around = np.max([padded[shift : shift + len(change)] for shift in shifts], axis=0)
    apart: np.ndarray = (change >= least) & (change >= ratio * around)
    return apart
