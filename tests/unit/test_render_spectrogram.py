"""A mosaic with its sound's spectrogram: seen by the ffmpeg program."""

import numpy as np
import pytest
import soundfile

from scripts.common import ledger
from scripts.common.calibration_file import Calibration, Camera
from scripts.common.clock import Clock, Segment
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.synchronised import Synchronised
from scripts.media.location_track import LocationTrack
from scripts.media.mosaic import Cell
from scripts.media.render_spectrogram import RING_YUV, draw_ring, in_cell, render_spectrogram
from scripts.media.spectrogram_strip import Look, SpectrogramStrip, colour_table, rows_of_band
from tests.unit.made_media import NS
from tests.unit.side_by_side import START_NS, decoded, stamps, write_camera, write_microphone
from tests.unit.test_render_mosaic import SCENE, SOUND

STRIP = {
    "listen": ["array"], "nperseg": 512, "hop": 128, "band_hz": [0, 24_000], "range_db": [-100, -30],
    "colours": "gray", "window_s": 2.0, "height": 120,
}  # fmt: skip
LOOK = Look(512, 128, (0.0, 24_000.0), (-100.0, 0.0), "gray", 2.0, 120)


class Heard:
    """A sound in memory, one side."""

    sides, rate_hz = 1, 48_000

    def __init__(self, samples: np.ndarray) -> None:
        self._left, self.samples = samples.astype(np.float32), len(samples)

    def read(self, count: int) -> np.ndarray:
        """The next samples."""
        block, self._left = self._left[:count], self._left[count:]
        return block[None]


def tone(hertz: float, seconds: float, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 48_000)) / 48_000)


def test_a_tone_stands_at_its_frequency_with_its_power():
    strip = SpectrogramStrip(Heard(tone(6000, 4, 0.1)), 320, LOOK)
    levels = strip.levels(1.0)
    assert levels.shape == (120, 320)
    rows = levels.argmax(axis=0)
    # The top row is the highest frequency: 6 of 24 kHz is a quarter from below.
    assert np.abs(rows - 90).max() <= 1
    # A sine of a tenth has -20 dB, which the rows beside share.
    assert levels.max() == pytest.approx(255 * 0.8, abs=12)


def test_a_click_passes_the_playhead_when_it_sounds():
    sound = np.zeros(6 * 48_000)
    sound[3 * 48_000] = 1  # two seconds after instant 0, which is one second into the sound
    strip = SpectrogramStrip(Heard(sound), 320, LOOK)
    for instant, column in ((1.25, 280), (2.0, 160), (2.75, 40)):
        assert strip.levels(instant).max(axis=0).argmax() == pytest.approx(column, abs=2)


@pytest.mark.parametrize("width", [64, 2000])
def test_the_strip_is_whole_at_any_width_and_after_the_end_of_the_sound(width):
    strip = SpectrogramStrip(Heard(tone(1000, 2.5)), width, LOOK)
    for instant in (0.0, 0.4, 0.5, 3.0, 9.0):
        assert strip.levels(instant).shape == (120, width)
    assert strip.levels(12.0).max() == 0


def test_each_row_shows_its_own_frequencies_and_all_of_them_once():
    rows = rows_of_band(10, 257, 48_000, (0.0, 24_000.0))
    assert np.allclose(rows.sum(axis=1), 1)
    assert (np.diff(rows.argmax(axis=1)) < 0).all()
    fine = rows_of_band(300, 17, 48_000, (5300.0, 10_900.0))
    assert np.allclose(fine.sum(axis=1), 1)


@pytest.mark.parametrize("name", ["viridis", "magma", "inferno", "plasma", "turbo", "gray"])
def test_colours_are_within_the_limited_range(name):
    table = colour_table(name)
    assert table.shape == (256, 3)
    assert 16 <= table[:, 0].min() <= table[:, 0].max() <= 235
    if name != "turbo":
        assert table[255, 0] > table[0, 0] + 100


@pytest.fixture
def take(tmp_path):
    """Two cameras and an array with a beep at every flash."""
    flashes = [START_NS + round(second * NS) for second in (1.0, 2.1)]
    for name in ("left", "right"):
        write_camera(tmp_path, name, stamps(25, 3), flashes_ns=flashes)
    write_microphone(tmp_path, "array", 3.2, start_ns=START_NS - NS // 10, beeps_ns=flashes)
    return tmp_path


def render(folder, *, track=None, calibration=None, cameras=("left", "right"), microphones=("array",), **changes):
    render_spectrogram(
        [folder / f"{camera}.mp4" for camera in cameras],
        [folder / f"{camera}.frames.parquet" for camera in cameras],
        [folder / f"{microphone}.wav" for microphone in microphones],
        [folder / f"{microphone}.clock.json" for microphone in microphones],
        track,
        calibration,
        folder / "out.mp4",
        folder / "out.instants.parquet",
        folder / "out.ledger.parquet",
        recording="take",
        product="spectrogram.all",
        cameras=list(cameras),
        microphones=list(microphones),
        scene={**SCENE, "rows": [list(cameras)]},
        sound={**SOUND, "sides": [["array"]]},
        spectrogram={**STRIP, **changes},
    )
    return folder / "out.mp4", ledger.rows(ledger.read([folder / "out.ledger.parquet"]))[0]


def test_the_strip_below_the_cameras_shows_each_beep_at_the_playhead_when_the_flash_is_seen(take):
    video, row = render(take)
    pictures = decoded(video, 640, 240 + 120)
    instants = Synchronised.read(take / "out.instants.parquet")
    assert (row.step, row.outcome, row.value) == ("render_spectrogram", "written", 75)
    assert len(pictures) == len(instants) == 75
    seconds = (instants.time_ns - START_NS) / NS
    # Beside the playhead, which is bright itself, in the rows of the beep.
    strip = pictures[:, 240:].astype(int)
    ahead = strip[:, 20:, 322:340].max(axis=(1, 2)) - strip[:, 20:, 300:318].max(axis=(1, 2))
    for flash in (1.0, 2.1):
        before = int(np.flatnonzero(seconds < flash - 0.02)[-1])
        assert ahead[before] > 40


def test_a_place_is_a_ring_in_each_cell_that_sees_it(take):
    times = START_NS + np.arange(0, 3 * NS, NS // 10)
    pixels = {"left": np.tile([100.0, 60.0], (len(times), 1)), "right": np.full((len(times), 2), np.nan)}
    heard = (times - START_NS) < NS
    track = LocationTrack(
        times,
        heard,
        np.zeros(len(times), np.float32),
        np.ones(len(times), np.float32),
        np.zeros((len(times), 3)),
        pixels,
    )
    track.write(take / "location.parquet")
    plain = Camera("left", (320, 240), np.eye(3), np.zeros(5), np.zeros(3), np.zeros(3))
    Calibration({"left": plain, "right": Camera("right", *list(vars(plain).values())[1:])}, {}).write(take / "c.toml")
    without = decoded(render(take)[0], 640, 360)
    drawn = decoded(render(take, track=take / "location.parquet", calibration=take / "c.toml")[0], 640, 360)
    changed = (np.abs(drawn[:, :240].astype(int) - without[:, :240]) > 40).sum(axis=0)
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 60) < 2
    assert abs(columns.mean() - 100) < 2
    assert columns.max() < 320
    # Shown while it is heard, and a fifth of a second longer.
    differs = (np.abs(drawn[:, :240].astype(int) - without[:, :240]) > 40).any(axis=(1, 2))
    assert differs[:25].all()
    assert not differs[32:].any()


def test_a_pixel_stands_where_its_cell_shows_it():
    cell = Cell("a", 100, 50, 200, 200)
    assert in_cell(cell, (400, 200), np.array([199.5, 99.5])) == pytest.approx((199.5, 149.5))
    assert in_cell(cell, (400, 200), np.array([-0.5, -0.5])) == pytest.approx((99.5, 99.5))
    assert in_cell(cell, (400, 200), np.array([np.nan, 1])) is None


def test_a_ring_stays_in_its_cell():
    planes = [np.zeros((100, 200), np.uint8), np.zeros((50, 100), np.uint8), np.zeros((50, 100), np.uint8)]
    draw_ring(planes, Cell("a", 100, 0, 100, 100), (101.0, 5.0))
    assert planes[0].max() == RING_YUV[0]
    assert planes[0][:, :100].max() == 0
    draw_ring(planes, Cell("a", 0, 0, 100, 100), (500.0, 500.0))
    assert planes[0][:, :100].max() == 0


def test_two_renders_have_the_same_bytes(take):
    first = render(take)[0].read_bytes()
    assert render(take)[0].read_bytes() == first


def test_without_any_sound_or_any_camera_there_is_nothing_to_show(take):
    write_empty(take / "array.clock.json", "array.clock.json")
    with pytest.raises(InputError, match="every microphone") as error:
        render(take)
    assert error.value.reason == ledger.UPSTREAM
    clock = Clock(START_NS, 48_000.0, 48_000, 48_000, 1, segments=[Segment(0, START_NS, 48_000)])
    clock.write(take / "array.clock.json")
    soundfile.write(take / "array.wav", np.zeros(48_000), 48_000)
    for name in ("left", "right"):
        FrameTable.empty().write(take / f"{name}.frames.parquet")
    with pytest.raises(InputError, match="every camera"):
        render(take)


def test_a_channel_that_is_not_there_is_named(take):
    with pytest.raises(InputError, match="array:7"):
        render(take, listen=["array:7"])


def test_a_strip_whose_microphone_failed_is_empty_and_said_so(take):
    for name in ("dead.wav", "dead.clock.json"):
        write_empty(take / name, name)
    _, row = render(take, microphones=["array", "dead"], listen=["dead:3"])
    assert (row.outcome, row.message) == ("written", "the strip is silent: the import of dead failed")
