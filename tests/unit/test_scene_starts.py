"""Where scenes of faces begin: at the library's cuts, and at a change that stands out from all around it."""

import subprocess
from itertools import permutations
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from scripts.common.scene_cuts import ContentChange, find_cuts
from scripts.common.small_picture import SmallPictures
from scripts.common.video import VideoReader
from scripts.faces.find_clip_landmarks import cuts_of
from scripts.faces.scene_starts import scene_starts
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


def changes(video: Path) -> np.ndarray:
    small, content = SmallPictures(), ContentChange()
    with VideoReader(video) as reader:
        return np.array([content.score(small.bgr(picture)) for picture in reader])


def joined(folder: Path, first: Path, second: Path, frames: int, rate: str = "") -> Path:
    """`frames` of one video, then the other from its fifth on, at 25 fps; through another frame rate, if any."""
    size = "fps=25,scale=360:288,setsar=1"
    chain = (
        f"[0:v]{size},trim=end_frame={frames}[a];[1:v]{size},trim=start_frame=5,setpts=PTS-STARTPTS[b];"
        f"[a][b]concat=n=2:v=1{f',fps={rate},fps=25' if rate else ''}"
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
    change = changes(data / name)
    assert scene_starts(change, **RULE) == find_cuts(change, **LIBRARY)


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
