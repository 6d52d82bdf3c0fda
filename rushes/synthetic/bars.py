"""A frame's number as a bar code in the picture, and the flash: both survive h264, jpeg and scaling.

The bar code fills a strip at the top, a tenth of the height: 16 cells of the number, most significant bit
first, then 4 cells of checksum. The checksum is never right for a picture that is all black or all white.
The flash is a rectangle at the left that is white while the flash is on, else dark.
"""

from itertools import pairwise

import numpy as np

NUMBER_BITS = 16
CHECK_BITS = 4
CELLS = NUMBER_BITS + CHECK_BITS

# Share of the picture's height.
STRIP = 0.1
# Left, right (share of the width), top, bottom (share of the height).
FLASH_AREA = (0.02, 0.24, 0.30, 0.96)

WHITE = 235
BLACK = 16
# A cell must be on one side of this band of grey levels.
UNSURE = (88, 168)


def draw_number(image: np.ndarray, number: int) -> None:
    """Draw `number`, 0 … 65535, into `image`, uint8 (H, W) or (H, W, 3), in place; W at least 20 px."""
    if not 0 <= number < 1 << NUMBER_BITS:
        raise ValueError(f"frame number {number} does not fit {NUMBER_BITS} bits")
    code = number << CHECK_BITS | _checksum(number)
    edges = _cell_edges(image.shape[1])
    rows = _strip_rows(image.shape[0])
    for cell in range(CELLS):
        bit = code >> (CELLS - 1 - cell) & 1
        image[:rows, edges[cell] : edges[cell + 1]] = WHITE if bit else BLACK


def read_number(image: np.ndarray) -> int | None:
    """The number in `image`, uint8 (H, W) or (H, W, 3); None where there is none that can be trusted."""
    rows = _strip_rows(image.shape[0])
    strip = image[rows // 4 : max(rows - rows // 4, 1)].astype(np.float64)
    grey = strip.mean(axis=tuple(axis for axis in range(strip.ndim) if axis != 1))
    edges = _cell_edges(image.shape[1])
    code = 0
    for left, right in pairwise(edges):
        margin = (right - left) // 4
        level = grey[left + margin : right - margin].mean()
        if UNSURE[0] < level < UNSURE[1]:
            return None
        code = code << 1 | int(level > UNSURE[1] - 1)
    number = code >> CHECK_BITS
    return number if code & (1 << CHECK_BITS) - 1 == _checksum(number) else None


def draw_flash(image: np.ndarray, on: bool) -> None:
    """Draw the flash's rectangle into `image`, uint8 (H, W) or (H, W, 3), in place: white or dark."""
    image[_flash_area(image)] = WHITE if on else BLACK


def is_flash(image: np.ndarray) -> bool:
    """Whether the flash is on in `image`, uint8 (H, W) or (H, W, 3)."""
    return bool(image[_flash_area(image, margin=0.2)].mean() > (WHITE + BLACK) / 2)


def _checksum(number: int) -> int:
    nibbles = sum(number >> shift & 15 for shift in range(0, NUMBER_BITS, 4))
    return 15 - nibbles % 16


def _cell_edges(width: int) -> list[int]:
    return [round(cell * width / CELLS) for cell in range(CELLS + 1)]


def _strip_rows(height: int) -> int:
    return max(1, round(height * STRIP))


def _flash_area(image: np.ndarray, margin: float = 0.0) -> tuple[slice, slice]:
    """Rows and columns of the flash, smaller by the share `margin` of its size on every side."""
    height, width = image.shape[:2]
    left, right, top, bottom = FLASH_AREA
    inset_x, inset_y = margin * (right - left), margin * (bottom - top)
    rows = slice(round((top + inset_y) * height), round((bottom - inset_y) * height))
    return rows, slice(round((left + inset_x) * width), round((right - inset_x) * width))
