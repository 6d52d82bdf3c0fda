"""Sound at its place on the clock, mixed from any microphones."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.clock import Clock, Segment
from scripts.media.placed_sound import MissingChannelError, Mix, Part
from tests.unit.made_media import NS

RATE = 48_000
HZ = 440


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    """Four channels of noise, a second long."""
    path = tmp_path_factory.mktemp("array") / "array.wav"
    sound = np.random.default_rng(2).uniform(-0.2, 0.2, (RATE, 4))
    soundfile.write(path, sound, RATE, subtype="PCM_24")
    return path, soundfile.read(path)[0]


def write_tone(path, clock):
    """A tone of true time, by `clock`."""
    time_s = clock.time_ns(np.arange(clock.samples)) / NS
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * HZ * time_s), RATE, subtype="FLOAT")
    return path


def read_all(mix, pieces):
    with mix:
        return np.concatenate([mix.read(count) for count in pieces], axis=1)


@settings(max_examples=25)
@given(st.integers(-NS // 2, NS // 2), st.integers(-300, 300), st.sampled_from([16_000, 44_100, 48_000]))
def test_every_sample_stands_where_its_clock_says(tmp_path_factory, start_ns, ppm, rate_hz):
    clock = Clock(start_ns, RATE * (1 + ppm * 1e-6), RATE, RATE, 1, segments=[Segment(0, start_ns, RATE)])
    path = write_tone(tmp_path_factory.mktemp("tone") / "tone.wav", clock)
    mix = Mix([[Part("tone")]], {"tone": (path, clock)}, start_ns=0, samples=rate_hz, rate_hz=rate_hz)
    sound = read_all(mix, [rate_hz])[0]
    time_s = np.arange(rate_hz) / rate_hz
    # The ends of the filter reach over the ends of the sound.
    margin = 0.01
    inside = (time_s > start_ns / NS + margin) & (time_s < start_ns / NS + 1 - margin)
    assert np.abs(sound - 0.5 * np.sin(2 * np.pi * HZ * time_s))[inside].max() < 0.01
    outside = (time_s < start_ns / NS - 1e-4) | (time_s > start_ns / NS + 1 + 1e-3)
    assert not sound[outside].any()


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=12), st.integers(-20_000, 60_000))
def test_the_pieces_in_which_it_is_read_make_no_difference(array, pieces, start_us):
    path, _ = array
    clock = Clock(0, RATE * 1.00001, RATE, RATE, 4, segments=[Segment(0, 0, 20_000), Segment(20_000, NS, 28_000)])
    told = {"start_ns": start_us * 1000, "samples": sum(pieces), "rate_hz": RATE}
    sides = [[Part("array", 1)], [Part("array")]]
    once = read_all(Mix(sides, {"array": (path, clock)}, **told), [sum(pieces)])
    assert np.array_equal(read_all(Mix(sides, {"array": (path, clock)}, **told), pieces), once)


def test_a_restart_stands_at_its_own_time_and_between_there_is_silence(array):
    path, sound = array
    segments = [Segment(0, 0, 10_000), Segment(10_000, NS, 38_000)]
    clock = Clock(0, float(RATE), RATE, RATE, 4, segments=segments)
    mix = Mix([[Part("array", 2)]], {"array": (path, clock)}, start_ns=0, samples=2 * RATE, rate_hz=RATE)
    played = read_all(mix, [2 * RATE])[0]
    assert np.allclose(played[:10_000], sound[:10_000, 2], atol=1e-6)
    assert not played[10_000:RATE].any()
    assert np.allclose(played[RATE : RATE + 38_000], sound[10_000:, 2], atol=1e-6)
    assert not played[RATE + 38_000 :].any()


def test_a_side_is_the_mean_of_its_parts_and_a_part_may_come_twice(array):
    path, sound = array
    clock = Clock(0, float(RATE), RATE, RATE, 4)
    sides = [[Part("array", 0), Part("array", 3)], [Part("array"), Part("array", 1)], [Part("gone")]]
    mix = Mix(sides, {"array": (path, clock)}, start_ns=0, samples=RATE, rate_hz=RATE)
    played = read_all(mix, [RATE])
    assert np.allclose(played[0], (sound[:, 0] + sound[:, 3]) / 2, atol=1e-6)
    assert np.allclose(played[1], (sound.mean(axis=1) + sound[:, 1]) / 2, atol=1e-6)
    assert not played[2].any()


def test_loud_sound_is_clipped_and_not_wrapped(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.full(1000, 1.7), RATE, subtype="FLOAT")
    clock = Clock(0, float(RATE), RATE, 1000, 1)
    mix = Mix([[Part("loud")]], {"loud": (tmp_path / "loud.wav", clock)}, start_ns=0, samples=1000, rate_hz=RATE)
    assert read_all(mix, [1000]).max() == 1


@pytest.mark.parametrize(("text", "part"), [("array", Part("array")), ("array:12", Part("array", 12))])
def test_a_part_is_a_microphone_or_one_of_its_channels(text, part):
    assert Part.parse(text) == part


def test_a_channel_that_is_not_there_is_an_error(array):
    path, _ = array
    clock = Clock(0, float(RATE), RATE, RATE, 4)
    with pytest.raises(MissingChannelError, match="`array:9`: the microphone has 4 channels, numbered from 0"):
        Mix([[Part("array", 9)]], {"array": (path, clock)}, start_ns=0, samples=10, rate_hz=RATE)
