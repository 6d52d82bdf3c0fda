"""What single tools write, in the ways that people save it, gives their labels, or a person is asked."""

import json

import pytest

from scripts.common.errors import InputError
from tests.unit import label_files as made
from tests.unit.imported_labels import START_NS, read


@pytest.mark.parametrize(
    ("name", "delimiter"), [*((name, mark) for name in ("o.csv", "o.txt") for mark in ",;\t"), ("o.tsv", "\t")]
)
@pytest.mark.parametrize(
    "values", [("0", "1"), ("0.0", "1.0"), ("False", "True"), ("FALSE", "TRUE")], ids=lambda pair: pair[0]
)
def test_a_column_a_label_is_one_hot_whatever_stands_between_the_cells(tmp_path, name, delimiter, values):
    lines = [line.split(",") for line in made.one_hot().splitlines()]
    rows = [lines[0]] + [[row[0], *(values[int(cell)] for cell in row[1:])] for row in lines[1:]]
    intervals, written = read(tmp_path, name, "\n".join(delimiter.join(row) for row in rows) + "\n")
    spans = {i.label: (i.start_ns - START_NS, i.stop_ns - START_NS) for i in intervals}
    assert spans == {"walk": (10**9, 2 * 10**9), "run": (2 * 10**9, 35 * 10**8), "jump": (4 * 10**9, 41 * 10**8)}
    assert written[0].message.startswith(f"3 of 3 intervals of {name} (one_hot)")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["b.csv", "b.tsv", "b.txt"])
@pytest.mark.parametrize("content", [made.boris(""), made.old_boris(), made.new_boris(), made.aggregated()])
def test_exports_of_boris_are_read_whatever_stands_between_the_cells(tmp_path, name, content, delimiter):
    intervals, _ = read(tmp_path, name, content.replace(",", delimiter))
    assert [(i.label, i.start_ns - START_NS) for i in intervals] == [
        ("walk", 10**9),
        ("run", 2 * 10**9),
        ("jump", 4 * 10**9),
    ]


def test_times_of_audacity_may_have_a_comma(tmp_path):
    intervals, rows = read(tmp_path, "a.txt", made.audacity().replace(".", ","))
    assert [i.start_ns - START_NS for i in intervals] == [10**9, 2 * 10**9, 4 * 10**9]
    assert "(audacity)" in rows[0].message


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("short", [True, False])
def test_text_grids_are_read_in_whatever_letters_they_are_written(tmp_path, encoding, short):
    content = made.textgrid(short=short).replace("walk", "går").encode(encoding)
    intervals, _ = read(tmp_path, "t.TextGrid", content)
    assert [i.label for i in intervals] == ["går", "run", "jump"]


def test_a_column_a_label_with_an_odd_cell_is_no_sheet_of_procedures(tmp_path):
    odd = "frame,groom,rear,sniff\n0,1,0,1\n1,1,1,3\n"
    with pytest.raises(InputError, match=r"every label is 0 or 1; set labels\.format: one_hot"):
        read(tmp_path, "o.csv", odd)
    with pytest.raises(InputError, match="line 3: column 4 is neither 0 nor 1"):
        read(tmp_path, "o.csv", odd, format="one_hot")


def raven(columns: dict[str, tuple[str, str]]) -> str:
    """Two selections with more columns: name -> cells."""
    own = {"Selection": ("1", "2"), "Begin Time (s)": ("1", "3"), "End Time (s)": ("2", "4")}
    whole = own | columns
    return "\n".join("\t".join(row) for row in [list(whole), *zip(*whole.values(), strict=True)]) + "\n"


MEASURED = {
    "Delta Time (s)": ("1.5", "1,0"),
    "Avg Power Density (dB FS/Hz)": ("-50.3", "-51"),
    "Begin Date": ("a", "b"),
}
SINGERS = ("sparrow", "finch")


@pytest.mark.parametrize(
    ("columns", "settings", "labels"),
    [
        (MEASURED | {"Call": SINGERS}, {}, SINGERS),
        (MEASURED | {"Score": ("0.5", "0.7"), "Call": SINGERS}, {}, SINGERS),
        (MEASURED | {"Call": SINGERS, "Species": ("a", "b")}, {}, ("a", "b")),
        (MEASURED | {"Common Name": SINGERS, "Species Code": ("a", "b"), "Confidence": ("1", "1")}, {}, SINGERS),
        (MEASURED | {"Who": ("a", "b"), "Call": SINGERS}, {"format": "raven", "columns": {"label": "Call"}}, SINGERS),
        (MEASURED, {}, ("selection", "selection")),
    ],
)
def test_a_measurement_of_raven_is_no_label(tmp_path, columns, settings, labels):
    intervals, _ = read(tmp_path, "r.txt", raven(columns), **settings)
    assert [i.label for i in intervals] == list(labels)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (MEASURED | {"Who": ("a", "b"), "Call": SINGERS}, r"of Who, Call; set labels.format: raven and labels.columns"),
        (MEASURED | {"Call type": ("1", "2")}, "of Call type; set"),
        ({"Call (mine)": SINGERS}, r"of Call \(mine\); set"),
    ],
)
def test_where_a_label_may_stand_in_other_columns_of_raven_a_person_is_asked(tmp_path, columns, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, "r.txt", raven(columns))
    with pytest.raises(InputError, match="has no column `Cal` for label"):
        read(tmp_path, "r.txt", raven(columns), format="raven", columns={"label": "Cal"})


def via_with_checkbox(ticked: str) -> str:
    attribute = {"aname": "acts", "type": 2, "options": {"0": "walk", "1": "run, then stop"}}
    return json.dumps(
        {"metadata": {"1_a": {"vid": "1", "z": [1, 2], "av": {"1": ticked}}}, "attribute": {"1": attribute}}
    )


@pytest.mark.parametrize(
    ("ticked", "labels"), [("0,1", ["walk", "run, then stop"]), ("1", ["run, then stop"]), (",0", ["walk"])]
)
def test_each_ticked_option_of_a_checkbox_is_a_label(tmp_path, ticked, labels):
    intervals, _ = read(tmp_path, "v.json", via_with_checkbox(ticked))
    assert sorted(i.label for i in intervals) == sorted(labels)
    assert {(i.start_ns - START_NS, i.stop_ns - START_NS) for i in intervals} == {(10**9, 2 * 10**9)}


def test_a_ticked_option_that_there_is_not_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"v\.json, line 1: `acts` has no option `7`: 0, 1"):
        read(tmp_path, "v.json", via_with_checkbox("0,7"))


def test_a_timeline_that_is_no_option_is_its_own_label(tmp_path):
    intervals, _ = read(tmp_path, "v.json", via_with_checkbox("a, b").replace('"type": 2', '"type": 4'))
    assert [i.label for i in intervals] == ["a, b"]
