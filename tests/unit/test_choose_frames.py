"""Of many common frames every camera, and every pair of them, has its share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.cameras.choose_frames import choose_frames

CORNERS = 20


def corners_of(sees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame and camera of each corner. sees: bool (frames, cameras)."""
    frame, camera = np.nonzero(sees)
    return np.repeat(frame, CORNERS), np.repeat(camera, CORNERS)


def test_few_frames_are_all_taken() -> None:
    assert choose_frames(*corners_of(np.ones((7, 2), bool)), most=7).tolist() == list(range(7))


def test_a_camera_that_shares_little_keeps_it() -> None:
    """Three cameras see the board for ten minutes; a fourth sees it on twelve visits, with the first alone."""
    sees = np.zeros((6_000, 4), bool)
    sees[:, :3] = True
    for visit in range(12):
        first = 250 + visit * 480
        sees[first : first + 25] = [True, False, False, True]
    chosen = choose_frames(*corners_of(sees), most=200)
    assert len(chosen) == 200
    assert (sees[chosen, 0] & sees[chosen, 3]).sum() == 50
    visits = np.unique((chosen[sees[chosen, 3]] - 250) // 480)
    assert visits.tolist() == list(range(12))


def test_the_links_of_a_chain_have_equal_shares() -> None:
    sees = np.zeros((3_000, 4), bool)
    for link in range(3):
        sees[link * 1_000 : (link + 1) * 1_000, link : link + 2] = True
    chosen = choose_frames(*corners_of(sees), most=60)
    assert [int((sees[chosen, link] & sees[chosen, link + 1]).sum()) for link in range(3)] == [20, 20, 20]


def test_of_each_stretch_the_richest_frame_is_taken() -> None:
    frame = np.repeat(np.arange(100), np.where(np.arange(100) % 10 == 3, 9, 5))
    assert choose_frames(frame, np.zeros_like(frame), most=10).tolist() == list(range(3, 100, 10))


def test_where_pairs_are_more_than_frames_the_scarcest_come_first() -> None:
    sees = np.zeros((400, 5), bool)
    sees[:, :4] = True
    sees[7] = [True, False, False, False, True]
    assert 7 in choose_frames(*corners_of(sees), most=4)


@pytest.mark.parametrize("most", [1, 3, 50])
@given(data=st.data())
def test_never_more_than_asked_for_and_never_fewer(data: st.DataObject, most: int) -> None:
    seed, cameras, frames = (data.draw(st.integers(low, high)) for low, high in ((0, 99), (1, 6), (1, 120)))
    sees = np.random.default_rng(seed).random((frames, cameras)) < 0.4
    sees[:, 0] |= ~sees.any(axis=1)
    chosen = choose_frames(*corners_of(sees), most=most)
    assert len(chosen) == min(most, frames)
    assert (np.diff(chosen) > 0).all()
