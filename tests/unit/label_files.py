"""The same three bouts as every tool writes them: `walk` from 1 to 2 s, `run` from 2 to 3.5 s, `jump` at 4 s (a point,
where the tool knows points; else a frame long), at 10 frames a second."""

import json
from datetime import datetime
from pathlib import Path

import openpyxl

FPS = 10
BOUTS = [("walk", 1.0, 2.0), ("run", 2.0, 3.5)]
POINT = ("jump", 4.0)
HEADER = "Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status"


def boris(preamble: str) -> str:
    events = [(start, name, "START") for name, start, _ in BOUTS] + [(stop, name, "STOP") for name, _, stop in BOUTS]
    events.append((POINT[1], POINT[0], "POINT"))
    lines = [f"{time},/elsewhere/a.avi,10,{FPS},ann,{name},,,{status}" for time, name, status in sorted(events)]
    return "\n".join([preamble, HEADER, *lines]).lstrip("\n") + "\n"


def old_boris() -> str:
    return boris("Observation id,one,,,,,,,\n,,,,,,,,\nMedia file(s),,,,,,,,\nTime offset (s),0.0,,,,,,,")


def new_boris() -> str:
    """With Behavior type, and without Status."""
    header = (
        "Observation id,Observation date,Description,Observation duration,Observation type,Source,Time offset (s),"
        "Media duration (s),FPS (frame/s),Subject,Observation duration by subject by observation,Behavior,"
        "Behavioral category,Behavior type,Time,Media file name,Image index,Image file path,Comment"
    )
    events = [(start, name, "START") for name, start, _ in BOUTS] + [(stop, name, "STOP") for name, _, stop in BOUTS]
    events.append((POINT[1], POINT[0], "POINT"))
    rows = [
        f"one,2024-01-01 00:00:00,,10,Media file(s),player #1:a.avi,0,10,{FPS},ann,10,{name},,{kind},{time},a.avi,,,"
        for time, name, kind in sorted(events)
    ]
    return "\n".join([header, *rows]) + "\n"


def aggregated() -> str:
    rows = [f"one,ann,{name},STATE,{start},{stop}" for name, start, stop in BOUTS]
    rows.append(f"one,ann,{POINT[0]},POINT,{POINT[1]},{POINT[1]}")
    return "\n".join(["Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)", *rows]) + "\n"


def boris_project() -> str:
    events = [[time, "ann", name, "", ""] for name, *times in BOUTS for time in times] + [[4.0, "ann", "jump", "", ""]]
    codes = {"0": ("walk", "State event"), "1": ("run", "State event"), "2": ("jump", "Point event")}
    conf = {key: {"code": code, "type": kind} for key, (code, kind) in codes.items()}
    return json.dumps({"observations": {"take": {"events": sorted(events)}}, "behaviors_conf": conf})


def elan() -> str:
    times = sorted({round(t * 1000) for _, *bout in BOUTS for t in bout} | {4000, 4100})
    slots = "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{t}" TIME_VALUE="{t}"/>' for t in times)
    spans = [*((name, round(a * 1000), round(b * 1000)) for name, a, b in BOUTS), ("jump", 4000, 4100)]
    notes = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{k}" TIME_SLOT_REF1="ts{a}" TIME_SLOT_REF2="ts{b}">'
        f"<ANNOTATION_VALUE>{name}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for k, (name, a, b) in enumerate(spans)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT AUTHOR="" DATE="" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="EAFv3.0.xsd">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/><TIME_ORDER>{slots}</TIME_ORDER>'
        f'<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="acts" PARTICIPANT="ann">{notes}</TIER>'
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/></ANNOTATION_DOCUMENT>'
    )


def textgrid(*, short: bool) -> str:
    spans = [(0, 1, ""), (1, 2, "walk"), (2, 3.5, "run"), (3.5, 5, "")]
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    if short:
        body = "0\n5\n<exists>\n2\n" + f'"IntervalTier"\n"acts"\n0\n5\n{len(spans)}\n'
        body += "".join(f'{a}\n{b}\n"{name}"\n' for a, b, name in spans)
        return head + body + '"TextTier"\n"points"\n0\n5\n1\n4\n"jump"\n'
    body = "xmin = 0 \nxmax = 5 \ntiers? <exists> \nsize = 2 \nitem []: \n    item [1]:\n"
    body += '        class = "IntervalTier" \n        name = "acts" \n        xmin = 0 \n        xmax = 5 \n'
    body += f"        intervals: size = {len(spans)} \n"
    for k, (a, b, name) in enumerate(spans, 1):
        body += f"        intervals [{k}]:\n            xmin = {a} \n            xmax = {b} \n"
        body += f'            text = "{name}" \n'
    body += (
        '    item [2]:\n        class = "TextTier" \n        name = "points" \n        xmin = 0 \n        xmax = 5 \n'
    )
    body += "        points: size = 1 \n        points [1]:\n            number = 4 \n"
    return head + body + '            mark = "jump" \n'


def ranges(name: str, start: float, stop: float) -> dict[str, object]:
    return {"ranges": [{"start": round(start * FPS) + 1, "end": round(stop * FPS)}], "timelinelabels": [name]}


FRAMED = [*BOUTS, ("jump", 4.0, 4.1)]


def label_studio() -> str:
    result = [{"from_name": "acts", "type": "timelinelabels", "value": ranges(*bout)} for bout in FRAMED]
    return json.dumps([{"id": 1, "annotations": [{"result": result}]}])


def label_studio_min() -> str:
    return json.dumps([{"id": 1, "video": "/data/a.mp4", "acts": [ranges(*bout) for bout in FRAMED]}])


def cvat_images() -> str:
    tags = {k: name for name, a, b in FRAMED for k in range(round(a * FPS), round(b * FPS))}
    images = "".join(f'<image id="{k}" name="{k}.png"><tag label="{name}"/></image>' for k, name in tags.items())
    return f"<annotations><version>1.1</version>{images}</annotations>"


def cvat_video() -> str:
    def track(number: int, name: str, start: float, stop: float) -> str:
        first, end = round(start * FPS), round(stop * FPS)
        boxes = f'<box frame="{first}" outside="0"/><box frame="{end}" outside="1"/>'
        return f'<track id="{number}" label="{name}">{boxes}</track>'

    return f"<annotations>{''.join(track(k, *bout) for k, bout in enumerate(FRAMED))}</annotations>"


def activitynet() -> str:
    notes = [{"segment": [start, stop], "label": name} for name, start, stop in [*BOUTS, ("jump", 4.0, 4.0)]]
    return json.dumps({"database": {"take": {"annotations": notes}, "other": {"annotations": []}}})


def via() -> str:
    entries = {
        f"1_{k}": {"vid": "1", "z": times, "av": {"1": str(k)}}
        for k, times in enumerate([[1.0, 2.0], [2.0, 3.5], [4.0]])
    }
    options = {str(k): name for k, name in enumerate(("walk", "run", "jump"))}
    return json.dumps({"metadata": entries, "attribute": {"1": {"aname": "acts", "options": options}}})


def audacity() -> str:
    return "1.0\t2.0\twalk\n2.0\t3.5\trun\n\\\t100.0\t200.0\n4.0\t4.0\tjump\n"


def raven() -> str:
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation"
    rows = [
        f"{k}\t{view}\t1\t{start}\t{stop}\t0\t9\t{name}"
        for k, (name, start, stop) in enumerate([*BOUTS, ("jump", 4.0, 4.0)], 1)
        for view in ("Waveform 1", "Spectrogram 1")
    ]
    return "\n".join([head, *rows]) + "\n"


def segments() -> str:
    return "".join(f"{round(start * FPS) + 1},{round(stop * FPS)},{name}\n" for name, start, stop in FRAMED)


def one_hot() -> str:
    rows = []
    for k in range(50):
        rows.append([str(k), *("1" if round(a * FPS) <= k < round(b * FPS) else "0" for _, a, b in FRAMED)])
    return "\n".join([",".join(["frame", *(name for name, *_ in FRAMED)]), *(",".join(row) for row in rows)]) + "\n"


SHEET = [
    ["ignore", "PROCEDURE", "Original_Start_Time", "Original_Stop_Time", "Posture", "", "side table"],
    ["Clap", "CLAP", "2019-04-04 23:59:58:000000", "2019-04-04 23:59:58:500000", "", "", "3"],
    ["walk", "walk", "2019-04-04 23:59:59:000000", "2019-04-04 00:00:00:000000", "sits", "", ""],
    ["", "", "", "", "", "", "9"],
    ["run", "run", "2019-04-04 00:00:00:000000", "2019-04-04 00:00:01:500000", "", "", ""],
    ["jump", "jump", "2019-04-04 00:00:02:000000", "2019-04-04 00:00:02:000000", "", "", ""],
]


def procedures_csv() -> str:
    return "\r\n".join(",".join(row) for row in SHEET) + "\r\n"


def procedures_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in SHEET:
        cells = [datetime.strptime(c, "%Y-%m-%d %H:%M:%S:%f") if c.startswith("2019") else c for c in row]
        book.active.append(cells)
    book.save(path)


def named_columns() -> str:
    return "who,what,from,to\nann,walk,1,2\nann,run,2,3.5\nann,jump,4,4\n"
