"""Colours of parts of pictures are those of the whole, whatever the part, the size and the colour space."""

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import example, given
from hypothesis import strategies as st

from scripts.common.bgr_picture import in_colour, small_bgr, stretch, to_bgr
from scripts.common.video import blank, plane_arrays

sides = st.integers(1, 90)
spaces = st.sampled_from([Colorspace.ITU601, Colorspace.ITU709])


def noise(width: int, height: int, space: int, seed: int = 0) -> av.VideoFrame:
    """A picture of which no two pixels are alike."""
    picture = blank(width, height)
    picture.colorspace = space
    random = np.random.default_rng(seed)
    for plane in plane_arrays(picture):
        plane[:] = random.integers(16, 236, plane.shape)
    return picture


@given(
    width=sides,
    height=sides,
    space=spaces,
    ends=st.tuples(*[st.integers(-5, 95)] * 4) | st.tuples(*[st.integers(0, 12)] * 4).map(sorted).map(tuple),
)
@example(width=2, height=8, space=Colorspace.ITU709, ends=(0, 1, 0, 1))
@example(width=32, height=32, space=Colorspace.ITU709, ends=(0, 5, 0, 32))
def test_a_part_has_the_colours_of_the_whole(width: int, height: int, space: int, ends: tuple[int, ...]) -> None:
    parts = in_colour(noise(width, height, space))
    top, bottom, left, right = ends
    part = parts[top:bottom, left:right]
    whole = parts[:, :]
    assert whole.shape == parts.shape == (height, width, 3)
    assert part.shape == whole[top:bottom, left:right].shape
    assert not part.size or cv2.absdiff(part, whole[top:bottom, left:right]).max() <= 1


@pytest.mark.parametrize("space", [Colorspace.ITU601, Colorspace.ITU709])
def test_the_colours_are_swscales(space: int) -> None:
    smooth = noise(8, 8, space).reformat(160, 120, "yuv420p")
    smooth.colorspace = space
    by_swscale = smooth.to_ndarray(format="bgr24")
    # OpenCV does not draw chroma between its pixels.
    assert np.abs(to_bgr(smooth).astype(int) - by_swscale).mean() < 3


@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    longest=st.integers(1, 300),
    space=spaces,
    as_array=st.booleans(),
)
def test_a_small_copy_is_no_larger_than_asked_for_and_spans_the_picture(
    width: int, height: int, longest: int, space: int, as_array: bool
) -> None:
    parts = in_colour(noise(width, height, space))
    small, span = small_bgr(parts[:, :] if as_array else parts, longest)
    rows, columns = small.shape[:2]
    assert max(rows, columns) == min(longest, max(width, height))
    shown = span * (columns, rows)
    assert (shown < np.array([width, height]) + 1e-6).all()
    # What does not fill a pixel of the copy is left out; chroma has a pixel for two.
    factor = max(1, max(width, height) // longest)
    assert (shown > np.array([width, height]) - 2 * factor).all()


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (853, 481), (640, 360), (300, 200)])
@pytest.mark.parametrize("as_array", [False, True])
def test_what_lies_in_the_small_copy_is_found_in_the_picture(size: tuple[int, int], as_array: bool) -> None:
    width, height = size
    picture = blank(width, height)
    luma = plane_arrays(picture)[0]
    middle = np.array([0.7 * width, 0.6 * height])
    luma[round(middle[1]) - 20 : round(middle[1]) + 20, round(middle[0]) - 20 : round(middle[0]) + 20] = 235
    parts = in_colour(picture)
    small, span = small_bgr(parts[:, :] if as_array else parts, 480)
    weights = small[..., 0].astype(float)
    grid = np.indices(weights.shape)[::-1] + 0.5
    found = (grid * weights).sum(axis=(1, 2)) / weights.sum() * span
    assert np.abs(found - np.round(middle)).max() < 0.5


@given(
    corner=st.tuples(st.integers(-120, 200), st.integers(-120, 150)),
    extent=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    space=spaces,
)
def test_a_stretched_part_is_that_of_the_colours(corner: tuple[int, int], extent: tuple[int, int], space: int) -> None:
    """Luma as the part of colours has it, to a level; chroma is drawn between its pixels, and not by steps."""
    smooth = noise(6, 4, space)
    for plane in plane_arrays(smooth):
        # Colours that there are: others are cut off, here and there at other places.
        plane[:] = 80 + plane // 4
    smooth = smooth.reformat(160, 120, "yuv420p")
    smooth.colorspace = space
    first = np.array(corner)
    parts, colours = in_colour(smooth), smooth.to_ndarray(format="bgr24")
    ours, expected = (stretch(picture, first, first + extent, 64).astype(int) for picture in (parts, colours))
    assert ours.shape == (64, 64, 3)
    away = np.abs(ours - expected)
    assert away.mean() < 2
    # At the picture's edge chroma fades to that of black within one of its pixels.
    assert np.percentile(away, 95) <= 8


@pytest.mark.parametrize("plane", [0, 1, 2])
@pytest.mark.parametrize("first", [(100, 50), (101, 51), (-37, -20)])
def test_what_lies_in_a_stretched_part_lies_there_in_the_picture(plane: int, first: tuple[int, int]) -> None:
    picture = blank(640, 360)
    plane_arrays(picture)[0][:] = 100
    # Pixels of luma are half as large.
    scale = 1 if plane else 2
    target = plane_arrays(picture)[plane]
    # A mark at 240 … 300 and 120 … 180 of the picture, in luma or in one kind of chroma.
    target[60 * scale : 90 * scale, 120 * scale : 150 * scale] = 190
    extent = np.array([400, 320])
    parts = in_colour(picture)
    part = stretch(parts, np.array(first), np.array(first) + extent, 256).astype(float)
    mark = part[..., {0: 1, 1: 0, 2: 2}[plane]]
    weights = mark > (mark.max() + np.median(mark)) / 2
    found = (np.indices(weights.shape)[::-1] + 0.5)[:, weights].mean(axis=1) * extent / 256 + first
    assert np.abs(found - (270, 150)).max() < 0.75
