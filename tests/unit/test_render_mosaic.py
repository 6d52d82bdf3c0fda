"""Cameras side by side in one video, with sound at its place: seen and heard by the ffmpeg program."""

import hashlib
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from rushes.synthetic.bars import is_flash, read_number
from rushes.synthetic.player import watch
from rushes.synthetic.sounds import find_beeps
from scripts.common import ledger
from scripts.common.clock import Clock
from scripts.common.empty import write_empty
from scripts.common.encoder import Coding, usable
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.product_writer import encoder_rate
from scripts.common.synchronised import Synchronised
from scripts.media.merge_video_audio import merge_video_audio
from scripts.media.mosaic import lay_out, rows_of
from scripts.media.render_mosaic import render_mosaic
from tests.unit.made_media import NS, Pictures, numbers_in, run_import, write_media
from tests.unit.side_by_side import FFMPEG, START_NS, decoded, samples_of, stamps, write_camera, write_microphone

SCENE = {
    "columns": 0, "explicit": False, "cell": [], "missing": "black", "fps": "own",
    "codec": "h264", "crf": 18, "preset": "ultrafast", "encoder": "cpu",
}  # fmt: skip
SOUND = {"codec": "pcm", "kbps": 96, "rate_hz": 48_000}
SIZE = (320, 240)


def render(folder, cameras, *, microphones=(), sides=(), name="full", **changes):
    """Render the cameras of `folder`. Returns the video, its instants and the ledger's row."""
    scene = {**SCENE, "rows": [list(cameras)], **{k: v for k, v in changes.items() if k in {*SCENE, "rows"}}}
    sound = {**SOUND, "sides": [list(side) for side in sides], **{k: v for k, v in changes.items() if k in SOUND}}
    if "sound_codec" in changes:
        sound["codec"] = changes["sound_codec"]
    render_mosaic(
        [folder / f"{camera}.mp4" for camera in cameras],
        [folder / f"{camera}.frames.parquet" for camera in cameras],
        [folder / f"{microphone}.wav" for microphone in microphones],
        [folder / f"{microphone}.clock.json" for microphone in microphones],
        folder / f"{name}.mp4",
        folder / f"{name}.instants.parquet",
        folder / f"{name}.ledger.parquet",
        recording="take",
        product=name,
        cameras=list(cameras),
        microphones=list(microphones),
        scene=scene,
        sound=sound if sides else {},
    )
    row = ledger.rows(ledger.read([folder / f"{name}.ledger.parquet"]))[0]
    return folder / f"{name}.mp4", Synchronised.read(folder / f"{name}.instants.parquet"), row


def cells(pictures, columns, rows=1):
    """The pictures of each cell, uint8 (C, N, height, width)."""
    height, width = pictures.shape[1] // rows, pictures.shape[2] // columns
    return [
        pictures[:, r * height : (r + 1) * height, c * width : (c + 1) * width]
        for r in range(rows)
        for c in range(columns)
    ]


def numbers(pictures):
    return [read_number(picture) for picture in pictures]


@pytest.fixture(scope="module")
def trigger(tmp_path_factory):
    """Three cameras of one trigger, each with drops of its own, and a microphone that drifts and begins first."""
    folder = tmp_path_factory.mktemp("trigger")
    flashes = [START_NS + k * NS // 40 for k in (16, 60, 97)]
    write_camera(folder, "cam0", stamps(40, 3, without=(30, 31)), flashes_ns=flashes)
    write_camera(folder, "cam1", stamps(40, 3, without=(50,)), flashes_ns=flashes, b_frames=2)
    write_camera(folder, "cam2", stamps(40, 3)[:60], flashes_ns=flashes, size=(160, 240))
    write_microphone(folder, "array", 4, start_ns=START_NS - 300_000_000, ppm=80, channels=4, beeps_ns=flashes,
                     gains=(1, 0.5, 0, 0))  # fmt: skip
    write_microphone(folder, "late", 2.6, start_ns=START_NS + 210_000_000, channels=1, beeps_ns=flashes)
    return folder, flashes


def test_every_cell_shows_the_frame_that_its_table_names(trigger, tmp_path):
    folder, _ = trigger
    video, instants, row = render(folder, ["cam0", "cam1", "cam2"], name="a")
    pictures = decoded(video, 960, 240)
    assert len(pictures) == len(instants) == 120
    for camera, cell in zip(instants.cameras, cells(pictures, 3), strict=True):
        picture = cell[:, :, 80:240] if camera == "cam2" else cell
        wanted = [int(shown) if shown >= 0 else None for shown in instants.of(camera)]
        assert numbers(picture) == wanted
        assert (cell[instants.of(camera) < 0] < 20).all()
    assert row.message == (
        "cam0 has no frame at 2 of 120 instants; cam1 has no frame at 1 of 120 instants; "
        "cam2 has no frame at 60 of 120 instants"
    )
    assert row.outcome == "written"


def test_six_drops_take_no_time_away(tmp_path):
    """The old system's constant rate made 19.85 s of 20 s."""
    write_camera(tmp_path, "cam0", stamps(40, 20, without=(88, 232, 233, 504, 505, 506)), size=(64, 48))
    video, _, _ = render(tmp_path, ["cam0"])
    seen = watch(video, 64, 48)
    assert len(seen.pts_ns) == 794
    assert seen.pts_ns[-1] == 799 * 25_000_000


def test_a_missing_cell_is_held_where_that_is_wanted(trigger):
    folder, _ = trigger
    video, instants, _ = render(folder, ["cam0", "cam2"], name="held", missing="held")
    left, right = cells(decoded(video, 640, 240), 2)
    held = np.maximum.accumulate(instants.of("cam0"))
    assert numbers(left) == held.tolist()
    assert numbers(right[60:, :, 80:240]) == [59] * 60


def test_a_constant_rate_shows_the_nearest_frames(trigger):
    folder, flashes = trigger
    video, _, _ = render(folder, ["cam0"], name="cfr", fps="25")
    seen = watch(video, *SIZE)
    assert (np.diff(seen.pts_ns) == 40_000_000).all()
    onsets = seen.pts_ns[seen.flash_onsets()] + START_NS
    assert len(onsets) == 3
    assert np.abs(onsets - flashes).max() <= 20_000_000


@pytest.mark.parametrize(("codec", "limit_ms"), [("pcm", 1.0), ("aac", 1.0)])
def test_a_player_sees_flash_and_beep_together(trigger, codec, limit_ms):
    folder, _ = trigger
    video, _, _ = render(
        folder, ["cam0"], microphones=["array", "late"], sides=[["array:0"], ["late"]], name=codec, sound_codec=codec
    )
    seen = watch(video, *SIZE)
    seen_ns = seen.pts_ns[seen.flash_onsets()]
    for side in samples_of(video, 2).T:
        beeps_ns = find_beeps(side, 48_000) * NS / 48_000
        assert len(beeps_ns) == 3
        assert np.abs(beeps_ns - seen_ns).max() / 1e6 <= limit_ms


@pytest.mark.parametrize("lead_s", [-0.4, 0.4])
def test_sound_stands_by_its_clock_whichever_begins_first(tmp_path, lead_s):
    """The old system turned the sign round when the picture began first."""
    flashes = [START_NS + NS]
    write_camera(tmp_path, "cam0", stamps(40, 2), flashes_ns=flashes)
    write_microphone(tmp_path, "array", 1.5, start_ns=START_NS + round(lead_s * NS), channels=1, beeps_ns=flashes)
    video, _, _ = render(tmp_path, ["cam0"], microphones=["array"], sides=[["array"]])
    sound = samples_of(video, 1)[:, 0]
    assert len(sound) == 96_000
    assert abs(find_beeps(sound, 48_000)[0] - 48_000) <= 48
    if lead_s > 0:
        assert not sound[: round(lead_s * 48_000) - 1].any()


def test_drift_and_holes_do_not_move_the_sound(tmp_path):
    """Half an hour's drift in seconds: 2,000 ppm, and a hole that the import has filled."""
    flashes = [START_NS + NS // 2, START_NS + 7 * NS]
    write_camera(tmp_path, "cam0", stamps(20, 8), flashes_ns=flashes, size=(64, 48))
    write_microphone(
        tmp_path, "array", 8, ppm=2_000, channels=1, beeps_ns=flashes, hole=(100_000, 200_000), rate_hz=48_000
    )
    video, _, _ = render(tmp_path, ["cam0"], microphones=["array"], sides=[["array"]])
    beeps = find_beeps(samples_of(video, 1)[:, 0], 48_000)
    assert np.abs(beeps - [24_000, 336_000]).max() <= 48


def test_sides_are_means_of_their_parts(trigger):
    folder, _ = trigger
    sides = [["array:0", "array:1"], ["array"]]
    video, _, _ = render(folder, ["cam0"], microphones=["array"], sides=sides, name="sides")
    left, right = np.abs(samples_of(video, 2)[20_000:23_000]).max(axis=0)
    assert left == pytest.approx(0.8 * 0.75, abs=0.01)
    assert right == pytest.approx(0.8 * 1.5 / 4, abs=0.01)


def test_a_channel_that_is_not_there_is_said(trigger):
    folder, _ = trigger
    with pytest.raises(InputError) as error:
        render(folder, ["cam0"], microphones=["array"], sides=[["array:4"]], name="x")
    assert error.value.message == "take, x: `array:4`: the microphone has 4 channels, numbered from 0"


def test_a_camera_that_failed_is_a_black_cell_and_all_of_them_are_a_failure(trigger, tmp_path):
    write_camera(tmp_path, "good", stamps(40, 0.5))
    for name in ("bad.mp4", "bad.frames.parquet", "dead.wav", "dead.clock.json"):
        write_empty(tmp_path / name, name)
    video, _, row = render(tmp_path, ["good", "bad"], microphones=["dead"], sides=[["dead"]])
    left, right = cells(decoded(video, 640, 240), 2)
    assert numbers(left) == list(range(20))
    assert (right < 20).all()
    assert not samples_of(video, 1).any()
    assert row.message == "bad has no frame at 20 of 20 instants; the sound is silent: the import of dead failed"
    with pytest.raises(InputError) as error:
        render(tmp_path, ["bad"], name="none")
    assert error.value.reason == ledger.UPSTREAM


def test_a_microphone_that_failed_is_told_where_it_is_missed(trigger, tmp_path):
    folder, _ = trigger
    for name in ("dead.wav", "dead.clock.json"):
        write_empty(folder / name, name)
    heard = {"microphones": ["array", "dead"], "name": "one_dead"}
    video, _, row = render(folder, ["cam2"], sides=[["dead"], ["array:0", "dead"]], **heard)
    left, right = samples_of(video, 2).T
    assert (left.any(), right.any()) == (False, True)
    assert row.message == (
        "left is silent: the import of dead failed; right goes without a part of its mix: the import of dead failed"
    )


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (4, (2, 2)), (8, (4, 2)), (10, (4, 3)), (24, (6, 4))]
)
def test_any_number_of_cameras_has_a_grid_as_wide_as_high_or_wider(count, shape):
    rows = rows_of([f"cam{index}" for index in range(count)])
    assert (len(rows[0]), len(rows)) == shape
    layout = lay_out(rows, (1920, 1200))
    assert len(layout.cells) == count
    assert max(layout.width, layout.height) <= 8192
    assert layout.width % 2 == layout.height % 2 == layout.cells[0].width % 2 == 0


def test_a_layout_of_ones_own_stands_as_it_is_written(trigger):
    folder, _ = trigger
    rows = [["cam1", ""], ["", "cam0"]]
    video, instants, _ = render(folder, ["cam1", "cam0"], name="own", rows=rows, explicit=True, cell=[160, 120])
    found = cells(decoded(video, 320, 240), 2, 2)
    assert numbers(found[0]) == [k if k >= 0 else None for k in instants.of("cam1").tolist()]
    assert (found[1] < 20).all()
    assert (found[2] < 20).all()
    assert numbers(found[3]) == [k if k >= 0 else None for k in instants.of("cam0").tolist()]


def test_the_same_input_gives_the_same_bytes(trigger):
    folder, _ = trigger
    made = [
        render(folder, ["cam0", "cam1"], microphones=["array"], sides=[["array"]], name=name, sound_codec="aac")[0]
        for name in ("once", "twice")
    ]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in made}
    assert len(digests) == 1


def test_hevc_plays_and_carries_the_tag_that_players_know(trigger):
    folder, _ = trigger
    video, instants, _ = render(folder, ["cam0"], name="hevc", codec="hevc")
    assert numbers(decoded(video, *SIZE)) == instants.of("cam0").tolist()
    about = subprocess.run([FFMPEG, "-hide_banner", "-i", str(video)], capture_output=True, text=True).stderr
    assert "hvc1" in about


def test_nvenc_has_its_own_arguments_and_falls_back_to_the_cpu(trigger, caplog):
    coding = Coding("hevc", 23, "veryfast", "nvenc")
    assert coding.name == "hevc_nvenc"
    assert coding.options == {"preset": "p2", "tune": "hq", "rc": "vbr", "cq": "23", "b": "0"}
    assert Coding("h264", 20, "veryslow", "nvenc").options["preset"] == "p7"
    if usable(coding) == coding:
        pytest.skip("this machine has an encoder of its own")
    folder, _ = trigger
    with caplog.at_level("WARNING"):
        video, instants, _ = render(folder, ["cam0"], name="nvenc", encoder="nvenc")
    assert "h264_nvenc cannot be used" in caplog.text
    assert "libx264 encodes instead" in caplog.text
    assert numbers(decoded(video, *SIZE)) == instants.of("cam0").tolist()


def test_a_turned_camera_stands_upright_in_a_cell_of_its_own_shape(tmp_path):
    times_s = [k / 25 for k in range(10)]
    made = run_import(tmp_path, write_media(tmp_path / "phone.mp4", Pictures(times_s, rotation=90)), microphones={})
    assert made.outcomes["front"][0] == "written"
    video, _, _ = render(tmp_path, ["front"])
    assert numbers(decoded(video, 120, 160)) == numbers_in(made.video())
    assert numbers_in(made.video()) == numbers_in(tmp_path / "phone.mp4")


@pytest.mark.parametrize("codec", ["aac", "pcm"])
def test_a_single_frame_is_a_video_with_hardly_a_sound(tmp_path, codec):
    write_camera(tmp_path, "cam0", stamps(25, 0.04))
    write_microphone(tmp_path, "array", 1, channels=1)
    video, instants, row = render(tmp_path, ["cam0"], microphones=["array"], sides=[["array"]], sound_codec=codec)
    assert numbers(decoded(video, *SIZE)) == [0]
    assert (len(instants), row.outcome) == (1, "written")


def test_an_hour_without_a_picture_keeps_its_length(tmp_path):
    """Microseconds hold steps of 35 minutes in MP4; a longer one takes coarser units, and no time is lost."""
    write_camera(tmp_path, "morning", stamps(25, 0.4))
    write_camera(tmp_path, "noon", stamps(25, 0.4, start_s=3600))
    video, instants, _ = render(tmp_path, ["morning", "noon"])
    seen = watch(video, 640, 240)
    assert len(seen.pts_ns) == 20
    assert np.abs(seen.pts_ns - (instants.time_ns - START_NS)).max() <= 10_000
    merged = merge_with(tmp_path, video)
    assert (watch(merged, 640, 240).pts_ns == seen.pts_ns).all()


def merge_with(folder, video):
    write_microphone(folder, "array", 1, channels=1)
    merge_video_audio(
        video, folder / "full.instants.parquet", [folder / "array.wav"], [folder / "array.clock.json"],
        folder / "merge.mp4", folder / "merge.ledger.parquet", recording="take", product="merge",
        microphones=["array"], sound={**SOUND, "rate_hz": 8_000, "sides": [["array"]]},
    )  # fmt: skip
    return folder / "merge.mp4"


@pytest.mark.parametrize(
    ("period_ns", "rate"),
    [(0, 25), (25_000_000, 40), (33_366_667, Fraction(30000, 1001)), (10**13, Fraction(1, 1000)), (1, 1000)],
)
def test_an_encoder_is_told_a_rate_that_it_takes(period_ns, rate):
    assert encoder_rate(period_ns) == rate


def test_a_video_and_a_table_that_disagree_are_said(tmp_path):
    table = write_camera(tmp_path, "cam0", stamps(25, 0.4))
    FrameTable.make(table.pts_us + 7, table.time_ns).write(tmp_path / "cam0.frames.parquet")
    with pytest.raises(InputError) as error:
        render(tmp_path, ["cam0"])
    assert error.value.message == (
        "take, full: 10 pictures of cam0 are no frames of its table; import the recording again"
    )


def test_is_flash_and_clock_are_what_the_fixture_says(trigger):
    folder, _ = trigger
    assert Clock.read(folder / "array.clock.json").channels == 4
    assert len(FrameTable.read(folder / "cam0.frames.parquet")) == 118
    assert is_flash(decoded(folder / "cam0.mp4", *SIZE)[16])
