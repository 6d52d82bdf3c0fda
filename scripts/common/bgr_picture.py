"""Pictures as OpenCV reads them. Apart from `video`: most of what reads videos needs no OpenCV."""

import av
import cv2
import numpy as np

from scripts.common.video import EXACT, upright

# Matrix coefficients of H.273: unspecified, BT.470 and SMPTE 170M; the latter two are those of BT.601.
OF_BT601 = (2, 5, 6)


def to_bgr(picture: av.VideoFrame) -> np.ndarray:
    """The upright picture as uint8 (height, width, 3), blue first: what OpenCV reads."""
    picture = upright(picture)
    if picture.colorspace in OF_BT601 and not (picture.width % 2 or picture.height % 2):
        # By fixed-point arithmetic like swscale's exact way, within 4 levels of it, at an eighth of its cost.
        quick: np.ndarray = cv2.cvtColor(picture.to_ndarray(), cv2.COLOR_YUV2BGR_I420)
        return quick
    array: np.ndarray = picture.to_ndarray(format="bgr24", interpolation=EXACT, threads=1)
    return array
