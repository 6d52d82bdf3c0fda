"""Whatever tool marked the same bouts, the same intervals come out; real files give the counts that are known."""

import contextlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import ConfigError, InputError
from scripts.common.wall_clock import wall_seconds
from scripts.labels.formats import READERS, Source, guess
from scripts.labels.import_labels import import_labels
from scripts.labels.marks import Mark, runs
from scripts.labels.tiers import timed
from scripts.labels.time_base import TimeBase, seconds_of
from scripts.planning.plan import load
from tests.unit import label_files as made
from tests.unit.examples import House
from tests.unit.imported_labels import SETTINGS, START_NS, read

NAMED = {"label": "what", "start": "from", "stop": "to", "subject": "who"}
# A word of the docs' table: file name, content (text, bytes or a function that writes it), settings.
FORMATS = {
    "procedures, csv": ("p.csv", made.procedures_csv(), {"sync": "clap"}),
    "procedures, xlsx": ("p.xlsx", made.procedures_xlsx, {"sync": "CLAP"}),
    "procedures, named columns": ("p.csv", made.named_columns(), {"columns": NAMED}),
    "BORIS tabular, with a preamble": ("b.csv", made.old_boris(), {}),
    "BORIS tabular, flat": ("b.csv", made.boris(""), {}),
    "BORIS tabular, flat, with Behavior type": ("b.csv", made.new_boris(), {}),
    "BORIS aggregated": ("b.csv", made.aggregated(), {}),
    "BORIS project": ("b.boris", made.boris_project(), {}),
    "ELAN": ("e.eaf", made.elan(), {}),
    "TextGrid, long": ("t.TextGrid", made.textgrid(short=False), {}),
    "TextGrid, short": ("t.TextGrid", made.textgrid(short=True), {}),
    "TextGrid, UTF-16": ("t.TextGrid", made.textgrid(short=False).encode("utf-16"), {}),
    "Label Studio, JSON": ("l.json", made.label_studio(), {}),
    "Label Studio, JSON-MIN": ("l.json", made.label_studio_min(), {}),
    "CVAT for images": ("c.xml", made.cvat_images(), {}),
    "CVAT for video": ("c.xml", made.cvat_video(), {}),
    "VIA": ("v.json", made.via(), {}),
    "ActivityNet": ("a.json", made.activitynet(), {}),
    "Audacity": ("a.txt", made.audacity(), {}),
    "Raven": ("r.txt", made.raven(), {}),
    "50Salads, MS-TCN": ("s.txt", made.segments(), {}),
    "one-hot": ("o.csv", made.one_hot(), {}),
}


@pytest.mark.parametrize(("name", "content", "settings"), FORMATS.values(), ids=FORMATS)
def test_every_tool_gives_the_same_intervals(tmp_path, name, content, settings):
    intervals, rows = read(tmp_path, name, content, **settings)
    found = {i.label: (i.start_ns - START_NS, i.stop_ns - START_NS) for i in intervals if i.label != "CLAP"}
    assert (found["walk"], found["run"]) == ((10**9, 2 * 10**9), (2 * 10**9, 35 * 10**8))
    assert found["jump"] in ((4 * 10**9, 4 * 10**9), (4 * 10**9, 41 * 10**8))
    assert len(found) == 3
    assert {i.subject for i in intervals} <= {"s1", "ann"}
    assert [row.outcome for row in rows] == ["written"]


def test_the_table_of_the_docs_has_every_format_and_no_other():
    from tests.unit.examples import REPO

    text = (REPO / "docs" / "labels.md").read_text()
    listed = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ") and "| `" in line]
    listed.remove("format")
    assert sorted(listed) == sorted(FORMATS)


CHUNKS = {
    "c1": {"chunks": [{"file": "c1.MP4", "start_ns": START_NS}, {"file": "c2.MP4", "start_ns": START_NS + 480 * 10**9}]}
}


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        (
            "b.csv",
            "Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status\n"
            "479,D:\\\\raw\\\\c1.MP4,1,1,ann,walk,,,START\n1.5,/raw/C2.mp4,1,1,ann,walk,,,STOP\n",
            {},
        ),
        (
            "s.csv",
            "what,from,to,file\nwalk,479,481.5,c1\n",
            {"columns": {"label": "what", "start": "from", "stop": "to", "chunk": "file"}},
        ),
    ],
    ids=["BORIS", "a sheet"],
)
def test_times_may_count_from_the_beginning_of_the_chunk_that_a_row_names(tmp_path, name, content, settings):
    intervals, rows = read(tmp_path, name, content, streams=CHUNKS, per_chunk=True, **settings)
    assert [(i.label, i.start_ns - START_NS, i.stop_ns - START_NS) for i in intervals] == [
        ("walk", 479 * 10**9, 4815 * 10**8)
    ]
    assert [row.outcome for row in rows] == ["written"]
    with pytest.raises(InputError, match="there is no chunk"):
        read(tmp_path, name, content.replace("c1", "c7"), streams=CHUNKS, per_chunk=True, **settings)
    with pytest.raises(InputError, match="take has no chunks"):
        read(tmp_path, name, content, per_chunk=True, **settings)
    with pytest.raises(InputError, match="audacity does not say which chunk"):
        read(tmp_path, "a.txt", made.audacity(), streams=CHUNKS, per_chunk=True)


BORIS = "labels/ethome/ethome/data/boris"


def marks_of(path: Path) -> list[Mark]:
    return READERS[guess(path)](Source(path, path.stem, {}))


def test_boris_files_of_a_laboratory_have_the_bouts_that_are_known(data):
    folder = data / BORIS
    assert sorted(len(marks_of(path)) for path in folder.glob("*.csv")) == [8, 10, 15, 29, 32]


def test_a_bout_inside_another_one_stays_inside(data):
    path = next((data / "labels/ethome/tests/data/boris/simultaneous_events").glob("*.csv"))
    spans = {(mark.label, float(mark.start), float(mark.stop)) for mark in marks_of(path)}
    assert {("mm", 26.605, 31.705), ("aa", 28.205, 30.630)} <= spans


def test_annotations_of_elan_that_refer_to_others_have_their_times(data):
    marks = marks_of(data / "labels/elan/test/sample_2.8.eaf")
    tiers: dict[str, list[Mark]] = {}
    for mark in marks:
        tiers.setdefault(mark.tier, []).append(mark)
    assert len(marks) == 8778
    assert {name: len(found) for name, found in tiers.items()}["words-pos"] == 1995
    assert (min(m.start for m in marks), max(m.stop for m in marks)) == (Fraction("1.8"), 1199)
    by_word = [(m.start, m.stop) for m in tiers["words-symsub"]]
    assert [(m.start, m.stop) for m in tiers["words-pos"]] == by_word


def test_slots_without_a_time_divide_the_stretch_between_their_neighbours():
    slots = {"a": 1000, "b": None, "c": None, "d": 4000, "e": None}
    assert timed({"a": "b", "b": "c", "c": "d"}, slots) == {"a": 1000, "b": 2000, "c": 3000, "d": 4000}


def test_text_grids_in_both_forms_hold_the_same(data):
    folder = data / "labels/praat/tests/files"
    short, long = (marks_of(folder / name) for name in ("mary.TextGrid", "mary_longfile.TextGrid"))
    plain = [[(m.tier, m.label, m.start, m.stop) for m in marks] for marks in (short, long)]
    assert plain[0] == plain[1]
    tiers = [mark.tier for mark in short]
    assert [tiers.count(name) for name in ("phone", "word", "pitch")] == [14, 4, 4]


def test_labels_of_sounds_are_read(data):
    folder = data / "labels/crowsetta"
    marron = marks_of(folder / "405_marron1_June_14_2016_69640887.audacity.txt")
    assert (len(marron), marron[0].label, marron[0].stop) == (61, "SIL", Fraction("0.7698181682"))
    assert marks_of(folder / "spinetail.txt")[0].label == "SP"


@pytest.mark.parametrize(
    ("name", "content", "settings", "said"),
    [
        ("b.csv", made.HEADER + "\n1,a,1,1,ann,walk,,,STOP\n", {}, "nothing has started"),
        ("b.csv", made.HEADER + "\n1,a,1,1,ann,walk,,,START\n", {}, "nothing stops it"),
        ("b.csv", made.HEADER + "\nx,a,1,1,ann,walk,,,START\n", {}, "line 2"),
        ("a.txt", "1.0\ttwo\twalk\n", {"format": "audacity"}, "line 1"),
        ("l.json", "{", {}, "no JSON"),
        ("e.eaf", "<a", {}, "cannot be read"),
        ("e.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', {}, "entities"),
        ("c.xml", "<annotations>", {}, "no XML"),
        ("c.xml", "<annotations/>", {}, "has no label"),
        ("t.TextGrid", "nothing", {}, "TextGrid"),
        ("t.TextGrid", b"\0\1\2", {}, "TextGrid"),
        ("s.txt", made.segments(), {"fps": ""}, "labels.fps"),
        ("p.csv", made.procedures_csv(), {}, "labels.sync"),
        ("p.csv", made.procedures_csv(), {"sync": "BANG"}, "BANG"),
        ("p.csv", "a,b,c,d\nx,x,9:70,9:80\n", {}, "line 2"),
        ("p.csv", made.named_columns(), {"columns": {"label": "which", "start": "from"}}, "which"),
        ("p.xlsx", "no book", {}, "xlsx"),
        ("x.bin", b"\0\0", {}, "no text"),
        ("empty.csv", "", {}, "empty|no label"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_says_where(tmp_path, name, content, settings, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, name, content, **settings)


@pytest.mark.parametrize(("start", "seconds"), [("1700000000500", 1.7e12), ("1e40", 1e40), ("-1e30", -1e30)])
def test_a_time_that_no_clock_shows_fails_the_recording_and_not_the_run(tmp_path, start, seconds):
    text = f"what,from,to\nwalk,1,2\nrun,{start},{start}\n"
    with pytest.raises(InputError, match=r"line 3: `run` .* \(the limit is 4,611,686,018 s\).*labels.unit") as error:
        read(tmp_path, "p.csv", text, columns={"label": "what", "start": "from", "stop": "to"})
    assert error.value.value == pytest.approx(seconds)
    assert error.value.limit == 4_611_686_018


def test_a_number_of_json_that_no_float_holds_is_one_line_too(tmp_path):
    content = made.label_studio().replace('"end": 20', f'"end": 2{"0" * 400}')
    with pytest.raises(InputError, match="lies beyond all times"):
        read(tmp_path, "l.json", content)


@pytest.mark.parametrize("start", ["1e999999999", "-1E+400"])
def test_a_number_that_would_fill_the_memory_is_one_line(tmp_path, start):
    with pytest.raises(InputError, match=r"line 1: a time .* lies beyond all times"):
        read(tmp_path, "a.txt", f"{start}\t1\twalk\n", format="audacity")


MALFORMED = [
    "[]",
    "{}",
    "[[]]",
    '{"a": 1}',
    "null",
    "[null]",
    '[{"annotations": 1}]',
    '{"database": 5}',
    '{"database": {"v": {}}}',
    '{"metadata": {"1": {"z": [], "vid": 1}}}',
    '{"metadata": {"1": 1}, "file": {}}',
    '{"observations": {"a": {"events": [1]}}}',
    '[{"annotations": [{"result": [{"type": "timelinelabels", "value": {}}]}]}]',
    '[{"video": "a", "labels": [{}]}]',
    "<a/>",
    "<annotations><track label='a'><box/></track></annotations>",
    "<annotations><image><tag/></image></annotations>",
    "<ANNOTATION_DOCUMENT><TIER/></ANNOTATION_DOCUMENT>",
    "\t\t\n\t",
    "a\tb\nc",
    ",,,\n,,,",
    "Time,Behavior\n1",
    "Behavior\nx",
    "Begin Time (s)\n1",
    '"ooTextFile"\nxmin',
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n',
    "frame,walk\nx,y",
    "\0",
    "\ufeff",
]


@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_another_shape_is_read_or_refused_by_every_format(tmp_path, kind):
    for number, content in enumerate(MALFORMED):
        with contextlib.suppress(InputError):
            intervals, rows = read(tmp_path, f"f{number}.x", content, format=kind, sync="CLAP")
            # What a format reads of it is whole: each mark an interval, or a row that says why not.
            assert len(intervals) == rows[0].value
            assert all(row.message for row in rows)


def test_two_refused_marks_of_one_line_have_a_row_each(tmp_path):
    """JSON has no lines: what is refused is told apart by its place among the marks."""
    _, rows = read(tmp_path, "a.txt", "1\t2\twalk\n5\t4\trun\n7\t6\trun\n")
    assert [row.item for row in rows] == ["take", "mark 2", "mark 3"]


def test_an_interval_that_stops_before_it_starts_fails_alone(tmp_path):
    intervals, rows = read(tmp_path, "a.txt", "1\t2\twalk\n5\t4\trun\n")
    assert [interval.label for interval in intervals] == ["walk"]
    assert [(row.outcome, row.reason) for row in rows] == [("written", ""), ("failed", "backwards")]


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.txt"])
def test_a_table_whose_columns_are_named_is_one_of_procedures_whatever_stands_in_it(tmp_path, name):
    intervals, _ = read(tmp_path, name, "what\tfrom\tto\twho\n0\t0\t1\t1\n", columns=NAMED)
    assert [(i.label, i.subject, i.stop_ns - i.start_ns) for i in intervals] == [("0", "1", 10**9)]


def test_a_row_of_a_sheet_with_times_and_no_label_is_said(tmp_path):
    intervals, rows = read(tmp_path, "p.csv", "what,from,to,who\nwalk,1,2,\n,2,3,\n,,,ann\n", columns=NAMED)
    assert [interval.label for interval in intervals] == ["walk"]
    assert [(row.item, row.outcome, row.reason) for row in rows[1:]] == [("mark 2", "filtered", "no_label")]
    assert rows[1].message == "line 3 has no text"


@pytest.mark.parametrize(
    ("unit", "fps", "start", "stop"),
    [("milliseconds", "10", "1500", "2000.5"), ("frames", "30000/1001", "45", "60"), ("auto", "10", "1.5", "2.0005")],
)
def test_numbers_of_a_sheet_are_seconds_milliseconds_or_frames(tmp_path, unit, fps, start, stop):
    columns = {"label": "what", "start": "from", "stop": "to"}
    text = f"what,from,to\nwalk,{start},{stop}\n"
    intervals, _ = read(tmp_path, "s.csv", text, unit=unit, fps=fps, columns=columns)
    wanted = (
        (round(45 * Fraction(1001, 30000) * 10**9), 2002 * 10**6) if unit == "frames" else (15 * 10**8, 20005 * 10**5)
    )
    assert [(i.start_ns - START_NS, i.stop_ns - START_NS) for i in intervals] == [wanted]


def test_a_format_that_has_frames_keeps_them_whatever_unit_is_set(tmp_path):
    intervals, _ = read(tmp_path, "o.csv", made.one_hot(), unit="milliseconds")
    assert [i.start_ns - START_NS for i in intervals] == [10**9, 2 * 10**9, 4 * 10**9]


def test_two_events_fit_a_clock_and_the_residuals_are_said(tmp_path):
    # The file's clock runs 100 ppm fast, and began 10 s early.
    fit = [[10 + t * 1.0001, t] for t in (0, 100, 200)]
    text = "".join(f"{10 + t * 1.0001}\t{10 + (t + 1) * 1.0001}\tbout\n" for t in (50, 150))
    intervals, rows = read(tmp_path, "a.txt", text, fit=fit)
    assert [i.start_ns - START_NS for i in intervals] == pytest.approx([50 * 10**9, 150 * 10**9], abs=1000)
    assert "ppm, residuals up to 0.0" in rows[0].message


def test_a_failed_import_fails_its_labels_upstream(tmp_path):
    (tmp_path / "a.txt").write_text(made.audacity())
    (tmp_path / "manifest.json").write_text('{"failed": true}')
    with pytest.raises(InputError, match="import failed"):
        import_labels(
            *(tmp_path / name for name in ("a.txt", "manifest.json", "o.parquet", "l.parquet")),
            recording="take",
            subject="",
            settings=SETTINGS,
        )


@given(st.integers(0, 86_399), st.integers(0, 999_999), st.sampled_from([":", ".", ","]))
def test_a_time_on_the_wall_is_read_to_the_microsecond(seconds, micros, mark):
    hours, rest = divmod(seconds, 3600)
    text = f"1970-01-02 {hours:02d}:{rest // 60:02d}:{rest % 60:02d}{mark}{micros:06d}"
    assert wall_seconds(text) == 86_400 + seconds + Fraction(micros, 10**6)


def test_frames_of_a_rate_that_the_camera_lacks_are_said_in_the_log_and_the_ledger(tmp_path, caplog):
    camera = {"kind": "video", "file": "a.mp4", "frames": 171, "start_ns": START_NS, "stop_ns": START_NS + 20 * 10**9}
    _, rows = read(tmp_path, "s.txt", made.segments(), {"c1": camera})
    message = "labels.fps is 10, but c1 has 171 frames in 20.000 s: labels in frames slip"
    assert message in rows[0].message
    assert message in caplog.text


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=40))
def test_runs_hold_every_labelled_frame_once(labels):
    shown = [(k, name) for k, name in enumerate(labels) if name]
    found = [(k, name) for name, first, stop in runs(shown) for k in range(first, stop)]
    assert found == shown


@given(st.integers(0, 10**7), st.sampled_from(["25", "30000/1001", "24000/1001"]))
def test_frames_keep_their_times_exactly(frame, fps):
    mark = Mark("a", Fraction(frame), Fraction(frame + 1), 1, "frames")
    (found,), _ = seconds_of([mark], TimeBase(fps=Fraction(fps)))
    assert found.stop - found.start == 1 / Fraction(fps)
    assert found.start * Fraction(fps) == frame


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"sync": "CLAP", "fit": [[0, 0], [1, 1]]}, "name one of them"),
        ({"fit": [[0, 0]]}, "one event"),
        ({"fit": [["9:70", 0], ["09:21:58", 1]]}, r"fit\[0\]: `9:70` is no time"),
        ({"fit": [[0, "0"], [1, 1]]}, "fit.0.1"),
        ({"columns": {"label": "what"}}, "label and start"),
        ({"columns": {"start": "from"}, "format": "raven"}, "label"),
        ({"fps": "0/1"}, "fps"),
        ({"format": "boriss"}, "boris"),
    ],
)
def test_a_mistake_in_a_rigs_labels_is_one_line(tmp_path, monkeypatch, labels, said):
    house = House(tmp_path)
    house.files_of_sources("a.mov")
    house.sheet(["recording", "rig", "source"], [["a", "booth", f"{tmp_path}/a.mov"]])
    house.rigs["booth"]["labels"] = labels
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        load(house.config())


@pytest.mark.parametrize(("export", "pooled"), [(["procedures"], 1), (["textgrid"], 0)])
def test_what_is_pooled_of_a_rig_has_its_ledger_among_those_of_the_run(tmp_path, monkeypatch, export, pooled):
    house = House(tmp_path)
    house.files_of_sources("a.mov", "a.txt")
    house.sheet(["recording", "rig", "source", "labels"], [["a", "booth", f"{tmp_path}/a.mov", f"{tmp_path}/a.txt"]])
    house.rigs["booth"]["labels"] = {"export": export}
    monkeypatch.chdir(tmp_path)
    ledgers = load(house.config()).ledgers()
    assert sum(path.endswith("labels/booth/pooled.ledger.parquet") for path in ledgers) == pooled
