"""What a rig may say of its spectrogram and its latency, and what a mistake is answered."""

from types import SimpleNamespace

import pytest

from scripts.common.errors import ConfigError
from scripts.planning.plan import load
from scripts.planning.spectrogram_rules import SpectrogramRules
from tests.unit.examples import House

POSITIONS = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """One bag of two cameras and an array."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("d.bag", "cameras.toml")
    house.sheet(["recording", "rig", "source"], [["d", "aviary", "d.bag"]])
    return house


def planned(house, exports, **rig):
    house.rigs["aviary"] = {**house.rigs["aviary"], "exports": exports, **rig}
    return load(house.config())


def test_a_spectrogram_is_made_of_each_group_of_the_mosaic(house):
    groups = {"top": {"cameras": ["left"]}, "bottom": {"cameras": ["right"]}}
    names = planned(house, {"mosaic": {"groups": groups}, "spectrogram": {}}).rooms["exports"].ledgers()
    assert [name.rsplit("/", 1)[1].removesuffix(".ledger.parquet") for name in names] == [
        "mosaic.top", "mosaic.bottom", "spectrogram.top", "spectrogram.bottom",
    ]  # fmt: skip


def test_a_spectrogram_needs_no_mosaic_and_locates_where_positions_are_given(house):
    wanted = {"spectrogram": {"location": {"positions_m": POSITIONS}}, "latency": {}}
    plan = planned(house, wanted, calibration="cameras.toml")
    names = [name.rsplit("/", 1)[1].removesuffix(".ledger.parquet") for name in plan.rooms["exports"].ledgers()]
    assert names == ["spectrogram.all", "location", "latency"]
    assert plan.rooms["exports"].settings("aviary", "spectrogram")["location"]["microphone"] == "array"
    assert plan.rooms["exports"].settings("aviary", "latency")["camera"] == "left"


def test_a_band_that_the_sound_of_the_mosaic_holds_is_shown(house):
    wanted = {"mosaic": {"rate_hz": 96_000}, "spectrogram": {"band_hz": [25_000, 60_000]}}
    assert planned(house, wanted).rooms["exports"].settings("aviary", "spectrogram")["band_hz"] == [25_000, 60_000]


@pytest.mark.parametrize("sound", [True, False])
def test_the_strip_shows_the_left_side_of_a_group_whether_its_sound_is_wanted_or_not(house, sound):
    groups = {"top": {"left": ["array:3"], "right": ["array:1"]}, "all": {}}
    wanted = {"mosaic": {"groups": groups, "sound": sound}, "spectrogram": {}}
    rules = SpectrogramRules(planned(house, wanted).rooms["exports"])
    heard = {name: rules.listen(SimpleNamespace(rig="aviary", recording="d", group=name)) for name in groups}
    assert heard == {"top": ["array:3"], "all": ["array"]}


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        ({"spectrogram": {"colours": "viridi"}}, ".spectrogram.colours: `viridi` is not one of viridis, magma"),
        ({"spectrogram": {"band_hz": [9, 3]}}, ".spectrogram.band_hz: 9 is not below 3"),
        (
            {"spectrogram": {"listen": ["aray:0"]}},
            ".spectrogram.listen: the rig has no microphone `aray`; did you mean",
        ),
        (
            {"spectrogram": {"band_hz": [24_000, 30_000]}},
            ".spectrogram.band_hz: a sound of 48000 Hz, the mosaic's rate_hz, ends at 24000 Hz, and the band begins "
            "at 24000; raise mosaic.rate_hz, or lower the band",
        ),
        (
            {"mosaic": {"rate_hz": 16_000}, "spectrogram": {"band_hz": [9000, 12_000]}},
            ".spectrogram.band_hz: a sound of 16000 Hz, the mosaic's rate_hz, ends at 8000 Hz, and the band begins",
        ),
        *(
            (
                {"spectrogram": {"listen": [f"array:{channel}"]}},
                f".spectrogram.listen: `array:{channel}` is neither a microphone nor one with a channel, as `array:0`",
            )
            for channel in ("x", "-1", "")
        ),
        ({"spectrogram": {"location": {}}}, ".spectrogram.location: the key `positions_m` is missing"),
        (
            {"spectrogram": {"location": {"positions_m": POSITIONS, "microphone": "x"}}},
            ".spectrogram.location.microphone: the rig has no microphone `x`; known: array",
        ),
        (
            {"spectrogram": {"location": {"positions_m": POSITIONS, "volume_m": [[0, 0, 0], [1, 0, 1]]}}},
            ".spectrogram.location.volume_m: the first corner must be the lower one",
        ),
        (
            {"spectrogram": {"location": {"positions_m": POSITIONS, "volume_m": [[0, 0, 0]]}}},
            ".spectrogram.location.volume_m: 1 corners; give the lower and the upper one",
        ),
        (
            {"spectrogram": {"location": {"positions_m": [*POSITIONS, [0, float("nan"), 0]]}}},
            ".spectrogram.location.positions_m[4][1]: nan is no number to work with",
        ),
        (
            {"spectrogram": {"location": {"positions_m": POSITIONS, "step_m": 0.001}}},
            ".spectrogram.location.step_m: a grid of 8.01e+09 cells, the limit is 100,000; make it coarser",
        ),
        ({"latency": {"camera": "lft"}}, ".latency.camera: the rig has no camera `lft`; did you mean `left`?"),
        ({"latency": {"microphone": "voice"}}, ".latency.microphone: the rig has no microphone `voice`"),
        ({"latency": {"events": "clap"}}, ".latency.events"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(house, exports, message):
    with pytest.raises(ConfigError) as error:
        planned(house, exports)
    assert f"rigs.aviary.exports{message}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_calibration_that_is_not_there_is_named(house):
    with pytest.raises(ConfigError, match=r"rigs.aviary.calibration: there is no file 'gone.toml'"):
        planned(house, {"spectrogram": {"location": {"positions_m": POSITIONS}}}, calibration="gone.toml")


def test_a_rig_without_sound_has_no_spectrogram(house):
    for name in ("spectrogram", "latency"):
        with pytest.raises(ConfigError, match="the rig needs a camera and a microphone"):
            planned(house, [name], microphones={})
