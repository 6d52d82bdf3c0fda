"""Sheets of procedures as people keep them, and what is wrong with some of them."""

from pathlib import Path

import pytest

from scripts.common.errors import InputError
from scripts.labels.procedures import read_procedures

NAMED = {"label": "label", "start": "start", "stop": "stop"}


def spans(folder: Path, text: str, columns=NAMED):
    """Label, start and stop (seconds) of each row."""
    path = folder / "p.csv"
    path.write_text(text, encoding="utf-8")
    return [(mark.label, float(mark.start), float(mark.stop)) for mark in read_procedures(path, columns)]


@pytest.mark.parametrize(
    "text",
    [
        "nr;label;start;stop\n1;groom;0,5;1,5\n2;rear;2;3\n",
        "nr\tlabel\tstart\tstop\n1\tgroom\t0,5\t1.5\n2\trear\t2\t3\n",
        'nr,label,start,stop\n1,groom,"0,5",1.5\n2,rear,2,3\n',
    ],
    ids=["semicolons", "tabs", "commas"],
)
@pytest.mark.parametrize("columns", [{}, NAMED], ids=["by position", "by name"])
def test_sheets_are_read_whatever_stands_between_their_cells(tmp_path, text, columns):
    assert spans(tmp_path, text, columns) == [("groom", 0.5, 1.5), ("rear", 2, 3)]


@pytest.mark.parametrize("start", ["0", "0,5", "09:21:58:1", "2019-04-04 09:21:58"])
def test_a_sheet_without_names_of_columns_loses_no_row_but_is_refused(tmp_path, start):
    with pytest.raises(InputError, match=r"line 2: .* is a time, where the names of the columns are wanted"):
        spans(tmp_path, f"\n1;groom;{start};\n2;rear;{start};\n", {})


def test_without_a_column_of_stops_every_label_is_a_point(tmp_path):
    assert spans(tmp_path, "label,start\ngroom,0.5\n", {"label": "label", "start": "start"}) == [("groom", 0.5, 0.5)]


def test_a_comma_before_the_fraction_of_a_second_is_as_good_as_a_point(tmp_path):
    text = "label;start;stop\nCLAP;00:00:01,500;00:00:02,25\n"
    assert spans(tmp_path, text) == [("CLAP", 1.5, 2.25)]


def test_times_with_a_date_are_what_they_say_whatever_the_order_of_their_rows(tmp_path):
    text = (
        "label,start,stop\nrear,2024-01-01 22:00:00,2024-01-01 22:00:05\n"
        "CLAP,2024-01-01 09:00:00,2024-01-01 09:00:01\nlate,2024-01-01 23:59:59,00:00:02\n"
    )
    (_, rear, _), (_, clap, _), (_, late, stop) = spans(tmp_path, text)
    assert rear - clap == 13 * 3600
    assert stop - late == 3


def test_times_without_a_date_that_go_back_have_passed_midnight(tmp_path):
    found = spans(tmp_path, "label,start,stop\nCLAP,23:59:00,23:59:01\na,23:59:59,00:00:02\nb,00:00:10,00:00:20\n")
    assert [start for _, start, _ in found] == [86_340, 86_399, 86_410]
    assert [stop for _, _, stop in found] == [86_341, 86_402, 86_420]


def test_a_sheet_with_one_date_throughout_shows_by_a_stop_before_its_start_that_it_is_the_first_days(tmp_path):
    text = "label,start,stop\na,2024-01-01 23:59:59,2024-01-01 00:00:02\nb,2024-01-01 00:00:10,2024-01-01 00:00:20\n"
    (_, first, stop), (_, second, _) = spans(tmp_path, text)
    assert (stop - first, second - first) == (3, 11)


def test_a_mistake_below_a_cell_with_a_line_break_has_the_line_that_an_editor_shows(tmp_path):
    text = 'label,start,stop,notes\nrear,1,2,"a\nb"\n\nrear,x,2,\n'
    with pytest.raises(InputError, match=r"p\.csv, line 5: the start 'x' is no number"):
        spans(tmp_path, text)
