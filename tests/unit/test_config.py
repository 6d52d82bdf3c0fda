"""The config against its schemas."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import ConfigError
from scripts.common.names import is_folder_name, is_recording_name, is_stream_name, nearest
from scripts.planning.config import checked, kinds, load_config, rational, schema, with_defaults


def mistake(config: dict[Any, Any]) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(config)
    message = str(error.value)
    assert "\n" not in message
    return message


def booth(**camera: object) -> dict[str, Any]:
    return {"rigs": {"booth": {"source": "file", "cameras": {"front": camera}}}}


def test_an_empty_config_has_every_default():
    config = load_config({})
    assert config["results"] == "results"
    assert config["media"] == {"fps": "25", "rate_hz": 16_000, "crf": 18, "preset": "veryfast"}
    assert config["rigs"] == {}


def test_defaults_fill_the_sections_of_every_dataset_and_leave_what_is_given():
    entry = {"kind": "windows", "rig": "booth", "limits": {"jump": 0.5}}
    made = load_config({"datasets": {"visemes": entry}})["datasets"]["visemes"]
    others = {"no_speech": 0.1, "clipping": 0.01, "low_sync": 3, "sync_offset": 6}
    assert made["limits"] == {"too_small": 100, "jump": 0.5, "av_length": 2, "av_start": 2, "gap": 0.1, **others}
    assert made["frames"] == 64
    assert entry["limits"] == {"jump": 0.5}


def reversed_keys(value: Any) -> Any:
    """The same mappings with their keys the other way round."""
    if not isinstance(value, dict):
        return value
    return {name: reversed_keys(item) for name, item in reversed(value.items())}


def test_another_order_of_keys_is_the_same_config_where_it_means_nothing():
    acts: dict[str, Any] = {
        "kind": "frames",
        "rig": "booth",
        "labels": {"map": {"Walk": "walk", "run": "go"}, "case": "lower"},
        "split": {"lists": {"train": [1], "val": [2], "test": [3]}, "val": 0.5, "seed": 3},
    }
    booth = {
        "source": "bag",
        "microphones": {"array": {"topic": "/a", "stamp": "block_end", "rate_hz": 8000}},
        "chunks": {"starts_s": {"b": 1, "a": 0}},
    }
    config = {"datasets": {"acts": acts}, "rigs": {"booth": booth}}
    # As text, which keeps the order.
    assert str(load_config(config)) == str(load_config(dict(reversed(reversed_keys(config).items()))))


def test_cameras_keep_their_order():
    cameras = {"b": "/b", "a": "/a"}
    made = load_config({"rigs": {"r": {"source": "bag", "cameras": cameras}}})
    assert list(made["rigs"]["r"]["cameras"]) == ["b", "a"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "nan", "-inf"])
def test_what_is_no_finite_number_is_refused(number):
    assert mistake({"preview": number}).startswith("config.preview: ")
    assert mistake({"faces": {"min_score": number}}).startswith("config.faces.min_score: ")


def test_no_two_configs_share_a_default():
    first, second = load_config({}), load_config({})
    first["media"]["crf"] = 40
    assert second["media"]["crf"] == 18
    assert load_config({})["media"]["crf"] == 18


def test_numbers_of_the_command_line_arrive_as_text_and_are_numbers():
    dataset = {"kind": "windows", "rig": "booth", "hop": "8", "limits": {"jump": "0.5"}}
    config = load_config({"media": {"crf": "20"}, "keep_intermediates": "false", "datasets": {"visemes": dataset}})
    assert config["media"]["crf"] == 20
    assert config["keep_intermediates"] is False
    assert config["datasets"]["visemes"]["hop"] == 8
    assert config["datasets"]["visemes"]["limits"]["jump"] == 0.5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"recordngs": "x"}, "config: unknown key `recordngs`; did you mean `recordings`?"),
        (booth(topc="/x"), "rigs.booth.cameras.front: unknown key `topc`; did you mean `topic`?"),
        (booth(path="x", time="stmp"), "rigs.booth.cameras.front.time: `stmp` is not one of auto, stamp, log"),
        ({"media": {"crf": "low"}}, "config.media.crf: 'low' is not of type 'integer'"),
        ({"media": {"crf": "true"}}, "config.media.crf: True is not of type 'integer'"),
        ({"media": {"crf": True}}, "config.media.crf: True is not of type 'integer'"),
        ({"media": {"crf": 99}}, "config.media.crf: 99 is greater than the maximum of 51"),
        ({"rigs": None}, "config.rigs: it has no value; leave the key out, or give one"),
        ({"rigs": {"booth": None}}, "rigs.booth: it has no value; leave the key out, or give one"),
        ({"rigs": {"booth": {}}}, "rigs.booth: the key `source` is missing"),
        ({"only": 12}, "config.only: 12 is not text; put it in quotes"),
        ({"rigs": {0: {"source": "bag"}}}, "config.rigs: the name `0` is not text; put it in quotes"),
        ({True: 1}, "config: the name `True` is not text; put it in quotes"),
        ({"media": {"fps": "25 fps"}}, "media.fps: `25 fps` is no frame rate; write 25 or 30000/1001"),
        ({"media": {"fps": 0}}, "media.fps: 0 frames a second; it must lie between 0 and 1000"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(config, message):
    assert mistake(config) == message


def test_a_camera_of_a_wrong_type_says_what_is_wanted():
    config = {"rigs": {"booth": {"source": "file", "cameras": {"front": 3}}}}
    assert mistake(config) == "rigs.booth.cameras.front: `3` is neither text, nor a list of texts, nor a mapping"


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        ({"events": "clap"}, "exports.latency", "it.events: `clap` is neither `flash`, nor a list of whole numbers"),
        (
            {"kind": "frames", "rig": "r", "classes": ["one", "one", "two"]},
            "datasets.frames",
            "it.classes: `one` stands there twice",
        ),
        (
            {"kind": "frames", "rig": "r", "priority": ["sit", "run", "sit"]},
            "datasets.frames",
            "it.priority: `sit` stands there twice",
        ),
        ({"kind": "shards", "classes": ["a", "b", "b"]}, "datasets.shards", "it.classes: `b` stands there twice"),
    ],
)
def test_a_value_of_no_wanted_kind_and_a_name_that_stands_twice_are_said(value, name, message):
    with pytest.raises(ConfigError) as caught:
        checked(value, schema(name), "it")
    assert str(caught.value) == message


@given(st.text(min_size=1))
def test_no_unknown_key_is_accepted(key):
    known = schema("config")["properties"]
    if key not in known:
        assert "unknown key" in mistake({key: 1})


@given(st.integers(1, 1000), st.integers(1, 1001))
def test_a_rate_stays_exact(numerator, denominator):
    rate = Fraction(numerator, denominator)
    assert Fraction(rational(f"{numerator}/{denominator}", "fps")) == rate


def test_one_rate_has_one_spelling():
    assert rational(25, "fps") == rational("25.0", "fps") == rational("50/2", "fps") == "25"
    assert rational(29.97, "fps") == "2997/100"


def test_defaults_are_not_put_into_what_is_no_mapping():
    assert with_defaults("text", {"properties": {"a": {"default": 1}}}) == "text"


def test_every_key_of_every_schema_has_a_line_of_explanation():
    def unexplained(rules: dict[str, Any], place: str) -> list[str]:
        found = [] if "description" in rules or "." not in place else [place]
        for name, rule in rules.get("properties", {}).items():
            found += unexplained(rule, f"{place}.{name}")
        return found

    names = ["config", "rigs", "recordings", "exclude", "weights", *(f"datasets.{kind}" for kind in kinds("datasets"))]
    names += [f"{section}.{kind}" for section in ("models", "exports") for kind in kinds(section)]
    assert [place for name in names for place in unexplained(schema(name), name)] == []


def test_every_default_keeps_its_own_rule():
    for name in ("config", "datasets.windows"):
        for key, rule in schema(name)["properties"].items():
            if "default" in rule:
                checked(with_defaults(rule["default"], rule), rule, f"{name}.{key}")


@pytest.mark.parametrize("name", ["a", "booth_012", "Grüße", "a.b", "2024-05-01", "a=b", "x" * 100])
def test_a_name_that_can_name_files_is_accepted(name):
    assert is_recording_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "a b", "a'b", 'a"b', "a#b", "a\nb", "{a}", "-a", "x" * 101]
)
def test_a_name_that_cannot_name_files_is_refused(name):
    assert not is_recording_name(name)


@given(st.text())
def test_a_stream_name_is_a_recording_name_without_dots(name):
    assert is_stream_name(name) == (is_recording_name(name) and "." not in name)


@given(st.text(min_size=1))
def test_a_name_of_a_recording_can_be_its_subject(name):
    if is_recording_name(name):
        assert is_folder_name(name)


def test_the_nearest_name_is_proposed_or_all_are_named():
    assert nearest("boot", ["booth", "aviary"]) == "; did you mean `booth`?"
    assert nearest("zzz", ["booth", "aviary"]) == "; known: aviary, booth"
    assert nearest("zzz", []) == ""
