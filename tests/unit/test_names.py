"""Names that are one on some file systems (they differ in case or form, NFC or NFD), and names as a pattern."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from scripts.common.errors import ConfigError, InputError
from scripts.common.label_folders import collision, folders_of
from scripts.common.names import folded, one_of
from scripts.labels.marks import chunk_start
from scripts.labels.own_part import Own, own_parts
from scripts.planning.config import load_config
from scripts.planning.plan_checks import check_folders
from scripts.planning.rigs import make_rig

# One syllable, as most systems write it, and as three letters, as macOS does; both are letters for a name's check.
WHOLE, IN_PARTS = "\ud55c", "\u1112\u1161\u11ab"
TWINS = [("a", "A"), (WHOLE, IN_PARTS), ("stra\u00dfe", "STRASSE")]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_names_are_folded_to_one(one, other):
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_folders_of_two_such_names_are_a_mistake(one, other):
    with pytest.raises(ConfigError, match=f"`{one}` and `{other}` would be the same folder on some systems"):
        check_folders([one, other], "rigs")


@pytest.mark.parametrize(("one", "other"), TWINS)
@pytest.mark.parametrize("kinds", [("cameras", "cameras"), ("cameras", "microphones")])
def test_streams_of_two_such_names_are_a_mistake(kinds, one, other):
    entry: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    entry[kinds[0]][one] = "/x"
    entry[kinds[1]][other] = "/y"
    config = load_config({"rigs": {"r": {"source": "bag", **entry}}})
    with pytest.raises(ConfigError, match=r"would be the same file|names a camera and a microphone"):
        make_rig("r", config["rigs"]["r"], config["media"])


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_labels_of_two_such_names_have_a_file_each(one, other):
    first, second = sorted([one, other])
    assert folders_of([one, other]) == {first: first, second: f"{second} (2)"}
    assert collision([one, other]) == (first, second)


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_a_label_file_may_call_a_recording_and_its_files_either(one, other):
    parts = {other: [], "else": []}
    assert own_parts(Path("l.csv"), Own(one), parts, "observations") == [other]
    media = {"1": [f"C:\\raw\\{other}.mp4"], "2": ["else.mp4"]}
    assert own_parts(Path("l.csv"), Own("take", (f"raw/{one}.mp4",)), media, "observations") == ["1"]
    assert chunk_start(Path("l.csv"), 1, f"raw/{other}", {f"{one}.mp4": Fraction(480)}) == 480
    with pytest.raises(InputError):
        chunk_start(Path("l.csv"), 1, "else", {f"{one}.mp4": Fraction(480)})


@pytest.mark.parametrize("names", [[], ["a"], ["a.b", "a"], ["x+", "x"]])
def test_the_pattern_of_names_matches_them_and_nothing_else(names):
    pattern = re.compile(one_of(names))
    assert [name for name in ["", "a", "a.b", "aXb", "x", "x+", "xx"] if pattern.fullmatch(name)] == sorted(names)
