"""The page on a dataset's labels says who is where, what is doubtful, and shows pictures of every class."""

import base64
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import jpeg, label_intervals
from scripts.common.jpeg_quality import jpeg_quality
from scripts.reports.label_facts import SPREAD, Spread, along_time, imbalance, overlaps, table
from scripts.reports.render_labels import render_labels
from tests.unit.frame_dataset import dataset, gathered, interval, part

LABELS = {"r0": ["walk"] * 30 + ["<b>run</b>"] * 5, "r1": ["walk"] * 6, "r2": ["<b>run</b>"] * 3 + ["Walk"] * 2}
# What a plot of quality along time says of its axis, as a comment beside the outlines of the letters.
QUALITY = "<!-- JPEG quality -->"
LISTS = {"lists": {"train": ["r0"], "val": ["r1"], "test": ["r2"]}}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    whole = dataset(root, LABELS, split=LISTS)
    raw = [interval("walk", 0, 2, 4), interval("run", 1.5, 3, 5), interval("walk", 3, 3, 6), interval("IV", 4, 5, 7)]
    label_intervals.write(root / "raw.labels.parquet", raw)
    label_intervals.write(root / "clean.labels.parquet", raw[:2])
    render_labels(
        root / "index.parquet",
        root / "classes.json",
        [files[0] for files in whole.parts.values()],
        [root / "raw.labels.parquet"],
        [root / "clean.labels.parquet"],
        root / "page.html",
        dataset="acts",
    )
    return (root / "page.html").read_text()


def test_the_table_counts_every_class_in_every_split_and_subject(page):
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert ["walk", "30", "6", "0", "36"] in rows
    assert ["&lt;b&gt;run&lt;/b&gt;", "5", "0", "3", "8"] in rows
    assert "46 pictures of 4 intervals" in page


def test_what_a_person_should_look_at_is_said(page):
    for said in (
        "<b>train</b> lacks Walk",
        "<b>val</b> lacks &lt;b&gt;run&lt;/b&gt;, Walk",
        "<b>Walk</b> and <b>walk</b> look like one label",
        "<b>6.0</b> times the pictures of the smallest",
        "labelled a single time: IV, run",
        "1 pairs overlap under different labels, 1 intervals have no length",
        "walk (line 4)</td><td>run (line 5)</td><td>0.500 s",
    ):
        assert said in page
    # Labels are text of strangers.
    assert "<b>run" not in page


def test_pictures_of_every_class_and_split_can_be_decoded(page):
    found = re.findall(r'title="(\w+)" src="data:image/jpeg;base64,([^"]+)"', page)
    assert {name[:2] for name, _ in found} == {"r0", "r1", "r2"}
    for _, coded in found:
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(coded), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[0] == 72
    assert "JPEG quality of the pictures below: 90." in page
    assert page.count("<svg") == 2
    assert "http-equiv" not in page
    assert not re.search(r'(?:src|href)="https?:', page)


def test_a_quality_that_drifts_along_time_is_named_and_drawn(page, tmp_path):
    labels = {"r0": ["walk"] * 300, "r1": ["walk"] * 10}
    falling = {"quality": lambda frame: 95 - frame // 10}
    made = {
        name: part(tmp_path / "pictures", name, own, **(falling if name == "r0" else {}))
        for name, own in labels.items()
    }
    gathered(tmp_path, made, {"r0": "ann", "r1": "bob"}, split={"lists": {"train": ["ann"], "val": ["bob"]}})
    label_intervals.write(tmp_path / "i.labels.parquet", [interval("walk", 0, 30, 1)])
    files = ([made[name][0] for name in made], *([tmp_path / "i.labels.parquet"] for _ in range(2)))
    render_labels(tmp_path / "index.parquet", tmp_path / "classes.json", *files, tmp_path / "page.html", dataset="acts")
    drifting = (tmp_path / "page.html").read_text()
    (said,) = re.findall(r"the JPEG quality of <b>r0, c1</b> drifts, from (\d+) to (\d+)", drifting)
    assert int(said[0]) in (66, 67)
    assert said[1] == "95"
    assert "<b>r1, c1</b> drifts" not in drifting
    assert QUALITY in drifting
    assert QUALITY in page
    assert "drifts" not in page


def test_any_name_of_a_class_or_recording_is_in_the_plots(tmp_path):
    whole = dataset(
        tmp_path, {"_r0": ["$_$"] * 6, "_r1": ["_x"] * 6}, split={"lists": {"train": ["_r0"], "val": ["_r1"]}}
    )
    label_intervals.write(tmp_path / "i.labels.parquet", [interval("$_$", 0, 1), interval("_x", 1, 2)])
    files = ([made[0] for made in whole.parts.values()], *([tmp_path / "i.labels.parquet"] for _ in range(2)))
    render_labels(tmp_path / "index.parquet", tmp_path / "classes.json", *files, tmp_path / "page.html", dataset="acts")
    page = (tmp_path / "page.html").read_text()
    assert all(f"<!-- {name} -->" in page for name in ("$_$", "_x", "_r0, c1", "_r1, c1"))


@given(st.integers(0, 2000))
def test_rows_of_a_spread_are_evenly_taken_from_the_first_to_the_last(count):
    spread = Spread()
    for number in range(count):
        spread.add({"number": number})
    kept = [row["number"] for row in spread.rows]
    assert kept == list(range(0, count, spread.step))
    assert min(count, SPREAD) <= len(kept) <= 2 * SPREAD


@pytest.mark.parametrize("quality", [5, 49, 50, 75, 90, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality):
    rgb = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    assert jpeg_quality(jpeg.encode_pixels(rgb, quality)) == quality
    assert jpeg_quality(b"no picture") is None


def test_a_jpeg_of_another_table_has_the_quality_of_one_as_coarse():
    rgb = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    found = []
    for quality in (90, 60, 30):
        coded = bytearray(jpeg.encode_pixels(rgb, quality))
        first = coded.index(b"\xff\xdb") + 5
        # The same steps in another order are no table of libjpeg's.
        coded[first : first + 64] = coded[first : first + 64][::-1]
        found.append(jpeg_quality(bytes(coded)))
    assert found == [90, 60, 30]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 9), st.sampled_from("xy")), max_size=12
    )
)
def test_overlaps_are_those_that_comparing_all_pairs_finds(spans):
    labels = [interval(name, at, at + n, k, recording=r) for k, (name, at, n, r) in enumerate(spans)]
    wanted = {
        frozenset((i, j)): min(spans[i][1] + spans[i][2], spans[j][1] + spans[j][2]) - max(spans[i][1], spans[j][1])
        for i in range(len(spans))
        for j in range(i)
        if spans[i][0] != spans[j][0] and spans[i][3] == spans[j][3]
    }
    found = {frozenset((one.source_line, other.source_line)): shared for one, other, shared in overlaps(labels)}
    assert found == {pair: shared for pair, shared in wanted.items() if shared > 0}


def test_counts_and_means_are_those_of_ten_numbers():
    counts = {("train", "a", "x"): 8, ("train", "b", "y"): 2, ("val", "c", "x"): 1}
    columns, rows = table(counts, ["x", "y", "z"])
    assert columns == [("train", "a"), ("train", "b"), ("val", "c")]
    assert rows == [[8, 0, 1], [0, 2, 0], [0, 0, 0]]
    assert imbalance(counts) == 4.0
    seconds, amounts = along_time([(0, 10), (1, 20), (9, 30), (10, 50)], bins=2)
    assert amounts.tolist() == [15, 40]
    assert seconds.tolist() == pytest.approx([2.5, 7.5])
