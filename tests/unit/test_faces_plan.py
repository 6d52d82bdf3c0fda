"""What each back end of landmarks is told, and what of it its products are recorded with."""

from typing import Any

import pytest

from scripts.common.errors import ConfigError
from scripts.planning.config import load_config
from scripts.planning.faces_plan import LANDMARK_WEIGHTS, search_settings
from scripts.planning.plan import load
from tests.unit.examples import House

OTHER = {
    "detect_every": 4,
    "min_score": 0.7,
    "detector": "sfd",
    "interpolate_frames": 2,
    "precision": "bfloat16",
    "peaks": "package",
    "flip": True,
    "batch": 3,
}
OF_FAN = {"detect_every", "min_score", "detector", "interpolate_frames", "precision", "peaks", "flip"}
HEEDED = {
    "fan": OF_FAN,
    "fan3d": OF_FAN,
    "openseeface": OF_FAN - {"precision", "peaks", "flip"},
    "given": {"interpolate_frames"},
}


def settings(backend: str, **faces: Any) -> dict[str, Any]:
    return search_settings(load_config({"faces": faces})["faces"], backend)


@pytest.mark.parametrize("backend", LANDMARK_WEIGHTS)
def test_a_back_end_is_told_what_it_heeds_and_of_the_rest_the_defaults(backend):
    default = settings(backend)
    told = {name for name, value in OTHER.items() if settings(backend, **{name: value}) != default}
    assert told == HEEDED[backend]


@pytest.mark.parametrize(
    ("method", "heeded"),
    [("none", set()), ("savgol", {"window", "order"}), ("one_euro", {"min_cutoff_hz", "beta"})],
)
def test_a_method_of_smoothing_heeds_its_own_settings_alone(method, heeded):
    default = settings("given", smooth={"method": method})
    other = {"window": 9, "order": 3, "min_cutoff_hz": 2, "beta": 2}
    changed = {n for n, v in other.items() if settings("given", smooth={"method": method, n: v}) != default}
    assert changed == heeded
    assert default["smooth"]["method"] == method


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"window": 6}, r"faces\.smooth\.window: 6 is even; write 5 or 7"),
        ({"window": 5, "order": 5}, r"faces\.smooth\.order: 5 is not less than window, 5: nothing would be smoothed"),
    ],
)
def test_a_savgol_that_would_shift_or_change_nothing_is_one_line(tmp_path, monkeypatch, said, message):
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.sheet(["recording", "rig", "source"], [])
    with pytest.raises(ConfigError, match=message):
        load(house.config(faces={"smooth": {"method": "savgol", **said}}))
    for sound in ({"method": "none", **said}, {"method": "savgol", "window": 5, "order": 4}):
        assert load(house.config(faces={"smooth": sound}))
