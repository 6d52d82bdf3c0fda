"""A clip of a damaged item says how many of its pictures are there, or fails; none is called whole that is not."""

import json
from pathlib import Path

import av
import pytest

from tests.unit.numbered_video import numbered_video, numbers_in
from tests.unit.shard_maker import Made, cut, fetch, plan, scan, settings_of, write_table

FRAMES = 100
GOP = 5
# Of 75 pictures, 13 to 87.
CLIP = [0.5, 3.5]


def damaged(path: Path, first: int, stop: int) -> Path:
    """A video whose packets first ... stop - 1 are zeros; the container is whole."""
    numbered_video(path, FRAMES, gop=GOP, options={"bf": "0"}, sound="aac")
    raw = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        for packet in packets[first:stop]:
            assert packet.pos is not None
            raw[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(raw)
    return path


def cut_of(
    root: Path,
    video: Path,
    *,
    look: bool,
    ahead: bool = False,
    clip: list[float] | None = None,
    precision: str = "exact",
) -> Made:
    table = write_table(root / "t.jsonl", json.dumps({"url": str(video), "clips": [clip or CLIP]}))
    roots = {"allowed_roots": [str(video.parent)]}
    settings = settings_of(table, clips="table", scan={"thumbnails": False}, fetch=roots, precision=precision)
    made = Made(root / "made", settings)
    fetch(made, plan(made.root, table, settings)["lots"][0])
    scan(made, look=look, ahead=ahead)
    cut(made)
    return made


@pytest.mark.parametrize(
    ("first", "stop", "shown"),
    [
        (80, 100, [*range(13, 80), *[79] * 8]),
        (40, 50, [*range(13, 40), *[39] * 10, *range(50, 88)]),
        (0, 15, [*[15] * 3, *range(16, 88)]),
    ],
)
def test_a_clip_that_lacks_pictures_has_others_in_their_place_and_says_so(tmp_path, first, stop, shown):
    made = cut_of(tmp_path, damaged(tmp_path / "v.mp4", first, stop), look=False)
    (row,) = made.rows("cut")
    lost = len(set(range(first, stop)) & set(range(13, 88)))
    assert (row.outcome, row.message) == (
        "written",
        f"{lost} of its 75 pictures do not decode: a neighbour stands in their place",
    )
    assert numbers_in(made.unpack(row.item)) == shown


@pytest.mark.parametrize(
    ("first", "stop", "message"),
    [
        (25, 100, "63 of its 75 pictures do not decode"),
        (10, 90, "none of its pictures can be decoded"),
        (0, 100, "none of its pictures can be decoded"),
    ],
)
def test_a_clip_of_whose_pictures_most_do_not_decode_fails(tmp_path, first, stop, message):
    made = cut_of(tmp_path, damaged(tmp_path / "v.mp4", first, stop), look=False)
    (row,) = made.rows("cut")
    assert (row.outcome, row.reason, row.message) == ("failed", "undecoded", message)
    assert made.clips == {}


@pytest.mark.parametrize("ahead", [False, True])
def test_a_clip_that_ends_where_its_damaged_item_does_says_so(tmp_path, ahead):
    made = cut_of(tmp_path, damaged(tmp_path / "v.mp4", 25, 100), look=True, ahead=ahead)
    (row,) = made.rows("cut")
    message = "it ends with its item, 2.500 s before its time; its item lacks 75 of 100 pictures (`source_undecoded`)"
    assert (row.outcome, row.value, row.message) == ("written", 0.5, message)
    assert numbers_in(made.unpack(row.item)) == list(range(13, 25))


def test_a_whole_clip_says_nothing_and_one_beyond_the_end_says_by_how_much(tmp_path):
    video = damaged(tmp_path / "v.mp4", 0, 0)
    assert [row.message for row in cut_of(tmp_path / "a", video, look=False).rows("cut")] == [""]
    (row,) = cut_of(tmp_path / "b", video, look=False, clip=[1, 9]).rows("cut")
    assert (row.outcome, row.value, row.message) == ("written", 3.0, "it ends with its item, 5.000 s before its time")


@pytest.mark.parametrize(("first", "stop"), [(13, 15), (86, 90)])
def test_a_smart_clip_whose_edge_does_not_decode_is_encoded_and_says_so(tmp_path, first, stop):
    made = cut_of(tmp_path, damaged(tmp_path / "v.mp4", first, stop), look=False, precision="smart")
    (row,) = made.rows("cut")
    assert (row.outcome, row.message) == (
        "written",
        "2 of its 75 pictures do not decode: a neighbour stands in their place",
    )
    assert len(numbers_in(made.unpack(row.item))) == 75
