"""The sound of a media file on one line of time."""

from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.clock import Gap, Segment
from scripts.sources.doubted_blocks import Block, DoubtedBlocks
from scripts.sources.sound_track import SampleLine, to_pcm
from tests.unit.made_media import TONE, Pictures, Sound, run_import, write_media


def test_a_sound_that_starts_later_says_so(tmp_path):
    path = write_media(tmp_path / "take.mkv", Pictures([0, 0.5, 1]), Sound([(0.25, TONE)]))
    made = run_import(tmp_path / "media", path)
    clock = made.clock()
    assert (clock.start_ns, clock.samples, clock.rate_hz, clock.gaps) == (250_000_000, 48_000, 48_000.0, [])
    assert (made.sound()[:, 0] == TONE).all()
    assert made.manifest["timeline"] == {"start_ns": 0, "stop_ns": 1_040_000_000}


def test_a_hole_is_silent_and_listed_and_the_rest_stays_in_place(tmp_path):
    blocks = [(0, TONE[:10_240]), (0.5, TONE[24_000:34_240])]
    made = run_import(tmp_path, write_media(tmp_path / "take.mkv", Sound(blocks)), cameras={})
    clock = made.clock()
    assert clock.gaps == [Gap(10_240, 24_000, "hole")]
    sound = made.sound()[:, 0]
    assert len(sound) == clock.samples == 34_240
    assert (sound[:10_240] == TONE[:10_240]).all()
    assert not sound[10_240:24_000].any()
    assert (sound[24_000:] == TONE[24_000:34_240]).all()


def test_an_overlap_is_trimmed_and_said(tmp_path):
    blocks = [(0, TONE[:10_240]), (0.2, TONE[9_600:20_480])]
    made = run_import(tmp_path, write_media(tmp_path / "take.mkv", Sound(blocks)), cameras={})
    assert (made.sound()[:, 0] == TONE[:20_480]).all()
    assert made.clock().gaps == []
    assert any("640 samples overlapped" in line for line in made.manifest["warnings"])


def test_a_hole_of_hours_begins_a_new_segment(tmp_path):
    line = SampleLine(jitter=96, longest_hole=48_000 * 600)
    assert line.place(0, 1024) == (0, 0)
    assert line.place(48_000 * 7200, 1024) == (0, 0)
    assert line.place(48_000 * 7200 + 1024 + 200, 1024) == (200, 0)
    assert line.runs == [(0, 0), (1024, 48_000 * 7200)]
    assert line.gaps == [Gap(2048, 2248, "hole")]


@given(st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(1, 2_000)), max_size=30))
def test_no_sample_stands_farther_from_its_time_than_the_jitter(steps):
    line = SampleLine(jitter=96, longest_hole=10**9)
    position = 0
    for late, count in steps:
        position = max(position + late, 0)
        before = line.samples
        fill, skip = line.place(position, count)
        if skip < count:
            assert abs(before + fill - (position + skip)) <= 96
        position += count
    assert sum(gap.stop_sample - gap.start_sample for gap in line.gaps) <= line.samples


def bursts(seconds: int) -> np.ndarray:
    """Noise that begins and ends at once, and clicks: what a codec of blocks of two lengths switches for."""
    random = np.random.default_rng(7)
    times = np.arange(48_000 * seconds) / 48_000
    loud = (np.sin(2 * np.pi * 1.7 * times) > 0.3) * 0.3 + 0.01
    clicks = (random.random(len(times)) < 1e-4) * 0.6
    return np.clip(random.normal(0, 1, len(times)) * loud * 0.5 + clicks, -0.95, 0.95)


@pytest.mark.parametrize("ending", ["ogg", "oga"])
def test_a_sound_of_ogg_is_whole_whatever_times_its_demuxer_gives_single_blocks(tmp_path, ending):
    path = tmp_path / f"take.{ending}"
    soundfile.write(path, bursts(6), 48_000, format="OGG", subtype="VORBIS")
    made = run_import(tmp_path / "media", path, cameras={})
    truth, _ = soundfile.read(path)
    heard = made.sound()[:, 0] / 32_768
    assert made.clock().gaps == []
    assert made.rows[0].message == ""
    assert abs(len(heard) - len(truth)) <= 1024
    held = min(len(heard), len(truth))
    assert np.abs(heard[:held] - truth[:held]).max() < 1e-4


@given(
    st.lists(st.integers(64, 2_000), min_size=8, max_size=40),
    st.dictionaries(st.integers(1, 30), st.integers(-3_000, 3_000), max_size=4),
)
def test_single_wrong_stamps_make_no_hole_and_cost_no_sample(counts, wrong):
    """No two of them behind each other, and none at the very end: there nothing tells."""
    wrong = {index: off for index, off in wrong.items() if index < len(counts) - 1 and index - 1 not in wrong}
    assert place(counts, wrong) == (sum(counts), 0, [])


@given(st.lists(st.integers(64, 2_000), min_size=4, max_size=40), st.integers(1, 38), st.integers(200, 9_000))
def test_a_hole_that_later_blocks_keep_to_is_a_hole(counts, index, missing):
    index = min(index, len(counts) - 1)
    offsets = dict.fromkeys(range(index, len(counts)), missing)
    samples, trimmed, gaps = place(counts, offsets)
    first = sum(counts[:index])
    assert (samples, trimmed, gaps) == (sum(counts) + missing, 0, [Gap(first, first + missing, "hole")])


@given(st.lists(st.integers(200, 3_000), min_size=2, max_size=4))
def test_holes_between_which_single_blocks_stand_are_holes(holes):
    counts, offsets, gaps, placed = [500] * 12, {}, [], 0
    for index in range(12):
        number = index - 4
        missing = sum(holes[: max(0, number + 1)])
        offsets[index] = missing
        if 0 <= number < len(holes):
            gaps.append(Gap(placed, placed + holes[number], "hole"))
            placed += holes[number]
        placed += 500
    assert place(counts, offsets) == (12 * 500 + sum(holes), 0, gaps)


def place(counts: list[int], offsets: dict[int, int]) -> tuple[int, int, list[Gap]]:
    """Samples, trimmed samples and gaps of blocks that stand so much beside their places."""
    line, doubted, position = SampleLine(jitter=96, longest_hole=10**9), DoubtedBlocks(96), 0
    blocks = []
    for index, count in enumerate(counts):
        block = Block(position + offsets.get(index, 0), np.zeros((count, 1)))
        for settled in doubted.take(block, line.expected):
            blocks.append(settled)
            line.place(settled.position, len(settled.samples))
        position += count
    for settled in doubted.rest():
        line.place(settled.position, len(settled.samples))
        blocks.append(settled)
    assert [len(block.samples) for block in blocks] == counts
    return line.samples, line.trimmed, line.gaps


def test_a_planar_sound_of_eight_channels_is_read_as_any_other(tmp_path):
    """AAC of 7.1, as films have it; the further the channel, the louder its tone of 60 Hz."""
    one = np.sin(2 * np.pi * 60 * np.arange(48_000) / 48_000)
    samples = (one[:, None] * 0.05 * (1 + np.arange(8))).astype(np.float32)
    with av.open(str(tmp_path / "take.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="7.1")
        for first in range(0, len(samples), 1024):
            part = np.ascontiguousarray(samples[first : first + 1024].reshape(1, -1))
            block = av.AudioFrame.from_ndarray(part, format="flt", layout="7.1")
            block.sample_rate, block.pts, block.time_base = 48_000, first, Fraction(1, 48_000)
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    sound = run_import(tmp_path / "media", tmp_path / "take.mp4", cameras={}).sound() / 32_768
    assert sound.shape[1] == 8
    loudness = np.sqrt((sound[4800:43_200] ** 2).mean(axis=0))
    assert loudness == pytest.approx(0.05 * (1 + np.arange(8)) / np.sqrt(2), rel=0.05)


def test_times_in_milliseconds_are_no_holes(tmp_path):
    sound = Sound([(0, np.tile(TONE, 5))], rate_hz=44_100, codec="aac")
    sound.blocks = [(0, np.tile(TONE, 5).astype(np.float32) / 32_768)]
    with av.open(str(tmp_path / "take.mkv"), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        for first in range(0, 5 * 48_000, 1024):
            samples = sound.blocks[0][1][None, first : first + 1024]
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
            block.sample_rate, block.time_base, block.pts = 44_100, Fraction(1, 44_100), first
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    made = run_import(tmp_path / "media", tmp_path / "take.mkv", cameras={})
    assert made.clock().gaps == []
    assert 0 <= made.clock().samples - 240_000 < 2048


def test_a_sidecar_begins_at_zero_and_a_latency_is_taken_off(tmp_path):
    path = write_media(tmp_path / "take.mkv", Pictures([k / 25 for k in range(50)]))
    sidecars = [tmp_path / "voice.flac", tmp_path / "voice.wav"]
    for sidecar in sidecars:
        soundfile.write(sidecar, TONE, 48_000)
    microphones = {"plain": {"file": 1}, "late": {"file": 2, "latency_ms": 12.5}}
    made = run_import(tmp_path / "media", path, *sidecars, microphones=microphones)
    assert (made.clock("plain").start_ns, made.clock("plain").latency_ms) == (0, 0.0)
    late = made.clock("late")
    assert (late.start_ns, late.latency_ms) == (-12_500_000, 12.5)
    assert late.segments == [Segment(0, -12_500_000, 48_000)]
    assert made.manifest["timeline"]["start_ns"] == -12_500_000
    assert (made.sound("plain")[:, 0] == TONE).all()


@pytest.mark.parametrize(("subtype", "form"), [("PCM_16", "PCM_16"), ("PCM_24", "PCM_24"), ("FLOAT", "PCM_24")])
def test_the_depth_of_the_source_is_kept(tmp_path, subtype, form):
    stereo = np.random.default_rng(4).uniform(-0.9, 0.9, (4_800, 2))
    soundfile.write(tmp_path / "take.wav", stereo, 96_000, subtype=subtype)
    made = run_import(tmp_path / "media", tmp_path / "take.wav", cameras={})
    found = soundfile.info(made.folder / "voice.wav")
    assert (found.subtype, found.samplerate, found.channels) == (form, 96_000, 2)
    heard, _ = soundfile.read(made.folder / "voice.wav")
    assert np.abs(heard - stereo).max() < (4e-5 if form == "PCM_16" else 2e-7)
    assert made.clock().channels == 2


@pytest.mark.parametrize("rate_hz", [7, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_a_failed_row_and_the_pictures_are_there(tmp_path, rate_hz):
    path = write_media(tmp_path / "take.mkv", Pictures([k / 25 for k in range(50)]))
    soundfile.write(tmp_path / "voice.wav", TONE[:700], rate_hz)
    made = run_import(tmp_path / "media", path, tmp_path / "voice.wav", microphones={"voice": {"file": 1}})
    front, voice = made.rows
    assert (front.outcome, voice.outcome, voice.reason) == ("written", "failed", "bad_rate")
    assert f"voice.wav, stream 0, says a sample rate of {rate_hz:,} Hz" in voice.message
    assert made.clock().samples == 0


def test_loud_floats_are_clipped_and_counted():
    payload, clipped = to_pcm(np.array([[1.5], [-1.0], [1.0], [0.25]], np.float32), 16)
    assert np.frombuffer(payload, "<i2").tolist() == [32_767, -32_768, 32_767, 8_192]
    assert clipped == 1
    assert np.frombuffer(to_pcm(np.array([[0], [128], [255]], np.uint8), 16)[0], "<i2").tolist() == [
        -32_768,
        0,
        32_512,
    ]
