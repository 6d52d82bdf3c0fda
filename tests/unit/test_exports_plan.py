"""What a rig may ask to be exported, and what a mistake is answered."""

from types import SimpleNamespace

import pytest

from scripts.common.errors import ConfigError
from scripts.planning.exports_rules import ExportRules
from scripts.planning.plan import load
from scripts.planning.retry import failed_outputs
from tests.unit.examples import House

COLUMNS = ["recording", "rig", "source"]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """One bag of two cameras and an array."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("d.bag")
    house.sheet(COLUMNS, [["d", "aviary", "d.bag"]])
    return house


def planned(house, wanted, **changes):
    house.rigs["aviary"]["exports"] = wanted
    return load(house.config(**changes))


def settings(house, wanted, product, **changes):
    return planned(house, wanted, **changes).rooms["exports"].settings("aviary", product)


def test_the_default_is_what_the_import_makes_anyway(house):
    plan = load(house.config())
    assert plan.rigs["aviary"].entry["exports"] == ["separate", "audio"]
    assert plan.rooms["exports"].ledgers() == []


def test_a_product_says_otherwise_than_the_section(house):
    found = settings(house, {"full": {"crf": 30}}, "full", exports={"crf": 25, "codec": "hevc", "fps": 25})
    assert (found["crf"], found["codec"], found["fps"], found["preset"]) == (30, "hevc", "25", "veryfast")


def test_a_list_is_a_mapping_without_settings(house):
    assert settings(house, ["full"], "full") == settings(house, {"full": {}}, "full")
    assert settings(house, {"full": None}, "full") == settings(house, ["full"], "full")


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        (["mosiac"], ": there is no export `mosiac`; did you mean `mosaic`?"),
        ({"full": {"crv": 3}}, ".full: unknown key `crv`; did you mean `crf`?"),
        ({"full": {"codec": "h265"}}, ".full.codec: `h265` is not one of h264, hevc"),
        ({"full": {"layout": [["lft"]]}}, ".full.layout: the rig has no camera `lft`; did you mean `left`?"),
        (
            {"full": {"layout": [["left", "left"]]}},
            ".full.layout: each camera stands in one cell, and at least one in all",
        ),
        ({"full": {"fps": "fast"}}, ".full.fps: `fast` is no frame rate; write 25 or 30000/1001"),
        ({"merge": {"picture": "fulll"}}, ".merge.picture: there is no picture `fulll`; did you mean `full`?"),
        ({"merge": {"left": ["aray"]}}, ".merge: the rig has no microphone `aray`; did you mean `array`?"),
        ({"clips": {}}, ".clips: the key `table` is missing, the csv of the clips"),
        ({"clips": {"table": "no.csv"}}, ".clips.table: 'no.csv' is no file, or its name holds a brace"),
        (
            {"clips": {"table": "d.bag", "zone": "Europe/Wien"}},
            ".clips.zone: there is no time zone `Europe/Wien`; did you mean `Europe/Vienna`?",
        ),
        (
            {"clips": {"table": "d.bag", "zone": "../../etc/passwd"}},
            ".clips.zone: there is no time zone `../../etc/passwd`; write one like Europe/Vienna",
        ),
        ({"audio": {"formats": ["wave"]}}, ".audio.formats.0: `wave` is not one of wav, raw, flac, wavpack"),
        (
            {"merge": {"left": ["array:x"]}},
            ".merge: `array:x` is neither a microphone nor one with a channel, as `array:0`",
        ),
        (
            {"merge": {"right": ["array"]}},
            ".merge: `right` without `left`; a mono sound is `left` alone",
        ),
        (
            {"merge": {"rate_hz": 192000}},
            ".merge.rate_hz: aac has no 192000; set 96000, the nearest, or sound_codec: pcm",
        ),
        (
            {"mosaic": {"rate_hz": 12345}},
            ".mosaic.rate_hz: aac has no 12345; set 12000, the nearest, or sound_codec: pcm",
        ),
        (
            {"mosaic": {"sound": False, "groups": {"top": {"left": ["array:"]}}}},
            ".mosaic.groups.top: `array:` is neither a microphone nor one with a channel, as `array:0`",
        ),
        (
            {"mosaic": {"groups": {"../top": {}}}},
            ".mosaic.groups.../top: the name becomes a file name; use letters, digits and _+=@-",
        ),
        (
            {"mosaic": {"groups": {"t" * 101: {}}}},
            f".mosaic.groups.{'t' * 101}: the name becomes a file name; shorten it from 101 to 100 bytes",
        ),
        ({"frame": {"every_s": 0}}, ".frame.every_s: 0 is out of range; it must be more than 0"),
        (
            {"mosaic": {"groups": {"top": {"cameras": ["rigth"]}}}},
            ".mosaic.groups.top: the rig has no camera `rigth`; did you mean `right`?",
        ),
        (
            {"mosaic": {"groups": {"top": {}, "Top": {}}}},
            ".mosaic.groups.Top: `top` would be the same file on some systems",
        ),
        (
            {"mosaic": {"groups": {"\ud55c": {}, "\u1112\u1161\u11ab": {}}}},
            ".mosaic.groups.\u1112\u1161\u11ab: `\ud55c` would be the same file on some systems",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(house, exports, message):
    with pytest.raises(ConfigError) as error:
        planned(house, exports)
    assert str(error.value) == f"rigs.aviary.exports{message}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("booth_O1", "; did you mean `booth_01`?"),
        ("xyz", "; name one of the recordings sheet, or leave the cell empty for all"),
    ],
)
def test_a_clip_of_a_recording_that_is_misspelt_is_said_before_any_is_cut(house, name, said):
    house.sheet(COLUMNS, [["booth_01", "aviary", "d.bag"]])
    table = house.root / "season.csv"
    table.write_text(f'recording;note;start;end\nbooth_01;"a\nb";1;2\n;;3;4\n{name};;5;6\n')
    with pytest.raises(ConfigError) as error:
        planned(house, {"clips": {"table": "season.csv"}})
    place = "rigs.aviary.exports.clips.table: season.csv, line 5"
    assert str(error.value) == f"{place}: there is no recording `{name}`{said}"
    # A rig that the sheet does not use, or no sheet: none to look at. What is no table fails in its job.
    house.rigs["other"] = {"source": "bag", "cameras": {"c": "/c"}}
    house.sheet(COLUMNS, [["booth_01", "other", "d.bag"]])
    planned(house, {"clips": {"table": "season.csv"}})
    house.write_config()
    load(house.config(folder="somewhere"))
    table.write_bytes(b"\xff\xfe")
    planned(house, {"clips": {"table": "season.csv"}})


def test_a_merge_needs_a_microphone_and_a_grid_a_camera(house):
    house.rigs["aviary"]["microphones"] = {}
    with pytest.raises(ConfigError, match="no microphone"):
        planned(house, ["merge"])
    house.rigs["aviary"].update(microphones={"array": "/audio"}, cameras={})
    with pytest.raises(ConfigError, match="no camera"):
        planned(house, ["mosaic"])


def test_what_failed_is_made_again_where_that_is_asked(house):
    plan = planned(house, {"full": {}, "mosaic": {"groups": {"top": {}}}})
    assert len(plan.rooms["exports"].ledgers()) == 2
    failed = house.root / "results" / "reports" / "failed.tsv"
    failed.parent.mkdir(parents=True)
    failed.write_text("ledger\nresults/exports/aviary/d/mosaic.top.ledger.parquet\n")
    assert failed_outputs(plan) == ["results/exports/aviary/d/mosaic.top.ledger.parquet"]


def test_what_was_written_as_bare_pcm_is_made_again_and_nothing_else(house):
    def versions(codec):
        wanted = {"merge": {"sound_codec": codec}, "mosaic": {"sound_codec": codec}, "full": {}}
        rules = ExportRules(planned(house, wanted).rooms["exports"])
        whole, group = (SimpleNamespace(rig="aviary", recording="d", **more) for more in ({}, {"group": "all"}))
        return [key["version"] for key in (rules.merge_key(whole), rules.grid_key(group), rules.grid_key(whole))]

    assert (versions("aac"), versions("pcm")) == ([1, 2, 2], [2, 3, 2])


def test_a_scan_works_without_a_sheet(house):
    house.rigs["aviary"]["exports"] = ["full"]
    assert load(house.config(folder="somewhere")).rooms["exports"].ledgers() == []
