"""Sound on the dataset's own clock."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger, manifest, resample
from scripts.common.clock import Clock, Gap, Segment
from scripts.common.errors import InputError
from scripts.common.resample import Line, nominal_ratio
from scripts.common.timeline import Timeline
from scripts.media.conform_audio import conform_audio, conformed_gaps, place_segments
from tests.unit.made_media import NS, run_import


def clock_of(samples, *, rate_hz=16_000.0, start_ns=0, **fields):
    segments = fields.pop("segments", [Segment(0, start_ns, samples)])
    plain = {"nominal_rate_hz": round(rate_hz / 100) * 100, "channels": 1, "segments": segments, **fields}
    return Clock(start_ns=start_ns, rate_hz=rate_hz, samples=samples, **plain)


def conform(folder, samples, clock, *, start_ns=0, stop_ns=NS, subtype="PCM_16", **changes):
    """Conform a sound, float (N,) or (N, channels). Returns the samples, float64 (M,), and their clock."""
    soundfile.write(folder / "voice.wav", samples, clock.nominal_rate_hz, subtype=subtype)
    clock.write(folder / "voice.clock.json")
    entry = {"kind": "video", "start_ns": start_ns, "stop_ns": stop_ns}
    manifest.write(folder / "manifest.json", recording="take", source=[], streams={"front": entry})
    conform_again(folder, **changes)
    made, rate_hz = soundfile.read(folder / "conformed.wav", dtype="float64")
    assert rate_hz == changes.get("rate_hz", 16_000)
    return made, Clock.read(folder / "conformed.clock.json")


def conform_again(folder, **changes):
    """Conform the sound that stands in `folder`."""
    settings = {"recording": "take", "microphone": "voice", "fps": "25", "rate_hz": 16_000, "channels": "mix"}
    conform_audio(
        folder / "voice.wav",
        folder / "voice.clock.json",
        folder / "manifest.json",
        folder / "conformed.wav",
        folder / "conformed.clock.json",
        folder / "conform.ledger.parquet",
        **{**settings, **changes},
    )


def level_db(signal, reference):
    """Power of a signal against that of a reference."""
    return 10 * np.log10(np.mean(np.square(signal)) / np.mean(np.square(reference)) + 1e-20)


@pytest.mark.parametrize(("nominal", "ppm"), [(48_000, 200), (44_100, -200), (16_000, 200), (8_000, 20)])
def test_a_drifting_sine_comes_out_at_its_true_instants(tmp_path, nominal, ppm):
    rate = nominal * (1 + ppm * 1e-6)
    start_ns = 12_345_678
    instants = start_ns / NS + np.arange(int(3 * rate)) / rate
    heard = 0.5 * np.sin(2 * np.pi * 997 * instants)
    clock = clock_of(len(heard), rate_hz=rate, start_ns=start_ns)
    made, _ = conform(tmp_path, heard, clock, stop_ns=3 * NS)
    truth = 0.5 * np.sin(2 * np.pi * 997 * np.arange(len(made)) / 16_000)
    inside = slice(1_000, -1_000)
    assert level_db(made[inside] - truth[inside], truth) < -75


def test_a_click_stands_within_a_tenth_of_a_millisecond_after_a_minute_of_drift(tmp_path):
    rate, start_ns, click_s = 48_000 * (1 + 200e-6), 7_654_321, 58.765432
    place = (click_s - start_ns / NS) * rate
    n = np.arange(int(60 * rate))
    # A click between two samples, as a band-limited recorder hears it.
    heard = 0.8 * np.sinc((n - place) / 8) * (np.abs(n - place) < 400)
    made, _ = conform(tmp_path, heard, clock_of(len(n), rate_hz=rate, start_ns=start_ns), stop_ns=60 * NS)
    top = int(np.argmax(made))
    around = made[top - 1 : top + 2]
    peak = top + (around[0] - around[2]) / (2 * (around[0] - 2 * around[1] + around[2]))
    assert abs(peak / 16_000 - click_s) < 0.000_01


@pytest.mark.parametrize("pitch_hz", [8_500, 9_500, 12_000, 15_500, 20_000, 23_000])
def test_what_the_new_rate_cannot_hold_is_gone(tmp_path, pitch_hz):
    heard = 0.9 * np.sin(2 * np.pi * pitch_hz * np.arange(48_000) / 48_000)
    made, _ = conform(tmp_path, heard, clock_of(48_000, rate_hz=48_000.5), subtype="PCM_24")
    assert level_db(made[500:-500], heard) < -78


@pytest.mark.parametrize("pitch_hz", [50, 1_000, 4_000, 7_400])
def test_speech_passes_unchanged(tmp_path, pitch_hz):
    heard = 0.5 * np.sin(2 * np.pi * pitch_hz * np.arange(48_000) / 48_000)
    made, _ = conform(tmp_path, heard, clock_of(48_000, rate_hz=48_000.0))
    assert abs(level_db(made[1_600:14_400], heard[4_800:43_200])) < 0.01


def test_a_sound_of_the_right_rate_and_start_is_copied(tmp_path):
    noise = np.random.default_rng(0).integers(-32_768, 32_768, 16_000).astype(np.int16)
    made, clock = conform(tmp_path, noise, clock_of(16_000, start_ns=500), start_ns=500, stop_ns=NS + 500)
    assert (np.rint(made * 32_768) == noise).all()
    assert clock == Clock(500, 16_000.0, 16_000, 16_000, 1, segments=[Segment(0, 500, 16_000)])


@pytest.mark.parametrize("length", [1, 7, 131])
def test_pieces_do_not_show(monkeypatch, length):
    noise = np.random.default_rng(1).standard_normal(4_410)
    line = Line(Fraction(-17, 3), Fraction("2.7561"), len(noise), nominal_ratio(44_100, 16_000))

    def all_of(read):
        return np.concatenate(list(resample.resample(read, line, -5, 1_650)))

    whole = all_of(lambda first, stop: noise[first:stop])
    monkeypatch.setattr(resample, "CHUNK_SAMPLES", length)
    assert np.abs(all_of(lambda first, stop: noise[first:stop]) - whole).max() < 1e-9


@pytest.mark.parametrize(("heard_hz", "wanted_hz"), [(96_001, 16_000), (11_127, 16_000), (100, 384_000)])
def test_a_rate_without_a_simple_ratio_takes_no_more_memory_and_keeps_its_instants(heard_hz, wanted_hz):
    """In lowest terms the filter between 96,001 and 16,000 would have 18 million taps."""
    signal = np.sin(2 * np.pi * 0.01 * np.arange(heard_hz // 10 + 50))
    ratio = nominal_ratio(heard_hz, wanted_hz)
    line = Line(Fraction(0), ratio, len(signal), ratio)
    tracemalloc.start()
    made = np.concatenate(list(resample.resample(lambda a, b: signal[a:b], line, 0, wanted_hz // 10)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6
    truth = np.sin(2 * np.pi * 0.01 * np.arange(len(made)) * float(ratio))
    inside = slice(len(made) // 3, 2 * len(made) // 3)
    assert np.abs(made - truth)[inside].max() < 0.01


@pytest.mark.parametrize("heard_hz", [8_000, 11_025, 12_500, 22_050, 37_800, 44_100, 47_952, 50_000, 250_000])
@pytest.mark.parametrize("wanted_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 192_000])
def test_rates_in_use_keep_their_exact_ratio(heard_hz, wanted_hz):
    ratio = nominal_ratio(heard_hz, wanted_hz)
    assert resample.of_small_terms(ratio) == ratio


def test_padding_is_silent_and_listed(tmp_path):
    heard = np.full(8_000, 0.5)
    made, clock = conform(tmp_path, heard, clock_of(8_000, start_ns=250_000_000))
    assert clock.gaps == [Gap(0, 4_000, "before_start"), Gap(12_000, 16_000, "after_stop")]
    assert not made[:4_000].any()
    assert not made[12_000:].any()
    assert made[4_000:12_000].min() == 0.5


def test_what_stands_outside_the_timeline_is_cut_off(tmp_path):
    heard = np.arange(32_000) / 40_000
    made, clock = conform(tmp_path, heard, clock_of(32_000, start_ns=-500_000_000))
    assert clock.gaps == []
    assert np.abs(made - heard[8_000:24_000]).max() < 1e-4


def test_a_hole_of_the_recording_stays_where_it_was(tmp_path):
    heard = np.full(48_000, 0.5)
    heard[12_000:24_000] = 0
    clock = clock_of(48_000, rate_hz=48_000.0, gaps=[Gap(12_000, 24_000, "hole")])
    made, conformed = conform(tmp_path, heard, clock)
    assert conformed.gaps == [Gap(4_000, 8_000, "hole")]
    assert np.abs(made[4_100:7_900]).max() < 1e-3
    assert np.abs(made[100:3_900] - 0.5).max() < 1e-3


def test_segments_begin_where_they_stood(tmp_path):
    heard = np.concatenate([np.full(4_000, 0.25), np.full(4_000, 0.5)])
    segments = [Segment(0, 0, 4_000), Segment(4_000, 600_000_000, 4_000)]
    made, clock = conform(tmp_path, heard, clock_of(8_000, segments=segments))
    assert clock.gaps == [Gap(4_000, 9_600, "hole"), Gap(13_600, 16_000, "after_stop")]
    assert set(made[:4_000]) == {0.25}
    assert not made[4_000:9_600].any()
    assert set(made[9_600:13_600]) == {0.5}


def test_a_later_segment_ends_the_one_before():
    clock = clock_of(32_000, segments=[Segment(0, 0, 16_000), Segment(16_000, 500_000_000, 16_000)])
    spans = place_segments(clock, 0, 32_000, 16_000)
    assert [(span.first, span.stop) for span in spans] == [(0, 8_000), (8_000, 24_000)]


def test_a_sound_wholly_outside_the_timeline_is_all_padding():
    clock = clock_of(16_000, start_ns=5 * NS)
    spans = place_segments(clock, 0, 16_000, 16_000)
    assert conformed_gaps(clock, spans, 0, 16_000, 16_000) == [Gap(0, 16_000, "before_start")]
    later = place_segments(clock, 10 * NS, 16_000, 16_000)
    assert conformed_gaps(clock, later, 10 * NS, 16_000, 16_000) == [Gap(0, 16_000, "after_stop")]


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 40_000)), min_size=1, max_size=5),
    st.integers(-(10**9), 3 * 10**9),
    st.integers(0, 60_000),
    st.floats(15_900, 16_100),
)
def test_every_conformed_sample_is_heard_or_listed_once(runs, start_ns, count, rate_hz):
    segments, sample, instant = [], 0, 0
    for pause_ns, samples in runs:
        instant += pause_ns
        segments.append(Segment(sample, instant, samples))
        sample += samples
        instant += round(samples * NS / rate_hz)
    clock = clock_of(sample, rate_hz=rate_hz, segments=segments)
    spans = place_segments(clock, start_ns, count, 16_000)
    gaps = conformed_gaps(clock, spans, start_ns, count, 16_000)
    told = np.zeros(count, int)
    for part in [*((s.first, s.stop) for s in spans), *((g.start_sample, g.stop_sample) for g in gaps)]:
        told[slice(*part)] += 1
    assert (told == 1).all()


@pytest.mark.parametrize("fps", ["25", "30000/1001", "24"])
@given(stop_ns=st.integers(0, 10**11))
def test_the_sound_is_exactly_as_long_as_the_frames(fps, stop_ns):
    timeline = Timeline(0, stop_ns)
    length_s = timeline.frames(Fraction(fps)) / Fraction(fps)
    assert abs(timeline.samples(Fraction(fps), 16_000) - length_s * 16_000) <= Fraction(1, 2)
    assert timeline.samples(Fraction(25), 16_000) == 640 * timeline.frames(Fraction(25))


def test_channels_are_averaged_by_choice(tmp_path):
    heard = np.stack([np.full(16_000, level) for level in (0.1, 0.2, 0.6)], axis=1)
    clock = clock_of(16_000, channels=3)
    for channels, level in (("mix", 0.3), ([2], 0.6), ([0, 1], 0.15)):
        made, _ = conform(tmp_path, heard, clock, channels=channels)
        assert np.abs(made - level).max() < 1e-4


def test_a_channel_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError) as error:
        conform(tmp_path, np.zeros(16_000), clock_of(16_000), channels=[1])
    assert error.value.reason == "no_channel"


def test_what_is_too_loud_is_clipped_and_said(tmp_path, caplog):
    square = np.where(np.arange(48_000) // 48 % 2, 1.0, -1.0)
    made, _ = conform(tmp_path, square, clock_of(48_000, rate_hz=48_000.0))
    assert made.max() == 32_767 / 32_768
    assert made.min() == -1.0
    assert "were clipped" in caplog.text


def test_a_clock_that_disagrees_with_its_sound_is_an_error(tmp_path):
    with pytest.raises(InputError) as error:
        conform(tmp_path, np.zeros(16_000), clock_of(15_999))
    assert (error.value.reason, error.value.value, error.value.limit) == ("sample_count", 16_000, 15_999)


def test_a_microphone_whose_import_failed_is_blamed_on_that(tmp_path):
    conform(tmp_path, np.zeros(16_000), clock_of(16_000))
    Clock.empty().write(tmp_path / "voice.clock.json")
    (tmp_path / "voice.wav").write_bytes(b"")
    (tmp_path / "manifest.json").write_text('{"failed": true}')
    with pytest.raises(InputError) as error:
        conform_again(tmp_path)
    assert error.value.reason == ledger.UPSTREAM


def test_the_ledger_counts_the_samples_and_the_bytes_are_the_same_again(tmp_path):
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, 44_100)
    clock = clock_of(44_100, rate_hz=44_101.0)
    conform(tmp_path, noise, clock)
    once = [(tmp_path / name).read_bytes() for name in ("conformed.wav", "conformed.clock.json")]
    conform(tmp_path, noise, clock)
    assert [(tmp_path / name).read_bytes() for name in ("conformed.wav", "conformed.clock.json")] == once
    (row,) = ledger.rows(ledger.read([tmp_path / "conform.ledger.parquet"]))
    assert (row.step, row.item, row.outcome, row.value) == ("conform_audio", "voice", "written", 16_000)


def test_traps_of_public_files_come_out_right(data, tmp_path):
    found = {}
    for name in ("pyfeat/face_noface.mov", "misc/short_hamilton_clip.mp4", "grid/bbaf2n.mpg"):
        made = run_import(tmp_path / name, data / "faces" / name)
        conform_again(made.folder)
        samples, _ = soundfile.read(made.folder / "conformed.wav")
        found[name] = (samples, Clock.read(made.folder / "conformed.clock.json").gaps)
    samples, gaps = found["pyfeat/face_noface.mov"]
    assert len(samples) == 160 * 640
    # The sound starts at 2.430023 s.
    assert gaps[0] == Gap(0, 38_881, "before_start")
    assert not samples[:38_881].any()
    assert samples[38_881:39_500].any()
    assert len(found["misc/short_hamilton_clip.mp4"][0]) == 250 * 640
    samples, gaps = found["grid/bbaf2n.mpg"]
    assert len(samples) == 75 * 640
    assert gaps == [Gap(47_648, 48_000, "after_stop")]
