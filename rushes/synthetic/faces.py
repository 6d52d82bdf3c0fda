"""A face of 68 landmarks (iBUG order) that speaks, and its picture, drawn from the landmarks alone.

The mouth opens with the speech; the brows rise while the flash is on, so that landmarks alone tell its time.
"""

import cv2
import numpy as np

from rushes.synthetic.bars import draw_flash, draw_number

WIDTH, HEIGHT = 320, 240
# Half of the face's width, px.
SCALE_PX = 62.0
# In units of SCALE_PX.
MOUTH_OPEN = 0.22
BROW_RAISE = 0.14

JAW, BROWS, NOSE = slice(0, 17), slice(17, 27), slice(27, 36)
EYES, LIPS, INNER_LIPS = slice(36, 48), slice(48, 60), slice(60, 68)
UPPER_LIPS, LOWER_LIPS = [49, 50, 51, 52, 53, 61, 62, 63], [55, 56, 57, 58, 59, 65, 66, 67]


def _resting_face() -> np.ndarray:
    """Landmarks of the face at rest, float64 (68, 2); x to the right, y down, half its width is 1."""
    angle = np.pi * np.arange(17) / 16
    jaw = np.stack([-np.cos(angle) * (1 - 0.12 * np.sin(angle)), -0.30 + 1.38 * np.sin(angle)], axis=1)
    brow = np.array([(-0.78, -0.62), (-0.65, -0.72), (-0.50, -0.74), (-0.35, -0.70), (-0.22, -0.63)])
    nose = [(0.0, -0.34), (0.0, -0.16), (0.0, 0.02), (0.0, 0.20)]
    nose += [(-0.20, 0.30), (-0.10, 0.34), (0, 0.37), (0.10, 0.34), (0.20, 0.30)]
    eye = np.array([(-0.65, -0.36), (-0.54, -0.44), (-0.38, -0.44), (-0.27, -0.36), (-0.38, -0.29), (-0.54, -0.29)])
    lips = [
        (-0.36, 0.64),
        (-0.22, 0.57),
        (-0.08, 0.545),
        (0, 0.56),
        (0.08, 0.545),
        (0.22, 0.57),
        (0.36, 0.64),
    ]
    lips += [(0.22, 0.73), (0.09, 0.765), (0, 0.77), (-0.09, 0.765), (-0.22, 0.73)]
    inner = [(-0.31, 0.64), (-0.10, 0.625), (0, 0.63), (0.10, 0.625)]
    inner += [(0.31, 0.64), (0.10, 0.65), (0, 0.655), (-0.10, 0.65)]
    mirror = np.array([-1.0, 1.0])
    other_eye = (eye * mirror)[[3, 2, 1, 0, 5, 4]]
    return np.concatenate([jaw, brow, (brow * mirror)[::-1], nose, eye, other_eye, lips, inner])


RESTING_FACE = _resting_face()


def move_face(time_s: np.ndarray, envelope: np.ndarray, flash: np.ndarray, seed: int) -> np.ndarray:
    """Landmarks of a slightly moving, speaking head, float32 (F, 68, 2) px.

    time_s: float64 (F,).  envelope: float64 (F,), loudness of the speech, 0 … 1.  flash: bool (F,).
    """
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    sway = np.sin(2 * np.pi * np.outer(time_s, [0.23, 0.31, 0.17, 0.11]) + phase) * [
        5.0,
        3.0,
        np.radians(3),
        0.02,
    ]
    face = np.repeat(RESTING_FACE[None], len(time_s), axis=0)
    opening = MOUTH_OPEN * envelope[:, None]
    face[:, LOWER_LIPS, 1] += opening
    face[:, UPPER_LIPS, 1] -= 0.15 * opening
    face[:, JAW, 1] += 0.6 * opening * np.sin(np.pi * np.arange(17) / 16) ** 3
    face[:, BROWS, 1] -= BROW_RAISE * flash[:, None]
    cos, sin = np.cos(sway[:, 2]), np.sin(sway[:, 2])
    turned = np.einsum("fpj,fij->fpi", face, np.stack([cos, -sin, sin, cos], axis=1).reshape(-1, 2, 2))
    centre = np.array([WIDTH / 2, HEIGHT * 0.535]) + sway[:, :2]
    landmarks: np.ndarray = (turned * (SCALE_PX * (1 + sway[:, 3]))[:, None, None] + centre[:, None]).astype(np.float32)
    return landmarks


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the inner lips over the face's width, float64 (F,), of landmarks (F, 68, 2)."""
    gap = np.linalg.norm(landmarks[:, 66] - landmarks[:, 62], axis=-1)
    return np.asarray(gap / np.linalg.norm(landmarks[:, 16] - landmarks[:, 0], axis=-1), np.float64)


def brows_raised(landmarks: np.ndarray) -> np.ndarray:
    """Whether the brows are raised, as they are while the flash is on: bool (F,), of landmarks (F, 68, 2)."""
    rise = landmarks[:, EYES].mean(axis=1) - landmarks[:, BROWS].mean(axis=1)
    width = np.linalg.norm(landmarks[:, 16] - landmarks[:, 0], axis=-1)
    rest = (RESTING_FACE[EYES].mean(axis=0) - RESTING_FACE[BROWS].mean(axis=0))[1]
    return np.asarray(2 * np.linalg.norm(rise, axis=-1) / width > rest + BROW_RAISE / 2)


class Sitter:
    """Draws one person: the colours of skin, hair, shirt and wall come from the seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._skin = np.array([150.0, 180.0, 222.0]) * rng.uniform(0.75, 1.0)
        self._hair = np.array([30.0, 48.0, 72.0]) * rng.uniform(0.5, 1.4)
        self._shirt = tuple(rng.uniform(60, 170, 3))
        wall = rng.uniform(110, 170, 3) * np.linspace(1.15, 0.8, HEIGHT)[:, None, None]
        self._wall = np.clip(np.broadcast_to(wall, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)

    def draw(self, landmarks: np.ndarray, number: int, flash: bool) -> np.ndarray:
        """One picture, uint8 (240, 320, 3), BGR; landmarks float (68, 2) px, NaN where there is no face."""
        image = self._wall.copy()
        if not np.isnan(landmarks).any():
            self._draw_head(image, landmarks.astype(np.float64))
        draw_flash(image, flash)
        draw_number(image, number)
        return image

    def _draw_head(self, image: np.ndarray, face: np.ndarray) -> None:
        across, down = (face[16] - face[0]) / 2, face[8] - face[27]
        down *= np.linalg.norm(across) / np.linalg.norm(down)
        middle = (face[0] + face[16]) / 2
        shade = self._skin * 0.82
        _fill(image, _oval(middle + 2.5 * down, 1.9 * across, 1.0 * down), self._shirt)
        _fill(image, _oval(middle + 1.3 * down, 0.48 * across, 0.6 * down), shade)
        _fill(image, _oval(middle - 0.1 * down, 1.08 * across, 1.0 * down), self._hair)
        forehead = _oval(middle, across, 0.78 * down)[:24:-1]
        _fill(image, np.concatenate([face[JAW], forehead]), self._skin)
        for eye in (face[36:42], face[42:48]):
            _fill(image, eye, (245, 245, 245))
            _fill(image, _oval(eye.mean(axis=0), 0.075 * across, 0.075 * down), (60, 45, 30))
            _line(image, eye, 2, shade * 0.6, closed=True)
        for brow in (face[17:22], face[22:27]):
            _line(image, brow, 4, self._hair)
        _fill(image, np.concatenate([face[27:28], face[31:36]]), self._skin * 0.92)
        _line(image, face[27:31], 1, shade)
        _line(image, face[31:36], 2, shade * 0.8)
        _fill(image, face[LIPS], (90, 85, 190))
        _fill(image, face[INNER_LIPS], (35, 20, 50))


def _oval(centre: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """48 points of an ellipse of half axes `across` and `down`; the upper half comes last, left to right."""
    angle = 2 * np.pi * np.arange(48) / 48
    return np.asarray(centre + np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * down)


Colour = tuple[float, ...] | np.ndarray


def _fill(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    cv2.fillPoly(image, [_sixteenths(points)], [float(level) for level in colour], cv2.LINE_AA, shift=4)


def _line(image: np.ndarray, points: np.ndarray, thickness: int, colour: Colour, *, closed: bool = False) -> None:
    ink = [float(level) for level in colour]
    cv2.polylines(image, [_sixteenths(points)], closed, ink, thickness, cv2.LINE_AA, shift=4)


def _sixteenths(points: np.ndarray) -> np.ndarray:
    """Points in the sixteenths of a pixel that OpenCV draws with."""
    return np.asarray(np.rint(points * 16), np.int32)
