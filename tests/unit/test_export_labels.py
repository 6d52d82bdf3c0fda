"""What is exported is read back as the same intervals, by this project and by the tools' own libraries."""

import csv
import json
from dataclasses import replace

import pytest

from scripts.common import label_intervals, ledger
from scripts.common.errors import InputError
from scripts.labels.export_labels import export_labels
from scripts.labels.formats import READERS, Source, guess
from scripts.labels.label_writers import WRITERS
from scripts.labels.pool_procedures import pool_procedures
from tests.unit.frame_dataset import NS, interval

START_NS = 1_700_000_000_000_000_000
NTSC = "30000/1001"
# Label, start, stop in seconds, tier: one overlaps another of its tier, one has no length.
SPANS = [
    ("walk", 0.5, 2.123456, "acts"),
    ('say "a", b', 1.0, 3.0, "acts"),
    ("IV", 2.5, 2.5, "acts"),
    ("left", 0.25, 4.0, ""),
]


def moved(label, start_s, stop_s, tier, line=1):
    """An interval of a recording that begins at START_NS."""
    one = interval(label, start_s, stop_s, line, tier=tier)
    return label_intervals.LabelInterval(
        **{**one.__dict__, "start_ns": one.start_ns + START_NS, "stop_ns": one.stop_ns + START_NS}
    )


def export(folder, spans=SPANS, formats=tuple(WRITERS), subject=""):
    folder.mkdir(parents=True, exist_ok=True)
    table, manifest = folder / "take.labels.parquet", folder / "manifest.json"
    found = [moved(*span, line=k) for k, span in enumerate(spans)]
    label_intervals.write(table, [replace(one, subject=subject or one.subject) for one in found])
    manifest.write_text(json.dumps({"timeline": {"start_ns": START_NS, "stop_ns": START_NS + 5 * NS}}))
    outs = (folder / "out", folder / "ledger.parquet")
    export_labels(table, manifest, *outs, recording="take", formats=list(formats), fps=NTSC)
    return outs[0]


def read_back(path):
    """(label, start, stop) in seconds, as the importer reads the file."""
    return sorted((m.label, float(m.start), float(m.stop)) for m in READERS[guess(path)](Source(path, "take", {})))


def test_text_grids_and_audacity_give_the_same_intervals_to_the_nanosecond(tmp_path):
    folder = export(tmp_path)
    wanted = sorted(span[:3] for span in SPANS)
    for name in ("take.TextGrid", "take.audacity.txt"):
        found = read_back(folder / name)
        assert [label for label, *_ in found] == [label for label, *_ in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert one[1:] == pytest.approx(other[1:], abs=1e-9)


def test_elan_gives_the_same_intervals_to_the_millisecond(tmp_path):
    from pympi import Eaf

    folder = export(tmp_path)
    found = read_back(folder / "take.eaf")
    assert [label for label, *_ in found] == sorted(span[0] for span in SPANS)
    by_label = {label: (start, stop) for label, start, stop in found}
    assert by_label["walk"] == (0.5, 2.123)
    # What has no length lasts a millisecond: ELAN knows no points.
    assert by_label["IV"] == (2.5, 2.501)
    eaf = Eaf(str(folder / "take.eaf"))
    assert sorted(eaf.get_tier_names()) == ["acts", "acts 2", "labels"]
    assert "1970" in (folder / "take.eaf").read_text()


def test_frames_are_those_of_the_old_system(tmp_path):
    with (export(tmp_path) / "take.frames.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["label", "start", "stop"]
    found = {label: (float(start), float(stop)) for label, start, stop in rows[1:]}
    for label, start, stop, _ in SPANS:
        assert found[label] == pytest.approx((start * 30000 / 1001, stop * 30000 / 1001), abs=1e-9)
    folder = tmp_path / "out" / "procedures"
    assert sorted(path.name for path in folder.iterdir()) == ["IV.csv", "left.csv", "say _a_, b.csv", "walk.csv"]
    start, stop = (folder / "walk.csv").read_text().strip().split(",")
    assert (float(start), float(stop)) == found["walk"]


def test_the_same_labels_give_the_same_bytes(tmp_path):
    ones, twos = (
        {path.name: path.read_bytes() for path in export(tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    )
    assert ones == twos


def test_each_format_is_a_row_of_the_ledger(tmp_path):
    export(tmp_path)
    rows = ledger.rows(ledger.read([tmp_path / "ledger.parquet"]))
    assert [(row.item, row.outcome, row.value) for row in rows] == [(name, "written", 4.0) for name in WRITERS]


def test_what_begins_before_the_recording_begins_with_it_where_a_format_has_no_such_times(tmp_path):
    spans = [("prep", -3, -2, ""), ("prep", -2, 1, ""), ("clap", -1, -1, ""), ("start", 0, 0, ""), ("walk", 2, 3, "")]
    folder = export(tmp_path, spans)
    later = [("prep", 0, 1), ("start", 0, 0), ("walk", 2, 3)]
    assert read_back(folder / "take.audacity.txt") == sorted(span[:3] for span in spans)
    assert read_back(folder / "take.TextGrid") == later
    assert read_back(folder / "take.eaf") == [("prep", 0, 1), ("start", 0, 0.001), ("walk", 2, 3)]
    rows = ledger.rows(ledger.read([tmp_path / "ledger.parquet"]))
    kept = {row.item: (row.value, row.message) for row in rows if row.outcome == "written"}
    said = "1 began before the recording, and with it here"
    whole = (5.0, "")
    assert kept == dict.fromkeys(WRITERS, whole) | dict.fromkeys(("textgrid", "elan"), (3.0, said))
    lost = [(row.outcome, row.reason, row.value) for row in rows if row.item.endswith(", before the recording")]
    assert lost == [("filtered", "before_start", 2.0)] * 2


def test_no_labels_are_one_line(tmp_path):
    with pytest.raises(InputError, match="it has no labels"):
        export(tmp_path / "none", spans=[])


ALIKE = [("IV", 0, 1, ""), ("iv", 1, 2, ""), ("iv (2)", 2, 3, ""), ("a/b", 3, 4, ""), ("a_b", 4, 5, "")]
NAMES = {"IV": "IV", "iv": "iv (2)", "iv (2)": "iv (2) (2)", "a/b": "a_b", "a_b": "a_b (2)"}


def test_labels_that_would_share_a_file_have_one_each_and_the_ledger_says_which(tmp_path):
    folder = export(tmp_path, ALIKE)
    for (label, start, *_), name in zip(ALIKE, NAMES.values(), strict=True):
        found = float((folder / "procedures" / f"{name}.csv").read_text().split(",")[0])
        assert found == pytest.approx(start * 30000 / 1001), label
    (row,) = [row for row in ledger.rows(ledger.read([tmp_path / "ledger.parquet"])) if row.item == "procedures"]
    assert (row.outcome, row.value) == ("written", 5.0)
    assert "`iv` is in iv (2).csv, `iv (2)` is in iv (2) (2).csv" in row.message
    assert "`a_b` is in a_b (2).csv" in row.message


def test_procedures_of_all_recordings_stand_together(tmp_path):
    for name in ("one", "two"):
        export(tmp_path / name, spans=[("IV", 1, 2, ""), (f"of {name}", 2, 3, "")])
    tables, manifests = (
        [tmp_path / name / file for name in ("one", "two")] for file in ("take.labels.parquet", "manifest.json")
    )
    outs = (tmp_path / "pooled", tmp_path / "pooled.parquet")
    pool_procedures(tables, manifests, *outs, rig="booth", fps="10")
    assert (tmp_path / "pooled" / "IV.csv").read_text().splitlines() == [
        "recording,subject,start,stop",
        "take,ann,10.0,20.0",
        "take,ann,10.0,20.0",
    ]
    assert sorted(path.name for path in (tmp_path / "pooled").iterdir()) == ["IV.csv", "of one.csv", "of two.csv"]
    (row,) = ledger.rows(ledger.read([tmp_path / "pooled.parquet"]))
    assert (row.step, row.recording, row.item, row.value, row.message) == ("pool_procedures", "", "booth", 3.0, "")


def test_a_subjects_name_with_a_comma_stays_one_cell(tmp_path):
    export(tmp_path / "one", spans=[("IV", 1, 2, "")], subject='Smith, "J"')
    tables, manifests = [tmp_path / "one" / "take.labels.parquet"], [tmp_path / "one" / "manifest.json"]
    pool_procedures(tables, manifests, tmp_path / "pooled", tmp_path / "l.parquet", rig="booth", fps="10")
    with (tmp_path / "pooled" / "IV.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"recording": "take", "subject": 'Smith, "J"', "start": "10.0", "stop": "20.0"}
        ]


def test_labels_of_two_recordings_that_would_share_a_file_have_one_each(tmp_path, caplog):
    tables, manifests = [], []
    for name, label in (("one", "IV"), ("two", "iv")):
        export(tmp_path / name, spans=[(label, 1, 2, "")])
        tables.append(tmp_path / name / "take.labels.parquet")
        manifests.append(tmp_path / name / "manifest.json")
    pool_procedures(tables, manifests, tmp_path / "pooled", tmp_path / "l.parquet", rig="booth", fps="10")
    assert sorted(path.name for path in (tmp_path / "pooled").iterdir()) == ["IV.csv", "iv (2).csv"]
    (row,) = ledger.rows(ledger.read([tmp_path / "l.parquet"]))
    assert row.message == "`iv` is in iv (2).csv: another label has the name without the number"
    assert row.message in caplog.text
