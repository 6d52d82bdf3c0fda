"""A video with sound at its place, copied packet by packet: seen and heard by the ffmpeg program."""

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from rushes.synthetic.player import watch
from rushes.synthetic.sounds import find_beeps
from scripts.common import ledger
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.media.merge_video_audio import merge_video_audio
from tests.unit.made_media import NS, Pictures, numbers_in, run_import, write_media
from tests.unit.side_by_side import FFMPEG, START_NS, samples_of, stamps, write_camera, write_microphone
from tests.unit.test_render_mosaic import render

SOUND = {"codec": "pcm", "kbps": 96, "rate_hz": 48_000}
SIZE = (320, 240)


@pytest.fixture(scope="module")
def trigger(tmp_path_factory):
    """Two cameras of one trigger, one with B-frames, and a microphone that drifts and begins first."""
    folder = tmp_path_factory.mktemp("trigger")
    flashes = [START_NS + k * NS // 40 for k in (16, 60, 97)]
    write_camera(folder, "cam0", stamps(40, 3, without=(30, 31)), flashes_ns=flashes)
    write_camera(folder, "cam1", stamps(40, 3, without=(50,)), flashes_ns=flashes, b_frames=2)
    write_microphone(folder, "array", 4, start_ns=START_NS - 300_000_000, ppm=80, channels=4, beeps_ns=flashes)
    return folder, flashes


def merge(folder, video, times, *, sides=(("array:0",),), microphones=("array",), codec="aac", name="merge"):
    merge_video_audio(
        video,
        times,
        [folder / f"{microphone}.wav" for microphone in microphones],
        [folder / f"{microphone}.clock.json" for microphone in microphones],
        folder / f"{name}.mp4",
        folder / f"{name}.ledger.parquet",
        recording="take",
        product="merge",
        microphones=list(microphones),
        sound={**SOUND, "codec": codec, "sides": [list(side) for side in sides]},
    )
    return folder / f"{name}.mp4"


@pytest.mark.parametrize("camera", ["cam0", "cam1"])
@pytest.mark.parametrize("codec", ["aac", "pcm"])
def test_a_merged_camera_keeps_its_packets_and_sounds_with_its_flashes(trigger, camera, codec):
    folder, flashes = trigger
    source = folder / f"{camera}.mp4"
    merged = merge(folder, source, folder / f"{camera}.frames.parquet", codec=codec, name=f"{camera}.{codec}")
    before, after = watch(source, *SIZE), watch(merged, *SIZE)
    assert (before.numbers == after.numbers).all()
    assert (before.pts_ns == after.pts_ns).all()
    seen_ns = after.pts_ns[after.flash_onsets()]
    beeps_ns = find_beeps(samples_of(merged, 1)[:, 0], 48_000) * NS / 48_000
    assert len(beeps_ns) == 3
    assert np.abs(beeps_ns - seen_ns).max() <= 1_000_000
    # The flash is on the trigger's grid, so the clock can be read off the file.
    assert np.abs(seen_ns + START_NS - flashes).max() <= 1_000


def test_the_grid_is_merged_without_encoding_it_again(trigger):
    folder, _ = trigger
    video, _, _ = render(folder, ["cam0", "cam1"], name="grid")
    merged = merge(folder, video, folder / "grid.instants.parquet", name="grid.merge")

    def packets(path: Path) -> str:
        command = [FFMPEG, "-v", "error", "-i", str(path), "-map", "0:v", "-c", "copy", "-f", "framemd5", "-"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert packets(video) == packets(merged)


def test_a_merge_without_picture_or_sound_fails_in_one_line(tmp_path, trigger):
    folder, _ = trigger
    for name in ("gone.frames.parquet", "gone.mp4", "array.wav", "array.clock.json"):
        write_empty(tmp_path / name, name)
    for video, times in [("gone.mp4", tmp_path / "gone.frames.parquet"), ("x", folder / "cam0.frames.parquet")]:
        with pytest.raises(InputError) as error:
            merge(tmp_path, tmp_path / video, times)
        assert error.value.reason == ledger.UPSTREAM


def test_pcm_is_its_24_bits_to_programs_that_do_not_know_it_bare_in_an_mp4(trigger, tmp_path):
    """Truth: a sound at the merge's own rate that begins with the picture is not resampled."""
    folder, _ = trigger
    clock = write_microphone(tmp_path, "array", 3, channels=2, beeps_ns=[START_NS + NS])
    sides = [["array:0"], ["array:1"]]
    merged = merge(tmp_path, folder / "cam0.mp4", folder / "cam0.frames.parquet", sides=sides, codec="pcm")
    with av.open(str(merged)) as container:
        assert container.streams.audio[0].codec_context.name == "alac"
        heard = np.concatenate([block.to_ndarray() for block in container.decode(audio=0)], axis=1)
    written, _ = soundfile.read(tmp_path / "array.wav", dtype="int32", always_2d=True)
    assert clock.samples == heard.shape[1] == 144_000
    assert np.array_equal(heard, written.T)


def test_a_side_whose_microphone_failed_is_silent_and_said_so(trigger):
    folder, _ = trigger
    for name in ("dead.wav", "dead.clock.json"):
        write_empty(folder / name, name)
    told = {"sides": [["dead"], ["array:1"]], "microphones": ["dead", "array"], "name": "one_dead"}
    left, right = samples_of(merge(folder, folder / "cam0.mp4", folder / "cam0.frames.parquet", **told), 2).T
    assert (left.any(), right.any()) == (False, True)
    row = ledger.rows(ledger.read([folder / "one_dead.ledger.parquet"]))[0]
    assert (row.outcome, row.message) == ("written", "left is silent: the import of dead failed")


@pytest.mark.parametrize("codec", ["libx265", "mjpeg"])
def test_any_codec_that_mp4_holds_is_merged_as_it_is(tmp_path, codec):
    form = {"libx265": ({"preset": "ultrafast", "x265-params": "log-level=none:bframes=2"}, "yuv420p")}
    options, pix_fmt = form.get(codec, ({"q:v": "3"}, "yuvj420p"))
    times_s = [k / 25 for k in range(40)]
    pictures = Pictures(times_s, codec=codec, options=options, pix_fmt=pix_fmt)
    run_import(tmp_path, write_media(tmp_path / "take.mp4", pictures), microphones={})
    table = FrameTable.read(tmp_path / "front.frames.parquet")
    write_microphone(tmp_path, "array", 1.6, start_ns=int(table.time_ns[0]), channels=1, beeps_ns=[NS])
    merged = merge(tmp_path, tmp_path / "front.mp4", tmp_path / "front.frames.parquet")
    assert numbers_in(merged) == list(range(40))
    assert abs(find_beeps(samples_of(merged, 1)[:, 0], 48_000)[0] - 48_000) <= 48


def test_a_real_file_whose_picture_begins_late_keeps_its_sound(data, tmp_path):
    """short_hamilton_clip.mp4: the picture starts at 0.852 s, the sound at 0.008 s."""
    source = data / "faces" / "misc" / "short_hamilton_clip.mp4"
    made = run_import(tmp_path, source)
    heard = {"microphones": ["voice"], "sides": [["voice:0"]], "codec": "pcm"}
    merged = merge(tmp_path, made.video(), tmp_path / "front.frames.parquet", **heard)
    began_s = made.frames().start_ns / NS
    assert 0.8 < began_s < 0.9
    # -copyts: from the container's zero, not from the first packet.
    command = [FFMPEG, "-v", "error", "-copyts", "-i", str(source), "-map", "0:a:0"]
    command += ["-af", "aresample=48000:async=1:first_pts=0"]
    whole = subprocess.run([*command, "-ac", "2", "-f", "f32le", "-"], capture_output=True, check=True).stdout
    whole = np.frombuffer(whole, "<f4").reshape(-1, 2)[:, 0]
    part = samples_of(merged, 1)[48_000:144_000, 0]
    # Where the merged sound stands in the original: the place at which both agree best.
    place = round(began_s * 48_000) + 48_000
    scores = [float(np.dot(part, whole[place + shift : place + shift + len(part)])) for shift in range(-480, 481)]
    assert abs(int(np.argmax(scores)) - 480) <= 48
