"""A page on a dataset of labelled frames: who is where, what is doubtful, and what the pictures look like."""

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.patches import Patch

from scripts.common import figure, frame_index, json_file, label_intervals
from scripts.common.job import progress, run
from scripts.common.jpeg_quality import jpeg_quality
from scripts.common.label_intervals import LabelInterval
from scripts.common.tar_file import read_part
from scripts.common.timeline import NS
from scripts.reports.label_facts import Pictures, along_time, imbalance, overlaps, table, without_length
from scripts.reports.page import head, svg

# Height of the pictures that the page shows.
SHEET_PX = 72
# Recordings whose timelines are drawn, and doubtful intervals that are listed.
TIMELINES, LISTED = 40, 100
STYLE = f"img {{ height: {SHEET_PX}px; margin: 1px; }}"
COLUMNS = ["file", "split", "group", "label", "recording", "camera", "time_ns", "offset", "size", "ending", "name"]


def render_labels(
    index: Path,
    classes: Path,
    tars: list[Path],
    raw: list[Path],
    cleaned: list[Path],
    out_page: Path,
    *,
    dataset: str,
) -> None:
    """Write the page, one file that needs no network. raw: intervals as they were imported; cleaned: as they label."""
    found = json_file.read(classes)
    pictures = Pictures()
    for number, row in enumerate(frame_index.rows(index, COLUMNS), 1):
        pictures.add(row)
        progress(number, None, "pictures")
    intervals = [one for path in cleaned for one in label_intervals.read(path)]
    typed = [one for path in raw for one in label_intervals.read(path)]
    folder = index.parent
    parts = [
        head(f"Labels of {dataset}", STYLE),
        "".join(_warnings(found, pictures, typed)),
        "<h2>Pictures by class, split and subject</h2>",
        _counts(found["classes"], pictures),
        "<h2>When</h2>",
        _timelines(intervals, found["classes"]),
        "<h2>Doubtful intervals</h2>",
        _doubtful(typed),
        "<h2>Size and quality of pictures along time</h2>",
        _sizes(pictures, folder),
        "<h2>What they look like</h2>",
        _sheets(found["classes"], pictures, folder),
    ]
    out_page.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _warnings(found: dict[str, Any], pictures: Pictures, typed: Sequence[LabelInterval]) -> Iterator[str]:
    """A line for each thing that a person should look at."""
    said = [f"the split <b>leaks</b>: {html.escape(g)} stands in several" for g in found["groups_in_several_splits"]]
    said += [f"<b>{name}</b> lacks {html.escape(', '.join(gone))}" for name, gone in found["missing"].items()]
    said += [f"<b>{count}</b> pictures look the same in {pair}" for pair, count in found["near_duplicates"].items()]
    spelled = found["alike"]
    said += [f"<b>{html.escape(one)}</b> and <b>{html.escape(other)}</b> look like one label" for one, other in spelled]
    said += [f"no picture has <b>{html.escape(n)}</b>, which `priority` names" for n in found.get("without_frames", [])]
    ratio = imbalance(pictures.counts)
    said += (
        [f"the largest class in training has <b>{ratio:.1f}</b> times the pictures of the smallest"] if ratio else []
    )
    lone = [one for one in {i.label for i in typed} if sum(i.label == one for i in typed) == 1]
    said += [f"labelled a single time: {html.escape(', '.join(sorted(lone)))}"] if lone else []
    yield f"<p>{sum(pictures.counts.values()):,} pictures of {len(typed):,} intervals.</p>"
    yield "<ul>" + "".join(f"<li>{line}</li>" for line in said) + "</ul>"


def _counts(classes: Sequence[str], pictures: Pictures) -> str:
    columns, rows = table(pictures.counts, classes)
    heads = "".join(f"<th>{split}<br>{html.escape(group)}</th>" for split, group in columns)
    lines = [f"<tr><th>class</th>{heads}<th>all</th></tr>"]
    for label, counts in zip(classes, rows, strict=True):
        cells = "".join(f"<td{'' if count else ' class=none'}>{count:,}</td>" for count in counts)
        lines.append(f"<tr><td>{html.escape(label)}</td>{cells}<td>{sum(counts):,}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _timelines(intervals: Sequence[LabelInterval], classes: Sequence[str]) -> str:
    """A bar a recording and tier, coloured by class."""
    lanes = sorted({(one.recording, one.tier) for one in intervals})[:TIMELINES]
    if not lanes:
        return "<p>No interval.</p>"
    colour = {name: to_hex(colormaps["tab20"](k % 20)) for k, name in enumerate(classes)}
    starts = {name: min(one.start_ns for one in intervals if one.recording == name) for name, _ in lanes}

    def draw(canvas: Any) -> None:
        axes = canvas.add_subplot()
        for place, lane in enumerate(lanes):
            for one in intervals:
                if (one.recording, one.tier) == lane:
                    span = ((one.start_ns - starts[one.recording]) / NS, (one.stop_ns - one.start_ns) / NS)
                    axes.broken_barh([span], (place - 0.4, 0.8), color=colour.get(one.label, figure.GREY))
        axes.set_yticks(range(len(lanes)), [", ".join(filter(None, lane)) for lane in lanes])
        axes.invert_yaxis()
        axes.set_xlabel("seconds after the first interval")
        used = [name for name in classes if any(one.label == name for one in intervals)]
        figure.name_beside(axes, [Patch(color=colour[name], label=name) for name in used])

    return svg(10, 1 + 0.3 * len(lanes), draw)


def _doubtful(typed: Sequence[LabelInterval]) -> str:
    pairs, empty = overlaps(typed), without_length(typed)
    lines = [f"<p>{len(pairs)} pairs overlap under different labels, {len(empty)} intervals have no length.</p>"]
    rows = [
        f"<tr><td>{html.escape(one.recording)}</td><td>{html.escape(one.label)} (line {one.source_line})</td>"
        f"<td>{html.escape(other.label)} (line {other.source_line})</td><td>{seconds:.3f} s</td></tr>"
        for one, other, seconds in pairs[:LISTED]
    ]
    rows += [
        f"<tr><td>{html.escape(one.recording)}</td><td>{html.escape(one.label)} (line {one.source_line})</td>"
        "<td></td><td>no length</td></tr>"
        for one in empty[:LISTED]
    ]
    return "".join(lines) + (f"<table>{''.join(rows)}</table>" if rows else "")


def _sizes(pictures: Pictures, folder: Path) -> str:
    """Bytes of a picture along time, and the quality that its tables tell: a drift tells a network the time."""
    qualities = {part: _qualities(spread.rows, folder) for part, spread in pictures.spread.items()}

    def draw(canvas: Any) -> None:
        above, below = canvas.subplots(2, 1, sharex=True)
        lines: list[Artist] = []
        for name, sizes in pictures.sizes.items():
            seconds, amounts = along_time(sizes)
            start = min(instant for instant, _ in sizes)
            lines += above.plot(seconds - start, amounts / 1000, label=name, linewidth=1)
            known = sorted(qualities[name])
            below.plot([t - start for t, _ in known], [q for _, q in known], ".-", linewidth=1, markersize=3)
        above.set_ylabel("kB a picture")
        above.set_ylim(bottom=0)
        figure.name_beside(above, lines)
        below.set_ylabel("JPEG quality")
        below.set_ylim(0, 102)
        below.set_xlabel("seconds")

    found = sorted({quality for own in qualities.values() for _, quality in own})
    said = [_quality_said(part, [quality for _, quality in own]) for part, own in qualities.items()]
    lines = "".join(f"<li>{line}</li>" for line in said if line)
    whole = (
        f"JPEG quality of the pictures below: {', '.join(map(str, found))}." if found else "The pictures are no JPEGs."
    )
    return f"<p>{whole}</p><ul>{lines}</ul>" + (svg(10, 4.2, draw) if pictures.sizes else "")


def _qualities(rows: Sequence[dict[str, Any]], folder: Path) -> list[tuple[float, int]]:
    """(instant in s, quality) of those that are JPEGs."""
    read = [(row["time_ns"] / NS, jpeg_quality(_payload(row, folder))) for row in rows if row["ending"] == "jpg"]
    return [(instant, quality) for instant, quality in read if quality is not None]


def _quality_said(part: str, found: Sequence[int]) -> str:
    """A line on a camera whose quality is not one; "" for others."""
    if not found or min(found) == max(found):
        return ""
    return f"the JPEG quality of <b>{html.escape(part)}</b> drifts, from {min(found)} to {max(found)}"


def _sheets(classes: Sequence[str], pictures: Pictures, folder: Path) -> str:
    splits = [name for name in ("train", "val", "test") if any(split == name for _, split in pictures.samples)]
    lines = ["<tr><th>class</th>" + "".join(f"<th>{split}</th>" for split in splits) + "</tr>"]
    for label in classes:
        cells = ""
        for split in splits:
            shown = [_thumbnail(_payload(row, folder), row["name"]) for row in pictures.samples.get((label, split), [])]
            cells += f"<td>{''.join(shown) or '<span class=bad>none</span>'}</td>"
        lines.append(f"<tr><td>{html.escape(label)}</td>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _payload(row: dict[str, Any], folder: Path) -> bytes:
    return read_part(folder / row["file"], row["offset"], row["size"])


def _thumbnail(payload: bytes, name: str) -> str:
    picture = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    width = max(1, round(picture.shape[1] * SHEET_PX / picture.shape[0]))
    small = cv2.resize(picture, (width, SHEET_PX), interpolation=cv2.INTER_AREA)
    coded = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()).decode()
    return f'<img alt="{html.escape(name)}" title="{html.escape(name)}" src="data:image/jpeg;base64,{coded}">'


if __name__ == "__main__":
    run(render_labels)
