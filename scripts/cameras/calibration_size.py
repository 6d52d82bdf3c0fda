"""A calibration holds for pictures of one size: it is compared with that of the videos, and scaled where it may be."""

from dataclasses import replace

import numpy as np

from scripts.common.calibration_file import Camera
from scripts.common.errors import InputError

Size = tuple[int, int]
# Encoders want even sides: so much may a picture differ from what was calibrated, or from its shape.
NEAR_PX = 1.0


def same_size(one: Size, other: Size) -> bool:
    """Whether two sizes are the same, to a row or column that an encoder leaves out."""
    return all(abs(a - b) <= NEAR_PX for a, b in zip(one, other, strict=True))


def fitted(camera: Camera, size: Size | None, where: str) -> tuple[Camera, str]:
    """A camera for pictures of `size` (None: unknown), and what to say of it.

    Of another size and the same shape its matrix is scaled. Raises InputError for pictures of another shape: what was
    cut off cannot be known.
    """
    if not all(camera.size):
        said = f"{camera.name}: the file does not say for which size of pictures it is, nothing was compared"
        return replace(camera, size=size or camera.size), said
    if size is None or same_size(size, camera.size):
        return camera, ""
    (width, height), (old_width, old_height) = size, camera.size
    if abs(width - height * old_width / old_height) > NEAR_PX * max(1.0, width / old_width):
        raise InputError(
            "other_size",
            f"{where}: it was calibrated with pictures of {old_width}x{old_height}, and the video has {width}x{height},"
            " which is another shape; calibrate it as it records",
        )
    across, down = width / old_width, height / old_height
    matrix = camera.matrix.copy()
    matrix[0] *= across
    matrix[1] *= down
    # The middle of the first pixel is 0: the picture begins half a pixel before it.
    matrix[:2, 2] += np.array([across - 1, down - 1]) / 2
    said = f"{camera.name} is scaled from {old_width}x{old_height} to {width}x{height}"
    return replace(camera, size=size, matrix=matrix), said
