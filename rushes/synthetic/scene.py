"""What a camera without a face sees: a coloured slope, a moving disc, the bar code and the flash."""

import cv2
import numpy as np

from rushes.synthetic.bars import draw_flash, draw_number


class Scene:
    """A scene of its own colour and movement for each seed."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        colour = rng.uniform(60, 160, 3)
        slope = np.linspace(0.6, 1.2, width)[None, :, None] * np.linspace(1.1, 0.7, height)[:, None, None]
        self._background = np.clip(slope * colour, 0, 255).astype(np.uint8)
        self._disc = tuple(float(level) for level in rng.uniform(120, 255, 3))
        self._speed_hz = float(rng.uniform(0.2, 0.4))

    def draw(self, number: int, time_s: float, flash: bool) -> np.ndarray:
        """The picture of frame `number`, `time_s` after the start: uint8 (height, width, 3), BGR."""
        image = self._background.copy()
        height, width = image.shape[:2]
        angle = 2 * np.pi * self._speed_hz * time_s
        centre = (round(width * (0.62 + 0.26 * np.cos(angle))), round(height * (0.58 + 0.26 * np.sin(angle))))
        cv2.circle(image, centre, height // 10, self._disc, thickness=-1)
        draw_flash(image, flash)
        draw_number(image, number)
        return image
