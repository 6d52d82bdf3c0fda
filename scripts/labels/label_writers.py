"""Intervals back into the files of other tools, so that a person can look at them beside the recording."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from praatio import textgrid
from pympi import Eaf

from scripts.common.label_folders import folders_of
from scripts.common.label_intervals import LabelInterval
from scripts.common.timeline import NS, Timeline

# pympi writes the day; a file of the same labels has the same bytes.
NO_DATE = "1970-01-01T00:00:00+00:00"
DEFAULT_TIER = "labels"
# Formats without times below 0.
FROM_ZERO = ("textgrid", "elan")


@dataclass(frozen=True)
class Labels:
    """What is written. intervals: in the order of time; fps: of times in frames."""

    recording: str
    intervals: Sequence[LabelInterval]
    timeline: Timeline
    fps: Fraction

    def seconds(self, time_ns: int) -> Fraction:
        """Seconds after the recording's start."""
        return Fraction(time_ns - self.timeline.start_ns, NS)

    def frame(self, time_ns: int) -> float:
        """Frames after the recording's start, as the old system counted them."""
        return float(self.seconds(time_ns) * self.fps)

    def from_zero(self) -> "Labels":
        """Without what ends before the recording starts; what begins before it begins with it."""
        zero = self.timeline.start_ns
        later = [one for one in self.intervals if one.start_ns >= zero or one.stop_ns > zero]
        return replace(self, intervals=[replace(one, start_ns=max(one.start_ns, zero)) for one in later])

    def layers(self) -> dict[str, list[LabelInterval]]:
        """Intervals by tier; what overlaps another one of its tier goes into a further layer of it."""
        found: dict[str, list[LabelInterval]] = {}
        for one in self.intervals:
            number, name = 1, one.tier or DEFAULT_TIER
            while (own := found.get(name)) and own[-1].stop_ns > one.start_ns:
                number += 1
                name = f"{one.tier or DEFAULT_TIER} {number}"
            found.setdefault(name, []).append(one)
        return found


def write_frames(labels: Labels, folder: Path) -> None:
    """`{recording}.frames.csv`: label, start and stop in frames with a fraction."""
    rows = [(one.label, labels.frame(one.start_ns), labels.frame(one.stop_ns)) for one in labels.intervals]
    write_csv(folder / f"{labels.recording}.frames.csv", [("label", "start", "stop"), *rows])


def write_procedures(labels: Labels, folder: Path) -> None:
    """`procedures/{label}.csv`: start and stop in frames, without a header."""
    (folder / "procedures").mkdir()
    for label, name in folders_of(one.label for one in labels.intervals).items():
        own = [one for one in labels.intervals if one.label == label]
        rows = [(labels.frame(one.start_ns), labels.frame(one.stop_ns)) for one in own]
        write_csv(folder / "procedures" / f"{name}.csv", rows)


def write_audacity(labels: Labels, folder: Path) -> None:
    """`{recording}.audacity.txt`: start, stop, label, in seconds."""
    rows = [
        f"{float(labels.seconds(one.start_ns)):.9f}\t{float(labels.seconds(one.stop_ns)):.9f}\t{_plain(one.label)}\n"
        for one in labels.intervals
    ]
    (folder / f"{labels.recording}.audacity.txt").write_text("".join(rows), encoding="utf-8")


def write_textgrid(labels: Labels, folder: Path) -> None:
    """`{recording}.TextGrid`: a tier a layer, points as tiers of points; from the recording's start."""
    labels = labels.from_zero()
    grid = textgrid.Textgrid()
    stop = max(
        [float(labels.seconds(labels.timeline.stop_ns)), *(float(labels.seconds(i.stop_ns)) for i in labels.intervals)]
    )
    for name, own in labels.layers().items():
        spans = [(*_span(labels, one), one.label) for one in own if one.stop_ns > one.start_ns]
        points = [(float(labels.seconds(one.start_ns)), one.label) for one in own if one.stop_ns == one.start_ns]
        if spans:
            grid.addTier(textgrid.IntervalTier(name, spans, 0, stop))
        if points:
            grid.addTier(textgrid.PointTier(f"{name} points", points, 0, stop))
    grid.save(str(folder / f"{labels.recording}.TextGrid"), format="long_textgrid", includeBlankSpaces=True)


def write_elan(labels: Labels, folder: Path) -> None:
    """`{recording}.eaf`: a tier a layer, in milliseconds, from the recording's start; what is shorter lasts one."""
    labels = labels.from_zero()
    eaf = Eaf()
    eaf.adocument["DATE"] = NO_DATE
    eaf.remove_tier("default")
    for name, own in labels.layers().items():
        eaf.add_tier(name)
        for one in own:
            start, stop = (round(labels.seconds(edge) * 1000) for edge in (one.start_ns, one.stop_ns))
            eaf.add_annotation(name, start, max(stop, start + 1), one.label)
    eaf.to_file(str(folder / f"{labels.recording}.eaf"))


WRITERS: dict[str, Callable[[Labels, Path], None]] = {
    "framecsv": write_frames,
    "procedures": write_procedures,
    "textgrid": write_textgrid,
    "elan": write_elan,
    "audacity": write_audacity,
}


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Comma-separated values; floats in the shortest form that is read as the same float."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _span(labels: Labels, one: LabelInterval) -> tuple[float, float]:
    return float(labels.seconds(one.start_ns)), float(labels.seconds(one.stop_ns))


def _plain(label: str) -> str:
    return " ".join(label.split())
