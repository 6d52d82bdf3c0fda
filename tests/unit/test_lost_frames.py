"""Frames that do not decode: what is shown in their place, and what is said of them."""

import numpy as np
import pytest

from scripts.common.lost_frames import listed
from tests.unit.made_media import NS
from tests.unit.side_by_side import decoded, stamps, write_camera
from tests.unit.test_render_mosaic import cells, numbers, render


def test_frames_are_named_by_their_stretches():
    assert listed(np.array([7])) == "1 frame does not decode (7)"
    assert listed(np.array([101, 102, 103, 120, 200, 201])) == "6 frames do not decode (101-103, 120, 200-201)"


def test_the_list_of_a_day_is_no_longer_than_a_line():
    said = listed(np.arange(0, 2_000_000, 2))
    assert said == "1000000 frames do not decode (0, 2, 4, 6, 8, 10, 12, 14, and 999992 more stretches)"


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """Two cameras; of one, frames stand in the table that no decoder shows, up to its end."""
    folder = tmp_path_factory.mktemp("gappy")
    write_camera(folder, "whole", stamps(25, 0.8), gop=1)
    write_camera(folder, "torn", stamps(25, 0.8), gop=1, lost=(5, 6, 7, 12, 18, 19))
    return folder


def test_a_frame_that_does_not_decode_is_missing_like_one_that_is_not_there(gappy):
    video, instants, row = render(gappy, ["whole", "torn"], name="black")
    whole, torn = cells(decoded(video, 640, 240), 2)
    wanted = [-1 if k in (5, 6, 7, 12, 18, 19) else k for k in range(20)]
    assert numbers(whole) == instants.of("whole").tolist() == list(range(20))
    assert instants.of("torn").tolist() == wanted
    assert numbers(torn) == [None if k < 0 else k for k in wanted]
    assert (torn[instants.of("torn") < 0] < 20).all()
    assert not instants.offset_ns.any()
    assert row.message == ("torn has no frame at 6 of 20 instants; torn: 6 frames do not decode (5-7, 12, 18-19)")


def test_the_table_of_a_held_cell_names_the_frame_that_is_held_and_how_old_it_is(gappy):
    video, instants, row = render(gappy, ["whole", "torn"], name="held", missing="held")
    _, torn = cells(decoded(video, 640, 240), 2)
    held = [0, 1, 2, 3, 4, 4, 4, 4, 8, 9, 10, 11, 11, 13, 14, 15, 16, 17, 17, 17]
    assert numbers(torn) == instants.of("torn").tolist() == held
    age_ns = (np.arange(20) - held) * NS // 25
    assert instants.offset_ns[:, instants.cameras.index("torn")].tolist() == (-age_ns).tolist()
    assert row.message.startswith("torn has no frame at 6 of 20 instants; ")


def test_a_camera_of_which_nothing_decodes_is_black_and_said(tmp_path):
    write_camera(tmp_path, "whole", stamps(25, 0.4), gop=1)
    write_camera(tmp_path, "torn", stamps(25, 0.4), gop=1, lost=range(10))
    _, instants, row = render(tmp_path, ["whole", "torn"])
    assert (instants.of("torn") == -1).all()
    assert row.message == "torn has no frame at 10 of 10 instants; torn: 10 frames do not decode (0-9)"
