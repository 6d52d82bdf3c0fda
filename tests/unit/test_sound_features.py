"""Features of a sound are what they are said to be: checked against torch, scipy and tones of known pitch."""

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.synthetic.sounds import make_noise
from scripts.common.sound_features import CEPSTRA, FEATURES, features_at, log_mel, mfcc, pitch
from scripts.models.log_mel import LogMel

RATE_HZ, SAMPLES = 16_000, 40_960


def tone(hz: float, *, harmonics: int = 5, samples: int = SAMPLES, rate_hz: int = RATE_HZ) -> np.ndarray:
    time_s = np.arange(samples) / rate_hz
    return 0.1 * sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, harmonics + 1))


def by_torch(sound: np.ndarray) -> np.ndarray:
    """The same by another road: frames of torch, its Hann window and transform, and the triangles drawn one by one."""
    frames = torch.from_numpy(sound).double().unfold(0, 400, 160) * torch.hann_window(
        400, periodic=True, dtype=torch.float64
    )
    magnitudes = torch.fft.rfft(frames, 512).abs().numpy()
    edges = 700 * (np.exp(np.linspace(*(1127 * np.log1p(np.array([125, 7500]) / 700)), 66) / 1127) - 1)
    mel = lambda hz: 1127 * np.log1p(hz / 700)  # noqa: E731
    bands = np.zeros((257, 64))
    for band in range(64):
        low, centre, high = edges[band : band + 3]
        for number in range(1, 257):
            hz = number * RATE_HZ / 512
            if low < hz <= centre:
                bands[number, band] = (mel(hz) - mel(low)) / (mel(centre) - mel(low))
            elif centre < hz < high:
                bands[number, band] = (mel(high) - mel(hz)) / (mel(high) - mel(centre))
    return np.log(magnitudes @ bands + 1e-6)


def test_log_mel_is_that_of_another_implementation_254_rows_a_window():
    sound = tone(180) + make_noise(SAMPLES, 3)
    found = log_mel(sound, RATE_HZ)
    assert (found.shape, found.dtype) == ((254, 64), np.float32)
    assert np.abs(found - by_torch(sound)).max() < 1e-5


def test_mfcc_are_the_first_coefficients_of_the_log_mel_bands():
    sound = tone(180) + make_noise(SAMPLES, 3)
    found = mfcc(sound, RATE_HZ)
    assert (found.shape, found.dtype) == ((254, CEPSTRA), np.float32)
    full = np.zeros((254, 64))
    full[:, :CEPSTRA] = found
    smooth = scipy.fft.idct(full, axis=1, norm="ortho")
    bands = log_mel(sound, RATE_HZ)
    assert np.corrcoef(smooth.ravel(), bands.ravel())[0, 1] > 0.9
    assert np.abs(smooth.mean(axis=1) - bands.mean(axis=1)).max() < 1e-5


@settings(max_examples=30, deadline=None)
@given(st.floats(65, 480))
def test_the_pitch_of_a_voice_is_found_within_half_a_percent(hz):
    found = pitch(tone(hz, samples=6400), RATE_HZ)
    assert len(found) == 38
    assert np.abs(found[6:-6] / hz - 1).max() < 0.005


@pytest.mark.parametrize("sound", [np.zeros(SAMPLES), np.random.default_rng(0).normal(0, 0.1, SAMPLES)])
def test_silence_and_noise_have_no_pitch(sound):
    assert np.count_nonzero(pitch(sound, RATE_HZ)) <= 5


def test_a_sound_shorter_than_a_row_has_none():
    assert [len(make(np.zeros(399), RATE_HZ)) for make in (log_mel, mfcc, pitch)] == [0, 0, 0]


def test_the_features_of_16_khz_are_those_that_checkpoints_have_kept():
    assert features_at(RATE_HZ) == FEATURES
    assert features_at(48_000) != FEATURES


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_features_of_any_rate_have_a_row_each_10_ms_and_say_the_same_of_a_sound(rate_hz):
    samples = int(rate_hz * 2.56)
    here, there = (tone(180, samples=count, rate_hz=rate) for count, rate in ((samples, rate_hz), (SAMPLES, RATE_HZ)))
    shapes = [make(here, rate_hz).shape for make in (log_mel, mfcc, pitch)]
    assert shapes == [(254, 64), (254, CEPSTRA), (254,)]
    heard, truth = log_mel(here, rate_hz), log_mel(there, RATE_HZ)
    # Where the voice is: elsewhere both hold next to nothing.
    loud = truth > np.log(0.1)
    assert loud.any(axis=1).all()
    assert np.abs(heard - truth)[loud].max() < 0.1
    assert np.abs(pitch(here, rate_hz)[6:-6] / 180 - 1).max() < 0.01
    assert len(log_mel(here[: int(rate_hz * 0.0245)], rate_hz)) == 0


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 48_000])
def test_the_network_hears_the_same_log_mel_as_stands_in_a_window(rate_hz):
    sound = tone(180, samples=int(rate_hz * 2.56), rate_hz=rate_hz) + make_noise(int(rate_hz * 2.56), 3)
    heard = LogMel(rate_hz)(torch.from_numpy(sound.astype(np.float32))[None])
    assert np.abs(heard[0].T.numpy() - log_mel(sound, rate_hz)).max() < 5e-3
