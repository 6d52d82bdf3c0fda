"""The exports under the names of the old system, so that its later tools go on working."""

import json

import numpy as np
import pytest

from scripts.common import ledger, manifest
from scripts.common.clock import Clock, Gap
from scripts.common.empty import write_empty
from scripts.common.errors import ConfigError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.synchronised import synchronise
from scripts.common.timeline import Timeline
from scripts.media.link_aviary_names import base_name, link_aviary_names
from scripts.planning.aviary_rules import NEW, AviaryRules
from scripts.planning.config import kinds
from scripts.planning.plan import load
from tests.unit.examples import House
from tests.unit.made_media import NS

START_NS = 1_636_727_340 * NS
SLICE = "aviary_2021-11-12_1636727340.000-1636727400.000_slice.bag"
BASE = "aviary_2021-11-12_1636727340.000-1636727400.000"


class Wildcards:
    """Of one job."""

    rig, recording = "aviary", "d"


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A slice of a rig with every export, whose files hold their own names."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources(f"bags/{SLICE}")
    house.sheet(["recording", "rig", "source"], [["d", "aviary", f"bags/{SLICE}"]])
    groups = {"top": {"cameras": ["left"]}, "bottom": {"cameras": ["right"]}}
    house.rigs["aviary"] |= {
        "naming": "aviary",
        "exports": {
            "separate": {}, "audio": {"formats": ["wav", "wavpack"]}, "full": {}, "merge": {},
            "mosaic": {"groups": groups}, "frame": {}, "allframes": {}, "spectrogram": {},
        },
    }  # fmt: skip
    return house


def make(folder):
    """What the jobs before would have made, by the plan."""
    plan = load(json.loads((folder / "config.json").read_text()))
    rules = AviaryRules(plan.rooms["exports"])
    files = [folder / path for path in rules.files(Wildcards)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in (".mp4", ".wav", ".raw"):
            file.write_bytes(file.name.encode())
        else:
            file.mkdir(parents=True, exist_ok=True)
            inside = {"wavpack": ["array.ch00-07.wv", "channels.json"], "allframes": ["frame_1.5.jpg"]}
            for name in inside.get(file.name.rpartition(".")[2], [f"frame_1.5_{file.name}.jpg", "frames.parquet"]):
                (file / name).write_bytes(name.encode())
    raw = folder / rules.raws(Wildcards)[0]
    raw.write_bytes(bytes(24 * 3 * 900))
    time_ns = START_NS + np.array([5_000_000, 30_000_123, 55_000_000])
    table = FrameTable.make((time_ns - time_ns[0]) // 1000, time_ns)
    for path in rules.frames(Wildcards):
        table.write(folder / path)
    clock = Clock(START_NS - 7, 48_000.5, 48_000, 1_000, 24, gaps=[Gap(100, 200, "hole")])
    clock.write(folder / rules.clocks(Wildcards)[0])
    synchronise({"left": table}).write(folder / rules.instants(Wildcards)[0])
    streams = {"left": manifest.picture_entry(table)}
    manifest.write(folder / "manifest.json", recording="d", source=[], streams=streams)
    return rules


def link(folder, rules):
    link_aviary_names(
        [folder / path for path in rules.files(Wildcards)],
        [folder / path for path in rules.frames(Wildcards)],
        [folder / path for path in rules.clocks(Wildcards)],
        [folder / path for path in rules.raws(Wildcards)],
        [folder / path for path in rules.instants(Wildcards)],
        folder / "manifest.json",
        folder / "aviary",
        folder / "aviary.ledger.parquet",
        recording="d",
        product="aviary",
        names=rules.names(Wildcards),
        source=rules.source(Wildcards),
        microphones=rules.microphones(Wildcards),
    )
    return folder / "aviary" / f"{BASE}_files"


@pytest.fixture
def linked(house):
    (house.root / "config.json").write_text(json.dumps(house.config()))
    rules = make(house.root)
    return house.root, rules, link(house.root, rules)


def test_every_file_has_the_name_that_the_old_system_gave_it(linked):
    root, _, folder = linked
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        f"{BASE}_view0.mp4", f"{BASE}_view0_ts.txt", f"{BASE}_view1.mp4", f"{BASE}_view1_ts.txt",
        f"{BASE}_audio.wav", f"{BASE}_audio.raw", f"{BASE}_audio.aux", f"{BASE}_audio.ch00-07.wv",
        "video_full.mp4", "video_full.aux", f"{BASE}_all.mp4", f"{BASE}_top.mp4", f"{BASE}_bot.mp4",
        f"{BASE}_top_locspec.mp4", f"{BASE}_bot_locspec.mp4",
        "frames/frame_1.5_left.jpg", "frames/frame_1.5_right.jpg", "frames/frame_1.5.jpg",
    }  # fmt: skip
    original = root / "results" / "media" / "aviary" / "d" / "right.mp4"
    assert original.samefile(folder / f"{BASE}_view1.mp4")


def test_time_stamps_are_frame_index_and_ros_time(linked):
    assert (linked[2] / f"{BASE}_view1_ts.txt").read_text() == (
        "0 1636727340.005000000\n1 1636727340.030000123\n2 1636727340.055000000\n"
    )


def test_the_aux_of_a_sound_reads_as_the_old_tools_read_it(linked):
    text = (linked[2] / f"{BASE}_audio.aux").read_text()
    fields = dict(line.split() for line in text.splitlines())
    assert list(fields) == ["ros_start_time", "ros_end_time", "number_of_frames", "channels", "depth", "rate"]
    assert int(fields["ros_start_time"]) == START_NS - 7
    assert int(fields["ros_end_time"]) == START_NS - 7 + round(1_000 / 48_000.5 * NS)
    assert (fields["number_of_frames"], fields["channels"], fields["depth"]) == ("900", "24", "24")
    assert float(fields["rate"]) == 48_000.5


def test_the_aux_of_the_grid_says_its_span_and_rate(linked):
    fields = dict(line.split() for line in (linked[2] / "video_full.aux").read_text().splitlines())
    assert fields["number_of_frames"] == "3"
    assert float(fields["rate"]) == pytest.approx(40, abs=0.01)


def test_a_frame_that_two_exports_hold_is_linked_once_and_neither_is_written_to(house):
    (house.root / "config.json").write_text(json.dumps(house.config()))
    rules = make(house.root)
    exports = house.root / "results" / "exports" / "aviary" / "d"
    (exports / "allframes" / "frame_1.5_left.jpg").write_bytes(b"of all frames")
    folder = link(house.root, rules)
    assert (folder / "frames" / "frame_1.5_left.jpg").read_bytes() == b"frame_1.5_left.jpg"
    assert (exports / "allframes" / "frame_1.5_left.jpg").read_bytes() == b"of all frames"


def test_every_product_has_its_old_names_or_is_known_to_be_new(house):
    """One that is called otherwise would be no link, without a word."""
    assert set(kinds("exports")) == NEW | set(house.rigs["aviary"]["exports"])


def test_no_file_is_lost_behind_another_of_its_name(house):
    (house.root / "config.json").write_text(json.dumps(house.config()))
    rules = make(house.root)
    names = rules.names(Wildcards)
    rules.names = lambda _: [names[0], *names[:1], *names[2:]]
    with pytest.raises(RunError, match=f"{BASE}_view0.mp4: right.mp4 would have this name"):
        link(house.root, rules)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            ["bottom", "bot"],
            "with `naming: aviary`, mosaic.bottom.mp4 and mosaic.bot.mp4 would both be called aviary_…_bot.mp4",
        ),
        (
            ["top", "Top_locspec"],
            "mosaic.Top_locspec.mp4 and spectrogram.top.mp4 would both be called aviary_…_top_locspec.mp4; give",
        ),
        (["view0"], "groups.view0: with `naming: aviary` its file would be called as a camera's"),
    ],
)
def test_no_two_files_have_one_old_name(house, groups, message):
    wanted = {"mosaic": {"groups": {name: {} for name in groups}}, "merge": {}, "spectrogram": {}}
    house.rigs["aviary"]["exports"] = wanted
    with pytest.raises(ConfigError, match=message):
        load(house.config())


def test_a_mosaic_without_groups_does_not_take_the_name_of_the_merged_grid(house):
    house.rigs["aviary"]["exports"] = {"mosaic": {}, "merge": {}}
    rules = AviaryRules(load(house.config()).rooms["exports"])
    assert rules.names(Wildcards) == ["{base}_mosaic.mp4", "{base}_all.mp4"]


def test_what_failed_is_left_out_and_said(house):
    (house.root / "config.json").write_text(json.dumps(house.config()))
    rules = make(house.root)
    left = house.root / "results" / "media" / "aviary" / "d"
    (left / "left.mp4").write_bytes(b"")
    write_empty(left / "left.frames.parquet", "left.frames.parquet")
    folder = link(house.root, rules)
    assert not (folder / f"{BASE}_view0.mp4").exists()
    assert not (folder / f"{BASE}_view0_ts.txt").exists()
    row = ledger.rows(ledger.read([house.root / "aviary.ledger.parquet"]))[0]
    assert (row.outcome, row.message) == ("written", f"left out, because it failed: {BASE}_view0.mp4")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (SLICE, BASE),
        ("aviary_2021-11-12_1636727340.000-1636727400.000.bag", BASE),
        ("other.bag", "aviary_2021-11-12_1636727340.005-1636727400.250"),
        ("aviary_2021-11-12_../../x_slice.bag", "aviary_2021-11-12_1636727340.005-1636727400.250"),
    ],
)
def test_a_slice_keeps_its_name_and_another_source_gets_one_by_its_clock(source, name):
    assert base_name(source, Timeline(START_NS + 5_000_000, START_NS + 60_250_000_000)) == name
