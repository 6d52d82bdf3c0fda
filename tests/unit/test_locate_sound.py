"""Where a sound comes from, in a simulated room whose every path is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from scripts.common import ledger
from scripts.common.clock import Clock, Segment
from scripts.common.errors import InputError
from scripts.media.locate_sound import blocks_of, locate_sound
from scripts.media.location_track import LocationTrack
from scripts.media.sound_location import disagreeing
from tests.unit.simulated_room import RATE_HZ, ROOM_M, SPEED_M_S, Scene, cameras, moving_source

START_NS = 1_700_000_000_000_000_000
# The device's clock runs fast, as clocks do.
TRUE_HZ = RATE_HZ * (1 + 20e-6)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return moving_source(2.0, silent_s=(0.8, 1.1))


def locate(folder: Path, scene: Scene, *, positions=None, calibrated=True, names=("left", "right", "far"), **changes):
    """Locate the sound of a scene. Returns the track and the ledger's row."""
    soundfile.write(folder / "array.wav", scene.sound, RATE_HZ, subtype="PCM_24")
    samples = len(scene.sound)
    clock = Clock(START_NS, TRUE_HZ, RATE_HZ, samples, scene.sound.shape[1], segments=[Segment(0, START_NS, samples)])
    clock.write(folder / "array.clock.json")
    cameras().write(folder / "cameras.toml")
    settings = {
        "positions_m": (scene.microphones_m if positions is None else positions).tolist(),
        "volume_m": [[0, 0, 0], ROOM_M.tolist()],
        "step_m": 0.15, "band_hz": [5300, 10_900], "block_s": 0.04, "hop_s": 0.05, "speed_m_s": SPEED_M_S,
        "min_score": 0.12, "min_level_db": -60, "unit": "mm", **changes,
    }  # fmt: skip
    locate_sound(
        folder / "array.wav",
        folder / "array.clock.json",
        folder / "cameras.toml" if calibrated else None,
        folder / "location.parquet",
        folder / "location.ledger.parquet",
        recording="take",
        product="location",
        microphone="array",
        cameras=list(names),
        location=settings,
    )
    return LocationTrack.read(folder / "location.parquet"), ledger.rows(
        ledger.read([folder / "location.ledger.parquet"])
    )[0]


@pytest.fixture(scope="module")
def located(scene, tmp_path_factory):
    return locate(tmp_path_factory.mktemp("located"), scene)


def true_places(track: LocationTrack, scene: Scene) -> np.ndarray:
    samples = np.rint((track.time_ns - START_NS) * 1e-9 * TRUE_HZ).astype(int)
    return scene.path_m[samples]


def errors_m(track: LocationTrack, scene: Scene) -> np.ndarray:
    return np.linalg.norm(track.position_m - true_places(track, scene), axis=1)[track.heard]


def check(track: LocationTrack, row: ledger.Row, scene: Scene) -> None:
    """What holds for an array whose channels stand where the config says."""
    assert np.median(errors_m(track, scene)) < 0.03
    assert np.quantile(errors_m(track, scene), 0.95) < 0.10
    for name, camera in cameras().cameras.items():
        seen = np.isfinite(track.pixels[name][:, 0])
        assert seen.sum() > 15
        true = camera.project(true_places(track, scene) * 1000)
        assert np.median(np.linalg.norm(track.pixels[name] - true, axis=1)[seen]) < 10
    assert "do not agree" not in row.message


def test_a_moving_source_is_located_within_ten_centimetres_and_ten_pixels(scene, located):
    check(*located, scene)


def nearest_pair(scene: Scene) -> tuple[int, int]:
    """The two microphones that it is hardest to tell apart."""
    away = np.linalg.norm(scene.microphones_m[:, None] - scene.microphones_m, axis=2) + 9 * np.eye(24)
    first, second = sorted(np.unravel_index(away.argmin(), away.shape))
    return int(first), int(second)


@pytest.mark.parametrize("pair", [(3, 10), (0, 23), nearest_pair])
def test_two_swapped_microphones_are_named_and_would_fail_the_test_above(scene, tmp_path, pair):
    first, second = pair(scene) if callable(pair) else pair
    swapped = scene.microphones_m.copy()
    swapped[[first, second]] = swapped[[second, first]]
    track, row = locate(tmp_path, scene, positions=swapped)
    assert f"channels {first}, {second} do not agree with the others" in row.message
    with pytest.raises(AssertionError):
        check(track, row, scene)


def test_every_swap_of_two_channels_of_a_small_array_spoils_the_place(tmp_path):
    scene = moving_source(0.6, microphones=6)
    right, _ = locate(tmp_path, scene)
    swapped = scene.microphones_m[[1, 0, 2, 3, 4, 5]]
    wrong, _ = locate(tmp_path, scene, positions=swapped)
    assert np.median(errors_m(right, scene)) < 0.1
    assert not len(errors_m(wrong, scene)) or np.median(errors_m(wrong, scene)) > 0.3


def test_silence_has_no_place_and_is_still_a_row(scene, located):
    track, row = located
    since_s = (track.time_ns - START_NS) / 1e9
    silent = (since_s > 0.9) & (since_s < 1.05)
    assert silent.sum() >= 2
    assert not track.heard[silent].any()
    assert np.isnan(track.position_m[silent]).all()
    assert track.heard[since_s < 0.75].all()
    assert row.message.startswith(f"heard in {int(track.heard.sum())} of {len(track)} blocks")


def test_noise_alone_has_no_place(tmp_path):
    scene = moving_source(0.6)
    noise = np.random.default_rng(2).normal(0, 0.1, scene.sound.shape)
    track, _ = locate(tmp_path, Scene(scene.microphones_m, noise, scene.path_m))
    assert len(track) == 12
    assert not track.heard.any()


def test_a_camera_without_calibration_has_no_pixels(scene, tmp_path):
    track, _ = locate(tmp_path, scene, names=["left", "new"], hop_s=0.4)
    assert list(track.pixels) == ["left"]
    track, _ = locate(tmp_path, scene, calibrated=False, hop_s=0.4)
    assert track.pixels == {}
    assert track.heard.any()


def test_the_nearest_place_that_was_heard_is_shown_for_a_while(located):
    track, _ = located
    first = int(np.flatnonzero(track.heard)[0])
    assert track.near(int(track.time_ns[first]) + 1, 1000) == first
    assert track.near(int(track.time_ns[0]) - 10**9, 10**8) == -1
    assert LocationTrack.empty().near(0, 10**9) == -1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"positions_m": [[0, 0, 0]] * 23}, "no_channel"),
        ({"band_hz": [30_000, 40_000]}, "bad_band"),
    ],
)
def test_what_cannot_be_located_is_a_row_with_its_reason(scene, tmp_path, changes, reason):
    with pytest.raises(InputError) as error:
        locate(tmp_path, scene, **changes)
    assert error.value.reason == reason


def test_cameras_that_the_calibration_does_not_know_are_an_error_that_names_them(scene, tmp_path):
    with pytest.raises(InputError, match="knows none of the cameras top, bottom"):
        locate(tmp_path, scene, names=["top", "bottom"], hop_s=1)


def test_no_block_crosses_a_restart_of_the_device():
    clock = Clock(0, 100.0, 100, 250, 1, segments=[Segment(0, 0, 100), Segment(100, 5 * 10**9, 150)])
    assert list(blocks_of(clock, 40, 30)) == [0, 30, 60, 100, 130, 160, 190]


def test_a_track_comes_back_as_it_was_written(located, tmp_path):
    track, _ = located
    track.write(tmp_path / "a.parquet")
    LocationTrack.read(tmp_path / "a.parquet").write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_channel_disagrees_if_it_is_far_below_the_others():
    assert disagreeing(np.array([[0.3, 0.31, 0.05, 0.29]] * 3)) == [2]
    assert disagreeing(np.empty((0, 4))) == []
