"""Sounds as they are read for inference: what their headers and samples may say, and what is refused."""

import io

import numpy as np
import pytest
import soundfile

from scripts.common.errors import InputError
from scripts.models.sounds import read_sound


def wav_of(signal, rate_hz=16_000, subtype="FLOAT"):
    """The bytes of a WAV."""
    file = io.BytesIO()
    soundfile.write(file, signal, rate_hz, subtype, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("rate_hz", [1, 99, 4_000_001, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_refused(rate_hz):
    with pytest.raises(InputError, match=rf"a.wav says a sample rate of {rate_hz:,} Hz, .* mend its header") as error:
        read_sound(wav_of(np.zeros(50), rate_hz), "a.wav", max_s=100)
    assert (error.value.reason, error.value.value) == ("bad_rate", rate_hz)


@pytest.mark.parametrize("rate_hz", [100, 48_001, 4_000_000])
def test_any_other_rate_is_read(rate_hz):
    signal, read_hz = read_sound(wav_of(np.zeros(50), rate_hz), "a.wav", max_s=100)
    assert (len(signal), read_hz) == (50, rate_hz)


@pytest.mark.parametrize(("scale", "subtype"), [(3e38, "FLOAT"), (3e9, "FLOAT"), (1e300, "DOUBLE")])
def test_values_that_no_sound_has_are_refused(scale, subtype):
    signal = scale * np.sign(np.random.default_rng(0).standard_normal(900))
    with pytest.raises(InputError, match=r"a.wav holds values (of .*, and full scale is 1|that are no)") as error:
        read_sound(wav_of(signal, subtype=subtype), "a.wav", max_s=100)
    assert error.value.reason == "no_sound"


@pytest.mark.parametrize("scale", [2**15, 2**31])
def test_floats_on_the_scale_of_whole_numbers_are_read(scale):
    signal, _ = read_sound(wav_of(scale * np.tile([1.0, -1.0], 50)), "a.wav", max_s=100)
    assert np.abs(signal).max() == scale
