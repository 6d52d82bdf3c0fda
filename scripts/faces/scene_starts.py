"""Where the scenes of faces begin: at PySceneDetect's cuts, and where the picture changes many times more than around.

Two people before one backdrop, one after the other, change fewer pixels than the threshold of a whole picture asks for.
Measured (docs/faces.md): the same change stands out from its neighbours, as motion, noise and a flash do not; and what
stands between two scenes is a mix of both, as what stands between two places of a moving head is not.
"""

from collections import deque

import cv2
import numpy as np

from scripts.common.scene_cuts import change_between, find_cuts

# Frames before and after that a change is compared with: 3 pictures a second stand for 8 frames each at 25.
NEIGHBOURS = 8
# Pictures in which two scenes may be mixed: more would let quick motion pass for a change of scene.
BLENDED = 3
# What a picture may have that is no mix of two others, as a share of their difference, both root mean squares.
# Measured: mixes up to 0.12, 0.17 in bad h264; motion from 0.21 on.
OF_ITS_OWN = 0.15


class SceneStarts:
    """Finds the frames that begin a new scene, in pictures that are seen one after the other.

    threshold, min_scene_frames: of `find_cuts`.  local_ratio, local_change: of `stands_out`; a ratio of 0 asks nobody.
    """

    def __init__(
        self, threshold: float, min_scene_frames: int, local_ratio: float = 0.0, local_change: float = 0.0
    ) -> None:
        self._rule = threshold, min_scene_frames, local_ratio, local_change
        self._ratio, self._least = local_ratio, local_change
        self._before: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=BLENDED + 1)
        # By the number of steps from one picture to the other, 1 first; two pictures are one step apart.
        self._change: list[list[float]] = [[] for _ in range(BLENDED + 1)]
        self._mixed: list[list[bool]] = [[] for _ in range(BLENDED + 1)]

    @property
    def change(self) -> np.ndarray:
        """Change of content of each picture against the one before, float (N,)."""
        return np.array(self._change[0])

    def see(self, bgr: np.ndarray) -> None:
        """The next picture, uint8 (height, width, 3)."""
        hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
        if self._before and self._before[-1][0].shape != bgr.shape:
            self._before.clear()
        for steps, (change, mixed) in enumerate(zip(self._change, self._mixed, strict=True), 1):
            seen = steps <= len(self._before) and (steps == 1 or self._ratio > 0)
            change.append(change_between(hsv, self._before[-steps][1]) if seen else 0.0)
            mixed.append(steps > 1 and self._rises(change, steps) and self._blends(bgr, steps))
        self._before.append((bgr, hsv))

    def _rises(self, change: list[float], steps: int) -> bool:
        """Whether the last change stands out from those before it: the mix costs more, and few ask for it."""
        before = change[:-steps][-NEIGHBOURS:]
        return change[-1] >= max(self._least, self._ratio * max(before, default=0.0)) and change[-1] > 0

    def _blends(self, bgr: np.ndarray, steps: int) -> bool:
        first, *between = [picture for picture, _ in list(self._before)[-steps:]]
        return all(is_mix(picture, first, bgr) for picture in between)

    def found(self) -> list[int]:
        """Numbers of the frames that begin a new scene, sorted.

        Of a blend the first picture that is all of the new scene, or one before it that changes enough by itself.
        """
        starts = set(scene_starts(self.change, *self._rule))
        for steps in range(2, BLENDED + 2) if self._ratio else ():
            apart = stands_out(np.array(self._change[steps - 1]), self._ratio, self._least, steps)
            for frame in np.flatnonzero(apart & np.array(self._mixed[steps - 1], bool)).tolist():
                if starts.isdisjoint(range(frame - steps + 1, frame + 1)):
                    starts.add(frame)
        return sorted(starts)


def scene_starts(
    change: np.ndarray, threshold: float, min_scene_frames: int, local_ratio: float = 0.0, local_change: float = 0.0
) -> list[int]:
    """Numbers of the frames that begin a new scene without a blend, sorted. change: float (N,), of each frame."""
    cuts = find_cuts(change, threshold, min_scene_frames)
    local = np.flatnonzero(stands_out(change, local_ratio, local_change)).tolist() if local_ratio else []
    return sorted({*cuts, *local})


def stands_out(change: np.ndarray, ratio: float, least: float, steps: int = 1) -> np.ndarray:
    """Frames that change by `least` or more, and `ratio` times as much as any of their NEIGHBOURS, bool (N,).

    steps: from the picture that each is compared with; neighbours are those whose steps are all others.
    """
    reach = NEIGHBOURS + steps - 1
    padded = np.pad(np.asarray(change, float), reach)
    shifts = (shift for shift in range(2 * reach + 1) if abs(shift - reach) >= steps)
    around = np.max([padded[shift : shift + len(change)] for shift in shifts], axis=0)
    apart: np.ndarray = (change > 0) & (change >= least) & (change >= ratio * around)
    return apart


def is_mix(picture: np.ndarray, first: np.ndarray, last: np.ndarray) -> bool:
    """Whether a picture has the same share of two others everywhere, but for OF_ITS_OWN. uint8 (height, width, 3)."""
    whole, part = last.astype(np.float32) - first, picture.astype(np.float32) - first
    energy = float(np.vdot(whole, whole))
    own = float(np.vdot(part, part)) - float(np.vdot(part, whole)) ** 2 / energy if energy else 0.0
    return own <= OF_ITS_OWN**2 * energy
