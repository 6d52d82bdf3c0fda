"""Labels are cleaned up as the config says; each interval goes on, or is left out with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import label_intervals, ledger
from scripts.common.errors import InputError
from scripts.common.timeline import Timeline
from scripts.datasets.clean_labels import clean_labels
from scripts.datasets.label_cleaning import background, clean, variants
from tests.unit.frame_dataset import NS, interval, settings


def rule(**changes):
    return {**settings()["labels"], **changes}


def cleaned(*intervals, classes=(), **changes):
    """(label, start, stop) of what goes on, and the reasons of the rest."""
    judged = clean(intervals, rule(**changes), list(classes))
    kept = [(j.kept.label, j.kept.start_ns / NS, j.kept.stop_ns / NS) for j in judged if j.kept]
    return kept, [j.reason for j in judged if j.reason]


def test_without_settings_labels_stay_as_they_are_but_for_white_space():
    kept, reasons = cleaned(interval("  Chest   compressions ", 1, 2), interval("b", 3, 3, 2))
    assert kept == [("Chest compressions", 1, 2)]
    assert reasons == ["zero_length"]


def test_the_map_takes_any_case_and_an_empty_class_leaves_out():
    kept, reasons = cleaned(
        interval("IV Start", 0, 1, 1),
        interval("iv  start", 1, 2, 2),
        interval("Chat", 2, 3, 3),
        interval("Other", 3, 4, 4),
        map={"iv start": "IV", "CHAT": ""},
        case="lower",
    )
    assert [label for label, *_ in kept] == ["IV", "IV", "other"]
    assert reasons == ["ignored"]


def test_events_that_are_no_classes_and_other_tiers_are_left_out():
    kept, reasons = cleaned(
        interval("CLAP", 0, 1, 1),
        interval("a", 1, 2, 2, tier="hands"),
        interval("a", 1, 2, 3, tier="talk"),
        ignore=["clap"],
        tiers=["hands", ""],
    )
    assert kept == [("a", 1, 2)]
    assert reasons == ["ignored", "other_tier"]


def test_a_label_that_is_no_class_names_the_class_that_it_may_be():
    judged = clean([interval("Inubation", 0, 1, 7)], rule(unknown="drop"), ["Intubation", "Suction"])
    assert judged[0].reason == "unknown_label"
    assert (
        judged[0].message == "line 7: `Inubation` is none of the classes; did you mean `Intubation`? Add it to the map"
    )
    with pytest.raises(InputError, match="none of the classes"):
        clean([interval("Inubation", 0, 1, 7)], rule(unknown="error"), ["Intubation"])


def test_intervals_of_one_label_that_nearly_touch_become_one():
    kept, reasons = cleaned(
        interval("a", 0, 1, 1), interval("a", 1.2, 2, 2), interval("b", 1, 1.2, 3), interval("a", 2.5, 3, 4), join_s=0.5
    )
    assert kept == [("a", 0, 2), ("b", 1, 1.2), ("a", 2.5, 3)]
    assert reasons == ["joined"]


def test_margins_are_cut_off_both_ends_and_what_is_short_is_left_out():
    kept, reasons = cleaned(
        interval("a", 0, 2, 1), interval("b", 3, 3.4, 2), interval("c", 5, 5.9, 3), margin_s=0.25, min_s=1
    )
    assert kept == [("a", 0.25, 1.75)]
    assert reasons == ["short", "short"]


def test_the_shortest_length_is_that_between_the_margins():
    labels = [interval("a", 0, 1.5, 1), interval("b", 2, 3.4, 2)]
    kept, _ = cleaned(*labels, margin_s=0.25, min_s=1)
    assert kept == [("a", 0.25, 1.25)]
    judged = clean(labels, rule(margin_s=0.25, min_s=1), [])
    assert judged[1].message == "line 2: `b` lasts 0.9 s between its margins"
    assert clean(labels, rule(min_s=1.5), [])[1].message == "line 2: `b` lasts 1.4 s"


def test_zero_length_can_be_an_error():
    with pytest.raises(InputError, match="line 1: `a` stops where it starts"):
        cleaned(interval("a", 1, 1), zero_length="error")


def test_what_nobody_labelled_is_background_between_the_margins():
    labels = [interval("a", 1, 2), interval("b", 1.5, 4), interval("c", 6, 7)]
    found = background(labels, rule(background="none", margin_s=0.5), Timeline(0, 8 * NS), labels[0])
    assert [(one.label, one.start_ns / NS, one.stop_ns / NS) for one in found] == [("none", 4.5, 5.5)]
    found = background(labels, rule(background="none"), Timeline(0, 8 * NS), labels[0])
    assert [(one.start_ns / NS, one.stop_ns / NS) for one in found] == [(0, 1), (4, 6), (7, 8)]
    assert background(labels, rule(), Timeline(0, 8 * NS), labels[0]) == []


def test_spellings_of_one_label_are_found_and_numbered_labels_are_not():
    labels = ["Chest tube", "chest tube", "Intubation", "Intubaton", "Line 1", "Line 2", "IV", "IO", "Suction"]
    assert variants(labels) == [("Chest tube", "chest tube"), ("Intubation", "Intubaton")]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.integers(0, 5)), max_size=12), st.integers(0, 3)
)
def test_every_interval_is_judged_once_and_joining_covers_the_same_time(spans, gap):
    labels = [interval(label, start, start + length, line) for line, (label, start, length) in enumerate(spans)]
    judged = clean(labels, rule(join_s=gap), [])
    assert [one.source for one in judged] == labels
    assert all((one.kept is None) == bool(one.reason) for one in judged)
    for name in "ab":
        before = {t for label, start, length in spans if label == name for t in range(start, start + length)}
        after = {
            t
            for one in judged
            if one.kept and one.kept.label == name
            for t in range(one.kept.start_ns // NS, one.kept.stop_ns // NS)
        }
        assert before <= after
        assert all(any(t + k in before for k in range(-gap, gap + 1)) for t in after)


def written(folder, *intervals, **changes):
    """(label, start, stop) of the table that is written of a recording of 4 s, and the outcomes of the ledger."""
    label_intervals.write(folder / "in.labels.parquet", intervals)
    (folder / "manifest.json").write_text(json.dumps({"timeline": {"start_ns": 0, "stop_ns": 4 * NS}}))
    outs = (folder / "out.labels.parquet", folder / "out.ledger.parquet")
    clean_labels(
        folder / "in.labels.parquet",
        folder / "manifest.json",
        *outs,
        recording="take",
        settings=rule(background="none", **changes),
        classes=[],
    )
    found = [(one.label, one.start_ns // NS, one.stop_ns // NS) for one in label_intervals.read(outs[0])]
    return found, [(row.outcome, row.reason) for row in ledger.rows(ledger.read([outs[1]]))]


def test_the_table_and_the_ledger_hold_every_interval(tmp_path):
    found, outcomes = written(tmp_path, interval("a", 0, 1), interval("b", 2, 2, 2))
    assert found == [("a", 0, 1), ("none", 1, 2), ("none", 2, 4)]
    assert outcomes == [("written", ""), ("filtered", "zero_length")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"ignore": ["CLAP"]}, "ignored"), ({"map": {"clap": ""}}, "ignored"), ({"tiers": ["acts"]}, "other_tier")],
    ids=["ignored", "mapped to nothing", "of another tier"],
)
def test_a_recording_of_which_no_label_is_wanted_is_background_from_its_start_to_its_stop(
    tmp_path, caplog, changes, reason
):
    found, outcomes = written(tmp_path, interval("CLAP", 0, 1), **changes)
    assert found == [("none", 0, 4)]
    assert outcomes == [("filtered", reason)]
    assert caplog.messages == [f"take: no label is wanted (1 {reason})"]
