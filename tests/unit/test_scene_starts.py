"""Where scenes of faces begin: at the library's cuts, and at a change that stands out from all around it."""

import subprocess
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from scripts.common.scene_cuts import find_cuts
from scripts.common.small_picture import SmallPictures
from scripts.common.video import VideoReader
from scripts.faces.find_clip_landmarks import cuts_of
from scripts.faces.scene_starts import SceneStarts, scene_starts
from scripts.planning.config import load_config

RULE = load_config({})["faces"]["cuts"]
LIBRARY = {name: RULE[name] for name in ("threshold", "min_scene_frames")}
SPEAKERS = ("id2_vcd_swwp2s", "bbaf2n", "lbax4n", "pwij3p")
# Every video of the test data; some have cuts, which the library finds.
FOOTAGE = (
    *(f"faces/grid/{name}.mpg" for name in SPEAKERS),
    *(f"faces/{name}" for name in ("misc/short_hamilton_clip.mp4", "pyfeat/single_face.mp4", "pyfeat/no_face.mp4")),
    "faces/pyfeat/face_noface.mov",
    *(f"video/{name}" for name in ("mmaction2/demo.mp4", "mmaction2/test.mp4", "nasa/nasa_13013.mp4")),
    *(f"multicam/caliscope/post_optimization/calibration/extrinsic/cam_{number}.mp4" for number in range(4)),
)


def pictures(video: Path) -> list[np.ndarray]:
    small = SmallPictures()
    with VideoReader(video) as reader:
        return [small.bgr(picture).copy() for picture in reader]


def search(seen: Sequence[np.ndarray], **rule: float) -> SceneStarts:
    scenes = SceneStarts(**{**RULE, **rule})
    for picture in seen:
        scenes.see(picture)
    return scenes


def blended(first: Sequence[np.ndarray], second: Sequence[np.ndarray], frames: int, mixes: int) -> list[np.ndarray]:
    """`frames` pictures of one, `mixes` in which it fades into the other while both go on, then the other."""
    shares = [(k + 1) / (mixes + 1) for k in range(mixes)]
    ends = zip(first[frames:], second, shares, strict=False)
    fade = [cv2.addWeighted(one, 1 - share, other, share, 0) for one, other, share in ends]
    return [*first[:frames], *fade, *second[mixes:]]


def joined(folder: Path, first: Path, second: Path, frames: int, rate: str = "", mixes: int = 0) -> Path:
    """`frames` of one video, then the other from its fifth on, at 25 fps; through another frame rate, if any; or
    with `mixes` pictures of both between them.
    """
    size = "fps=25,scale=360:288,setsar=1"
    join = f"concat=n=2:v=1{f',fps={rate},fps=25' if rate else ''}"
    if mixes:
        join = f"xfade=fade:duration={(mixes + 1) / 25}:offset={(frames - 1) / 25}"
    chain = (
        f"[0:v]{size},trim=end_frame={frames + mixes}[a];[1:v]{size},trim=start_frame=5,setpts=PTS-STARTPTS[b];"
        f"[a][b]{join}"
    )
    out = folder / "joined.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(first), "-i", str(second)]
    command += ["-filter_complex", chain, "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-an", str(out)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return out


@pytest.mark.parametrize(("first", "second"), list(permutations(SPEAKERS, 2)))
def test_two_speakers_before_one_backdrop_are_two_scenes(data, tmp_path, first, second):
    """The library's threshold misses six of these twelve."""
    one, other = (data / "faces" / "grid" / f"{name}.mpg" for name in (first, second))
    assert cuts_of(f"file:{joined(tmp_path, one, other, 40)}", RULE)[0] == [40]


def test_a_cut_between_repeated_pictures_and_one_within_the_shortest_scene_are_found(data, tmp_path):
    one, other = (data / "faces" / "grid" / f"{name}.mpg" for name in ("id2_vcd_swwp2s", "pwij3p"))
    assert cuts_of(f"file:{joined(tmp_path, one, other, 40, rate='5')}", RULE)[0] == [40]
    assert cuts_of(f"file:{joined(tmp_path, one, other, 10)}", RULE)[0] == [10]


@pytest.mark.parametrize("name", FOOTAGE)
def test_no_other_footage_is_cut_where_the_library_does_not_cut_it(data, name):
    scenes = search(pictures(data / name))
    assert scenes.found() == find_cuts(scenes.change, **LIBRARY)


@pytest.mark.parametrize("mixes", [1, 2, 3])
def test_two_speakers_who_blend_over_up_to_three_pictures_are_two_scenes(data, mixes):
    """All twelve pairs; the second begins within the blend, or with the first picture that is all of it."""
    clips = [pictures(data / "faces" / "grid" / f"{name}.mpg") for name in SPEAKERS]
    found = [search(blended(one, other, 40, mixes)).found() for one, other in permutations(clips, 2)]
    assert [len(starts) for starts in found] == 12 * [1]
    assert all(40 <= start <= 40 + mixes for (start,) in found)


def test_a_video_of_a_clip_is_cut_at_its_blend(data, tmp_path):
    """After two blended pictures, as an encoder leaves them."""
    one, other = (data / "faces" / "grid" / f"{name}.mpg" for name in ("id2_vcd_swwp2s", "pwij3p"))
    assert cuts_of(f"file:{joined(tmp_path, one, other, 40, mixes=2)}", RULE)[0] == [42]


def head_at(place: int) -> np.ndarray:
    """A grey room with a patterned head whose left edge stands at `place`."""
    picture = np.full((144, 256, 3), 90, np.uint8)
    checks = np.kron(np.indices((6, 6)).sum(axis=0) % 2, np.ones((16, 16))).astype(np.uint8)
    picture[24:120, place : place + 96] = np.where(checks[..., None] > 0, (90, 120, 200), (30, 40, 80))
    return picture


def test_a_head_that_moves_within_three_pictures_is_no_new_scene_and_a_mix_of_both_places_is():
    """From still to still in three steps: as sudden as a blend, but no picture between is a mix."""
    still, moved = head_at(20), head_at(56)
    turn = [*40 * [still], head_at(32), head_at(44), *40 * [moved]]
    assert search(turn).found() == []
    assert search(blended(41 * [still] + 2 * [still], 42 * [moved], 40, 2)).found() == [42]


def test_a_light_that_comes_and_goes_over_a_few_pictures_is_no_new_scene():
    dark, bright = head_at(20), cv2.add(head_at(20), 60)
    assert search([*40 * [dark], *3 * [bright], *40 * [dark]]).found() == []


def test_a_still_picture_is_one_scene_whatever_the_least_change():
    assert search(50 * [head_at(20)], local_change=0).found() == []


def test_pictures_of_another_size_are_not_compared():
    assert search([*20 * [head_at(20)], *20 * [head_at(20)[:100]]]).found() == []


def series(**at: float) -> np.ndarray:
    """A hundred frames that change by 1, but for those that are named, e.g. f40=20."""
    change = np.ones(100)
    for name, value in at.items():
        change[int(name[1:])] = value
    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (series(f40=20), [40]),
        (series(f40=6), [40]),
        (series(f40=5.9), []),  # less than `local_change`
        (series(f40=20, f41=20), []),  # a flash comes and goes
        (series(f40=20, f44=6), []),  # motion goes on
        (series(f40=20, f49=6), [40, 49]),
        (series(f1=20), [1]),
        (series(f99=20), [99]),
        (5.5 * series(f40=3.9), []),
        (np.where(np.arange(100) % 8, 0.0, 20.0), []),  # a source of 3 pictures a second
        (np.empty(0), []),
    ],
)
def test_a_change_stands_out_if_it_is_many_times_any_of_those_around_it(change, expected):
    assert scene_starts(change, **RULE) == expected


def test_the_library_s_rule_stands_alone_where_a_person_wants_it():
    change = series(f40=20, f70=30)
    assert scene_starts(change, **RULE) == [40, 70]
    assert scene_starts(change, **{**RULE, "local_ratio": 0}) == find_cuts(change, **LIBRARY) == [70]
