"""Where speech is, and how windows of it blend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.models.speech_gate import speech_stretches
from scripts.models.speech_inference import blend, presence, window_starts
from scripts.models.spoken_stretches import LOUDNESS, SILERO, stretches_by
from tests.unit.test_speech_and_cuts import sound_of

pytestmark = pytest.mark.torch


@given(st.integers(0, 50), st.integers(1, 300), st.integers(2, 64), st.data())
def test_windows_cover_a_stretch_and_equal_ones_blend_to_themselves(first, length, frames, data):
    hop = data.draw(st.integers(1, frames))
    starts = window_starts(first, first + length, frames, hop)
    covered = np.zeros(first + length + frames, bool)
    for start in starts:
        covered[start : start + frames] = True
    assert covered[first : first + length].all()
    assert starts == sorted(set(starts))
    blended, weight = blend(first + length, starts, np.full((len(starts), frames, 2), 7.0))
    assert np.allclose(blended[first:], 7.0)
    assert (weight[first:] > 0).all()


def test_a_stretch_comes_from_rest_and_goes_back():
    assert presence(12, [(2, 10)]).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0, 0]


def test_the_gate_finds_two_words_and_no_speech_in_silence():
    signal = np.random.default_rng(0).normal(0, 1e-4, 48_000)
    for first, stop in ((8_000, 16_000), (28_000, 40_000)):
        signal[first:stop] += 0.2 * np.sin(np.arange(stop - first) * 0.1)
    found = speech_stretches(signal, 16_000)
    assert len(found) == 2
    for (start, end), (first, stop) in zip(found, ((8_000, 16_000), (28_000, 40_000)), strict=True):
        assert abs(start - first) <= 0.13 * 16_000
        assert abs(end - stop) <= 0.13 * 16_000
    assert speech_stretches(np.zeros(16_000), 16_000) == []
    assert speech_stretches(np.empty(0), 16_000) == []


@pytest.mark.parametrize("offset", [0.2, -0.5])
def test_a_constant_offset_is_no_speech(offset):
    """A microphone's offset, after a second of digital silence: what is said is found as without it."""
    sound = np.zeros(3 * 16_000)
    sound[20_000:32_000] = 0.1 * np.sin(np.arange(12_000) * 0.1)
    moved = sound + np.where(np.arange(len(sound)) < 16_000, 0, offset)
    # But for the step itself, which is one.
    assert speech_stretches(moved, 16_000)[-1] == speech_stretches(sound, 16_000)[-1]
    (word,) = speech_stretches(sound + offset, 16_000)
    assert word == speech_stretches(sound, 16_000)[0]
    assert speech_stretches(np.full(16_007, offset), 16_000) == []


@pytest.mark.parametrize("clip", ["bbaf2n", "id2_vcd_swwp2s", "lbax4n", "pwij3p"])
def test_by_loudness_the_words_of_grid_are_found_where_silero_hears_them(data, clip):
    """To 0.15 s, of which 0.1 s are the margin: the breath and the rumble after bbaf2n's words are none of them."""
    sound = (sound_of(data / "faces" / "grid" / f"{clip}.mpg", 16_000) / 2**15).astype(np.float32)
    (loud,), (heard,) = (stretches_by(name)(sound, 16_000) for name in (LOUDNESS, SILERO))
    assert np.abs(np.subtract(loud, heard)).max() <= 0.15 * 16_000
