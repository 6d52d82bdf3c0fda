"""How inference finds speech: silero-vad tells words from a hum, loudness does not."""

import numpy as np
import pytest

from scripts.common.errors import RunError
from scripts.models import spoken_stretches
from scripts.models.spoken_stretches import LOUDNESS, RULE, SILERO, stretches_by
from scripts.planning.config import checked, schema
from tests.unit.test_speech_and_cuts import sound_of


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_the_words_of_a_grid_clip_are_found(data, rate_hz):
    lines = (data / "faces" / "grid" / "swwp2s.align").read_text().splitlines()
    words = [line.split() for line in lines if not line.endswith("sil")]
    start_s, stop_s = int(words[0][0]) / 25_000, int(words[-1][1]) / 25_000
    sound = sound_of(data / "faces" / "grid" / "id2_vcd_swwp2s.mpg", rate_hz) / np.float32(2**15)
    (stretch,) = stretches_by(SILERO)(sound, rate_hz)
    assert np.abs(np.array(stretch) / rate_hz - (start_s, stop_s)).max() <= 0.06


def test_a_hum_is_loud_and_no_speech():
    hum = np.zeros(48_000, np.float32)
    hum[16_000:32_000] = 0.3 * np.sin(np.arange(16_000) * 0.05)
    assert len(stretches_by(LOUDNESS)(hum, 16_000)) == 1
    assert stretches_by(SILERO)(hum, 16_000) == []
    assert stretches_by(SILERO)(np.empty(0, np.float32), 16_000) == []


def test_a_network_that_is_missing_is_said_at_the_start(monkeypatch):
    monkeypatch.setattr("scripts.common.speech.find_spec", lambda name: None)
    with pytest.raises(RunError, match="silero-vad is not installed"):
        spoken_stretches.stretches_by(SILERO)
    assert stretches_by(LOUDNESS)(np.zeros(16_000), 16_000) == []


def test_silero_s_rule_is_that_of_the_faces():
    assert checked({}, schema("config")["properties"]["faces"]["properties"]["speech"], "faces.speech") == RULE
