"""The sheets of recordings and exclusions."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import ConfigError
from scripts.planning.config import load_config
from scripts.planning.recordings import read_exclusions, read_recordings, tidy
from scripts.planning.rigs import Rig, make_rig
from scripts.planning.sheet import read_sheet
from tests.unit.examples import AVIARY, BOOTH, make_files, write_sheet

COLUMNS = ["recording", "rig", "source"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path, "raw/a.mov", "raw/b.mov", "raw/c.bag")


def rigs(**others):
    config = load_config({"rigs": {"booth": BOOTH, "aviary": AVIARY, **others}})
    return {name: make_rig(name, entry, config["media"]) for name, entry in config["rigs"].items()}


def read(rows, columns=COLUMNS, **others):
    return read_recordings(write_sheet(Path("recordings.tsv"), columns, rows), rigs(**others))


def mistake(rows, columns=COLUMNS):
    with pytest.raises(ConfigError) as error:
        read(rows, columns)
    assert "\n" not in str(error.value)
    return str(error.value)


A = ["a", "booth", "raw/a.mov"]


def test_recordings_stand_in_the_order_of_the_sheet():
    assert list(read([["b", "booth", "raw/b.mov"], A])) == ["b", "a"]


def test_what_the_sheet_leaves_out_is_the_recording_itself():
    recording = read([A])["a"]
    assert (recording.subject, recording.session, recording.split) == ("a", "a", "")
    assert (recording.start_s, recording.stop_s) == (None, None)


def test_comments_empty_lines_and_line_ends_of_windows_are_no_rows():
    Path("recordings.tsv").write_bytes(
        b"\xef\xbb\xbf# made by hand\r\nrecording\trig\tsource\r\n\r\n# a comment\r\na\tbooth\traw/a.mov\r\n\t\t\r\n"
    )
    assert list(read_recordings(Path("recordings.tsv"), rigs())) == ["a"]


def test_empty_cells_that_a_spreadsheet_pads_rows_with_are_none():
    padded = "recording\trig\tsource\t\t\na\tbooth\traw/a.mov\t \t\t\t\r\nb\tbooth\traw/b.mov\n"
    Path("recordings.tsv").write_text(padded)
    assert list(read_recordings(Path("recordings.tsv"), rigs())) == ["a", "b"]


def test_an_unknown_column_names_the_nearest():
    assert mistake([[*A, "x"]], [*COLUMNS, "subjct"]) == (
        "recordings.tsv, line 1: unknown column `subjct`; did you mean `subject`?"
    )


@pytest.mark.parametrize("header", ["recording;rig;source", "recording,rig", "recording rig", '"recording"\t"rig"'])
def test_columns_that_no_tab_separates_or_in_quotes_are_told_so(header):
    Path("recordings.tsv").write_text(f"{header}\n")
    with pytest.raises(ConfigError) as error:
        read_recordings(Path("recordings.tsv"), rigs())
    column = header.split("\t")[0]
    told = "columns are separated by tabs, and no cell stands in quotes"
    assert str(error.value) == f"recordings.tsv, line 1: unknown column `{column}`; {told}"


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        (["recording", "rig"], A[:2], "line 1: the column `source` is missing"),
        ([*COLUMNS, "rig"], [*A, "x"], "line 1: the column `rig` stands twice"),
        (COLUMNS, ["a", "", "raw/a.mov"], "line 2: the column `rig` is empty"),
        (COLUMNS, [*A, "x"], "line 2: 4 cells under 3 columns"),
    ],
)
def test_a_sheet_that_is_no_table_names_its_row(columns, row, message):
    assert mistake([row], columns) == f"recordings.tsv, {message}"


def test_an_unknown_rig_names_the_nearest():
    assert mistake([["a", "boot", "raw/a.mov"]]) == (
        "recordings.tsv, line 2: there is no rig `boot`; did you mean `booth`?"
    )


def test_a_missing_file_names_the_nearest():
    assert mistake([A, ["b", "booth", "raw/b.mv"]]) == (
        "recordings.tsv, line 3: the source 'raw/b.mv' does not exist; did you mean `b.mov`?"
    )


def test_a_missing_folder_is_named_without_a_guess():
    assert mistake([["a", "booth", "row/a.mov"]]) == "recordings.tsv, line 2: the source 'row/a.mov' does not exist"


def test_a_missing_landmarks_file_is_a_mistake_of_its_row():
    message = mistake([[*A, "raw/a.npy"]], [*COLUMNS, "landmarks"])
    assert message == "recordings.tsv, line 2: the landmarks 'raw/a.npy' does not exist"


@pytest.mark.parametrize("again", ["a", "A"])
def test_a_recording_that_stands_twice_names_both_rows(again):
    assert mistake([A, [again, "booth", "raw/b.mov"]]) == (
        f"recordings.tsv, line 3: the recording `{again}` stands in line 2, too"
    )


def test_two_spellings_of_one_letter_are_one_name():
    angstrom, a_with_ring = "\u212b", "\u00c5"
    assert "stands in line 2, too" in mistake([[angstrom, *A[1:]], [a_with_ring, *A[1:]]])


@pytest.mark.parametrize("name", ["a b", "a/b", ".a", "it's", 'a"b'])
def test_a_name_that_cannot_name_files_is_refused(name):
    assert mistake([[name, *A[1:]]]).startswith(f"recordings.tsv, line 2: `{name}` cannot name files; use letters")


@pytest.mark.parametrize(("name", "size"), [("x" * 101, 101), ("é" * 51, 102)])
def test_a_name_that_is_too_long_is_told_its_length(name, size):
    told = f"recordings.tsv, line 2: `{name}` cannot name files; shorten it from {size} to 100 bytes"
    assert mistake([[name, *A[1:]]]) == told


@pytest.mark.parametrize(
    "source", ["Week#2/A.MOV", 'it\'s "here"/a b.mov', "Üñí çø∂é/日本.mov", "a & b; $x `y` [z] *?.mov", "50%.mov"]
)
def test_a_source_may_hold_spaces_quotes_hashes_and_any_letter(tmp_path, source):
    make_files(tmp_path, source, size=3)
    recording = read([["a", "booth", source]])["a"]
    assert recording.files == (source,)
    assert recording.megabytes == 3e-6


def test_a_source_with_a_brace_is_refused_because_it_would_be_a_wildcard(tmp_path):
    make_files(tmp_path, "raw/{recording}.mov")
    assert "wildcards; rename 'raw/{recording}.mov'" in mistake([["a", "booth", "raw/{recording}.mov"]])


@pytest.mark.parametrize("name", ["1.top.mp4\n", "1\n2.top.mp4", "1\r2.top.mp4", "1.top.mp4 ", "\udcff.top.mp4"])
def test_a_file_whose_name_fits_in_no_line_is_refused_with_its_row(tmp_path, name):
    make_files(tmp_path, f"arena/{name}")
    rig = {"source": "chunks", "cameras": {"top": "{source}/*.top.*"}}
    with pytest.raises(ConfigError) as error:
        read([["a", "arena", "arena"]], arena=rig)
    assert str(error.value) == f"recordings.tsv, line 2: no list of files can hold {f'arena/{name}'!r}: rename it"


def test_a_sidecar_stands_before_the_sound_of_the_file_itself(tmp_path):
    without = read([A])["a"]
    make_files(tmp_path, "raw/a.wav")
    beside = read([A])["a"]
    assert (without.files, without.microphones["voice"]["file"]) == (("raw/a.mov",), 0)
    assert (beside.files, beside.microphones["voice"]["file"]) == (("raw/a.mov", "raw/a.wav"), 1)
    assert beside.cameras["front"]["file"] == 0


def test_a_sidecar_is_found_beside_a_name_full_of_wildcards(tmp_path):
    make_files(tmp_path, "raw/[a]*.mov", "raw/[a]*.wav", "raw/a.wav")
    assert read([["a", "booth", "raw/[a]*.mov"]])["a"].files == ("raw/[a]*.mov", "raw/[a]*.wav")


def test_a_pattern_takes_the_first_file_in_the_order_of_names(tmp_path):
    make_files(tmp_path, "arena/2.top.mp4", "arena/1.top.mp4", "arena/1.side.mp4")
    arena = {"source": "file", "cameras": {"top": "{source}/*.top.mp4", "side": "{source}/*.side.*", "up": "no.mp4"}}
    recording = read([["a", "arena", "arena"]], arena=arena)["a"]
    assert recording.files == ("arena/1.top.mp4", "arena/1.side.mp4")
    assert [recording.cameras[name]["file"] for name in ("top", "side", "up")] == [0, 1, -1]


def test_a_bag_is_a_file_or_a_folder_of_them_with_its_metadata(tmp_path):
    make_files(tmp_path, "bag/2.mcap", "bag/1.MCAP", "bag/notes.txt", "bag/metadata.yaml")
    recordings = read([["c", "aviary", "raw/c.bag"], ["d", "aviary", "bag/"]])
    assert recordings["c"].files == ("raw/c.bag",)
    assert recordings["d"].files == ("bag/1.MCAP", "bag/2.mcap", "bag/metadata.yaml")


def test_slices_that_are_folders_of_ros2_are_one_bag(tmp_path):
    make_files(tmp_path, "night/s2/s2_0.db3", "night/s1/metadata.yaml", "night/s1/s1_1.mcap", "night/s1/s1_0.mcap")
    make_files(tmp_path, "night/notes.txt", "night/.git/a")
    recording = read([["d", "aviary", "night/"]])["d"]
    assert recording.files == (
        *("night/s1/s1_0.mcap", "night/s1/s1_1.mcap", "night/s1/metadata.yaml"),
        "night/s2/s2_0.db3",
    )
    assert recording.megabytes == sum(os.path.getsize(file) for file in recording.files) / 1e6


def test_folders_of_which_one_is_no_bag_are_a_mistake(tmp_path):
    make_files(tmp_path, "night/s1/s1.mcap", "night/s2/readme.txt", "days/a/1.bag", "days/b/2.bag")
    assert mistake([["a", "aviary", "night"]]) == (
        "recordings.tsv, line 2: the folder night holds no .bag, .bag.active, .mcap, .db3, .mcap.zstd, .db3.zstd; its "
        "folders are one recording where each is a bag of ROS2, and 's2' is none"
    )
    # Only ROS2's recorder makes a folder of a bag: these are recordings, not slices of one.
    assert "line 2: the folder days holds no .bag, " in mistake([["a", "aviary", "days"]])


def test_a_folder_without_bags_is_a_mistake():
    Path("empty").mkdir()
    assert mistake([["a", "aviary", "empty"]]) == (
        "recordings.tsv, line 2: the folder empty holds no .bag, .bag.active, .mcap, .db3, .mcap.zstd, .db3.zstd"
    )


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("start", "soon", "start `soon` is no number of seconds"),
        ("end", "-1", "end -1 does not lie between 0 and 1e9 seconds"),
        ("end", "nan", "end nan does not lie between 0 and 1e9 seconds"),
        ("split", "trian", "the split `trian` is not one of train, val, test"),
        ("subject", "../x", "the subject '../x' cannot name a folder; it must not hold a slash"),
    ],
)
def test_a_cell_of_a_wrong_type_names_its_row(column, text, message):
    assert mistake([[*A, text]], [*COLUMNS, column]) == f"recordings.tsv, line 2: {message}"


def test_start_and_end_are_seconds_in_their_order():
    recording = read([[*A, "1.5", "3"]], [*COLUMNS, "start", "end"])["a"]
    assert (recording.start_s, recording.stop_s) == (1.5, 3.0)
    assert mistake([[*A, "3", "3"]], [*COLUMNS, "start", "end"]).endswith("end 3 is not after start 3")


def test_a_subject_has_one_spelling():
    rows = [[*A, "Anna M."], ["b", "booth", "raw/b.mov", "anna m."]]
    assert mistake(rows, [*COLUMNS, "subject"]).endswith(
        "line 3: the subject `anna m.` is written `Anna M.` in an earlier row"
    )


def test_a_sheet_that_is_missing_or_no_text_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^nowhere\.tsv does not exist$"):
        read_recordings(Path("nowhere.tsv"), rigs())
    Path("binary.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text .*: save it as UTF-8"):
        read_recordings(Path("binary.tsv"), rigs())
    Path("empty.tsv").write_text("")
    with pytest.raises(ConfigError, match="has no header row; it starts with the columns recording, rig, source"):
        read_recordings(Path("empty.tsv"), rigs())


def exclusions(rows, columns=("recording", "start", "stop", "reason")):
    return read_exclusions(write_sheet(Path("exclude.tsv"), columns, rows), read([A]))


def test_an_exclusion_without_start_and_stop_is_the_whole_recording():
    part, whole = exclusions([["a", "1", "2.5", "cough"], ["a", "", "", "blurred"]])["a"]
    assert (part.start_s, part.stop_s, part.whole) == (1.0, 2.5, False)
    assert (whole.whole, whole.reason) == (True, "blurred")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["aa", "", "", "x"], "there is no recording `aa`; did you mean `a`?"),
        (["a", "2", "1", "x"], "stop 1 is not after start 2"),
        (["a", "x", "", "x"], "start `x` is no number of seconds"),
        (["a", "", "", ""], "the column `reason` is empty"),
    ],
)
def test_a_wrong_exclusion_names_its_row(row, message):
    with pytest.raises(ConfigError) as error:
        exclusions([row])
    assert str(error.value) == f"exclude.tsv, line 2: {message}"


@given(st.lists(st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_whatever_a_cell_holds_comes_back_without_the_spaces_around_it(cells):
    columns = ["x", "y", "z"][: len(cells)]
    cells = ["_", *cells[1:]]
    row = read_sheet(write_sheet(Path("cells.tsv"), columns, [cells]), columns, ["x"])[0]
    assert row.cells == {name: cell.strip() for name, cell in zip(columns, cells, strict=True) if cell.strip()}


@pytest.mark.parametrize(
    ("path", "tidied"),
    [("./a", "a"), ("././a//b", "a/b"), ("/a//b/", "/a/b/"), ("a/./b", "a/./b"), ("..", ".."), ("", "")],
)
def test_a_path_is_written_as_snakemake_wants_it(path, tidied):
    assert tidy(path) == tidied


def rig_mistake(**entry):
    config = load_config({"rigs": {"r": entry}})
    with pytest.raises(ConfigError) as error:
        make_rig("r", config["rigs"]["r"], config["media"])
    return str(error.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"source": "bag"}, "rigs.r: it has neither cameras nor microphones"),
        ({"source": "bag", "cameras": {"a.b": "/x"}}, "rigs.r.cameras.a.b: the name becomes a file name; use letters"),
        ({"source": "bag", "cameras": {"manifest": "/x"}}, "rigs.r.cameras.manifest: the name becomes a file name"),
        ({"source": "bag", "cameras": {"a": "/x", "A": "/y"}}, "rigs.r.cameras: `a` and `A` would be the same file"),
        ({"source": "bag", "cameras": {"a": "/x"}, "microphones": {"A": "/y"}}, "names a camera and a microphone"),
        (
            {"source": "bag", "cameras": {"a": {"path": "x"}}},
            "`path` is for another kind of source; this rig's is `bag`",
        ),
        ({"source": "bag", "cameras": {"a": ["/x", "/y"]}}, "one topic is wanted, not a list"),
        ({"source": "file", "cameras": {"a": {"stream": 1}}}, "rigs.r.cameras.a: the key `path` is missing"),
        ({"source": "file", "cameras": {"a": "{recording}.mp4"}}, "another placeholder than {source} and {stem}"),
        (
            {"source": "file", "cameras": {"a": "x"}, "conform": {"fps": "x"}},
            "rigs.r.conform.fps: `x` is no frame rate",
        ),
    ],
)
def test_a_wrong_rig_names_its_place(entry, message):
    assert message in rig_mistake(**entry)


@pytest.mark.parametrize(
    ("source", "key", "value"),
    [
        ("file", "salvage", True),
        ("frames", "max_message_mb", 100),
        ("bag", "chunks", {"starts": "names"}),
        ("chunks", "frames", {"first": 0}),
    ],
)
def test_a_key_of_a_rig_that_its_source_does_not_heed_is_refused(source, key, value):
    message = rig_mistake(source=source, cameras={"a": "{source}/S1C1{frame}.jpg"}, **{key: value})
    assert message.startswith(f"rigs.r: `{key}` is for another kind of source (")
    assert f"; this rig's is `{source}`" in message


@pytest.mark.parametrize(
    ("source", "kind", "key", "value"),
    [
        ("file", "cameras", "time", "stamp"),
        ("chunks", "cameras", "raw", "lossless"),
        ("files", "microphones", "stamp", "block_end"),
        ("file", "microphones", "rate_hz", 8000),
        ("bag", "cameras", "stream", 0),
    ],
)
def test_a_key_of_a_stream_that_its_source_does_not_heed_is_refused(source, kind, key, value):
    where = {"topic": "/x"} if source == "bag" else {"path": "{source}"}
    message = rig_mistake(source=source, **{kind: {"a": {**where, key: value}}})
    assert message.startswith(f"rigs.r.{kind}.a: `{key}` is for another kind of source (")


def test_what_every_source_has_by_default_may_be_said():
    said = {"salvage": False, "max_message_mb": 256, "chunks": {}, "frames": {"first": 1}}
    assert rigs(r={**BOOTH, **said})["r"].source == "file"


def test_a_rig_overrides_the_media_section():
    rig: Rig = rigs(slow={**BOOTH, "conform": {"fps": 30}})["slow"]
    assert (rig.fps, rig.rate_hz) == ("30", 16_000)


@pytest.mark.parametrize("key", ["two o#1.MOV", "q?x.MOV"])
def test_an_object_whose_address_ends_before_its_name_is_refused(key):
    assert "ends for the store at # or ?" in mistake([["a", "booth", f"s3://lab/raw/{key}"]])
    assert read([["a", "booth", "s3://lab/raw/sp ace%20.MOV"]])["a"].source == "s3://lab/raw/sp ace%20.MOV"


def test_a_sheet_whose_path_is_none_is_refused():
    for path in ("a\0b", "x" * 300):
        with pytest.raises(ConfigError):
            read_sheet(Path(path), COLUMNS, COLUMNS)
