"""A label file of several recordings gives each its own labels, in every format that can hold several."""

import json
from pathlib import Path

import pytest

from scripts.common.errors import InputError
from scripts.labels.formats import READERS, Source, guess
from scripts.labels.import_labels import read_marks
from scripts.labels.own_part import Own, own_parts
from tests.unit import label_files

FLAT = "Observation id,Media file,Time,Subject,Behavior,Status\n"
AGGREGATED = "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)\n"
RAVEN = "Selection\tBegin File\tBegin Time (s)\tEnd Time (s)\tFile Offset (s)\tAnnotation\n"


def project(media: bool) -> str:
    events = [[[1, "A", "walk", "", ""], [2, "A", "walk", "", ""]], [[1, "A", "run", "", ""], [3, "A", "run", "", ""]]]
    files = [{"1": ["/raw/take.mp4"]}, {"1": ["/raw/other.mp4"]}]
    names = ("first", "second") if media else ("take", "other")
    conf = {"0": {"code": "walk", "type": "State event"}, "1": {"code": "run", "type": "State event"}}
    observations = {n: {"file": f, "events": e} for n, f, e in zip(names, files, events, strict=True)}
    return json.dumps({"observations": observations, "behaviors_conf": conf})


def studio(of, *, cancelled: bool = False) -> str:
    def task(number, video, label):
        value = {"ranges": [{"start": 1, "end": 10}], "timelinelabels": [label]}
        return of(number, video, {"was_cancelled": cancelled, "result": [{"from_name": "acts", "value": value}]})

    return json.dumps(
        [task(1, "/data/upload/3/0a1b2c3d-take.mp4", "walk"), task(2, "/data/local-files/?d=other.mp4", "run")]
    )


def full_task(number, video, annotation):
    return {"id": number, "data": {"video": video}, "annotations": [annotation]}


def small_task(number, video, annotation):
    return {"id": number, "video": video, "acts": [annotation["result"][0]["value"]]}


VIA = {
    "attribute": {"1": {"aname": "act", "options": {"0": "walk", "1": "run"}}},
    "file": {"7": {"fname": "take.mp4"}, "8": {"fname": "other.mp4"}},
    "view": {"1": {"fid_list": ["7"]}, "2": {"fid_list": ["8"]}},
    "metadata": {
        "1_a": {"vid": "1", "z": [0.5, 1.5], "av": {"1": "0"}},
        "2_b": {"vid": "2", "z": [3, 4], "av": {"1": "1"}},
    },
}
CVAT = (
    "<annotations><meta><project><tasks>"
    "<task><id>4</id><name>monday</name><source>take.mp4</source></task><task><id>5</id><name>other</name></task>"
    "</tasks></project></meta>"
    '<image id="0" name="f0" task_id="4"><tag label="walk"/></image>'
    '<image id="0" name="g0" task_id="5"><tag label="run"/></image>'
    '<track id="0" label="walk" task_id="4"><box frame="5" outside="0"/></track>'
    '<track id="1" label="run" task_id="5"><box frame="5" outside="0"/></track></annotations>'
)
NETS = {"take": {"annotations": [{"segment": [0, 1], "label": "walk"}]}}
NETS |= {"other": {"annotations": [{"segment": [0, 1], "label": "run"}]}}
# `walk` is the label of the recording `take`, which was made from take.mp4; `run` that of another one.
SEVERAL = {
    "BORIS, by id": (
        "b.csv",
        f"{FLAT}take,x.mp4,1,A,walk,START\nother,y.mp4,1.5,A,run,START\ntake,x.mp4,2,A,walk,STOP\nother,y.mp4,3,A,run,STOP\n",
    ),
    # The same behaviour runs in both: a START of one has nothing to do with a STOP of the other.
    "BORIS, by media": (
        "b.csv",
        f"{FLAT}1,C:\\raw\\Take.mp4,1,A,walk,START\n2,C:\\raw\\o.mp4,1,A,walk,START\n"
        "1,C:\\raw\\Take.mp4,2,A,walk,STOP\n2,C:\\raw\\o.mp4,3,A,walk,STOP\n",
    ),
    "BORIS without ids": (
        "b.csv",
        "Time,Media file path,Subject,Behavior,Status\n1,/raw/take.avi,A,walk,POINT\n1,/raw/o.avi,A,run,POINT\n",
    ),
    "BORIS aggregated": ("b.csv", f"{AGGREGATED}take,A,walk,STATE,1,2\nother,A,run,STATE,5,6\n"),
    "BORIS project, by name": ("p.boris", project(media=False)),
    "BORIS project, by media": ("p.boris", project(media=True)),
    "Label Studio": ("l.json", studio(full_task)),
    "Label Studio, JSON-MIN": ("l.json", studio(small_task)),
    "VIA": ("v.json", json.dumps(VIA)),
    "CVAT": ("c.xml", CVAT),
    "ActivityNet": ("a.json", json.dumps({"database": NETS})),
    "Raven": ("r.txt", f"{RAVEN}1\ttake.wav\t0.5\t1.5\t0.5\twalk\n2\to.wav\t61\t62\t1\trun\n"),
}


def marks_of(folder: Path, name: str, content: str, recording: str, *sources: str):
    path = folder / name
    path.write_text(content)
    return READERS[guess(path)](Source(path, recording, {}, None, sources))


@pytest.mark.parametrize(("name", "content"), SEVERAL.values(), ids=SEVERAL)
def test_a_recording_has_the_labels_of_its_part_alone(tmp_path, name, content):
    marks = marks_of(tmp_path, name, content, "take", "take.mp4")
    assert {mark.label for mark in marks} == {"walk"}
    assert len(marks) == (2 if name == "c.xml" else 1)


@pytest.mark.parametrize(("name", "content"), SEVERAL.values(), ids=SEVERAL)
def test_a_recording_that_the_file_does_not_name_is_one_line_with_the_names_in_it(tmp_path, name, content):
    with pytest.raises(InputError) as error:
        marks_of(tmp_path, name, content, "elsewhere", "e.mp4")
    said = error.value.message
    assert "none called as the recording `elsewhere` or its source e.mp4" in said
    assert "give the recording a file of its own" in said
    assert any(part in said for part in ("take", "monday", "1, 2", "first"))


def test_the_only_part_of_a_file_may_be_called_as_it_likes(tmp_path):
    marks = marks_of(tmp_path, "b.csv", f"{AGGREGATED}one,A,walk,STATE,1,2\n", "take")
    assert [mark.label for mark in marks] == ["walk"]


def test_an_annotation_that_was_cancelled_is_none(tmp_path):
    assert marks_of(tmp_path, "l.json", studio(full_task, cancelled=True), "take", "take.mp4") == []


def test_times_of_one_sound_of_several_count_from_its_own_beginning(tmp_path):
    content = f"{RAVEN}1\ta.wav\t0.5\t1.5\t0.5\tx\n2\tb.wav\t61\t62.25\t1\ty\n"
    (mark,) = marks_of(tmp_path, "r.txt", content, "b", "b.wav")
    assert (mark.label, mark.start, mark.stop) == ("y", 1, 2.25)
    # Sounds that are chunks of one recording follow one another, and so do the times.
    both = marks_of(tmp_path, "r.txt", content, "take", "a.wav", "b.wav")
    assert [(mark.label, mark.start) for mark in both] == [("x", 0.5), ("y", 61)]


PARTS = {"s1.2": [], "s1.3": [], "S1.mp4": []}


@pytest.mark.parametrize(
    ("own", "found"),
    [
        (Own("s1.2"), "s1.2"),
        (Own("s1"), "S1.mp4"),
        (Own("other", ("s1.avi",)), "S1.mp4"),
        (Own("other", ("raw/s1.3.mov",)), "s1.3"),
    ],
)
def test_names_are_compared_whole_first_then_without_their_endings(own, found):
    assert own_parts(Path("x"), own, PARTS, "videos") == [found]


def test_two_parts_that_could_both_be_meant_are_one_line():
    parts = {"ann": ["take.mp4"], "bob": ["take.mp4"], "cid": ["x.mp4"]}
    with pytest.raises(InputError, match=r"2 of its observations .* \(ann, bob\); leave one of them"):
        own_parts(Path("x"), Own("r", ("take.mp4",)), parts, "observations")
    assert own_parts(Path("x"), Own("r", ("take.mp4",), together=True), parts, "observations") == ["ann", "bob"]


def test_a_file_of_hundreds_of_parts_is_still_one_line():
    with pytest.raises(InputError, match="11, and 288 more"):
        own_parts(Path("x"), Own("r"), {str(number): [] for number in range(300)}, "videos")


def eaf(*media: str, units: str = "milliseconds") -> str:
    """`walk` from 1 to 2 s as ELAN shows it; media: the attributes of each descriptor."""
    descriptors = "".join(f'<MEDIA_DESCRIPTOR MIME_TYPE="video/mp4" {one}/>' for one in media)
    head = f'<HEADER MEDIA_FILE="" TIME_UNITS="{units}">{descriptors}</HEADER>'
    return label_files.elan().replace('<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>', head)


FIRST = 'MEDIA_URL="file:///C:/my%20films/other.mp4"'
OWN = 'MEDIA_URL="file:///C:/my%20films/take.mp4" TIME_ORIGIN="5000"'
TWIN = 'MEDIA_URL="take.wav" TIME_ORIGIN="5000"'


def walk_of(folder: Path, text: str, **settings) -> tuple[float, float]:
    """Start and stop of `walk` in a recording that is made of take.mp4 and take.wav."""
    path = folder / "e.eaf"
    path.write_text(text)
    given = {"format": "elan", "columns": {}, "sync": "", "fit": [], **settings}
    _, marks = read_marks(path, "a", given, None, ["take.mp4", "take.wav"])
    return next((float(mark.start), float(mark.stop)) for mark in marks if mark.label == "walk")


@pytest.mark.parametrize(
    ("media", "start"),
    [
        ([], 1),
        ([FIRST], 1),
        ([FIRST + ' TIME_ORIGIN="-250"'], 0.75),
        ([OWN], 6),
        ([FIRST, OWN], 6),
        ([OWN, FIRST, TWIN], 6),
    ],
)
def test_times_of_elan_count_from_the_beginning_of_the_recordings_media(tmp_path, media, start):
    assert walk_of(tmp_path, eaf(*media)) == (start, start + 1)


def test_events_that_tie_the_times_of_elan_have_them_as_it_shows_them(tmp_path):
    assert walk_of(tmp_path, eaf(OWN), fit=[[0, 0], [1, 1]]) == (1, 2)
    assert walk_of(tmp_path, eaf(OWN, TWIN.replace("5000", "0")), sync="walk") == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (eaf(OWN, TWIN.replace("5000", "40")), "the recording's media have offsets of 40, 5000 ms; set them alike"),
        (eaf(FIRST, OWN.replace("take", "two")), "holds 2 media with unlike offsets, none called as the recording `a`"),
        (eaf(units="PAL-frames"), "e.eaf: its times are PAL-frames"),
    ],
)
def test_offsets_of_elan_that_are_not_plain_and_frames_are_one_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        walk_of(tmp_path, text)
