"""What became of the items of every step, by reason."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from scripts.common import figure
from scripts.common.job import run
from scripts.common.ledger import OUTCOMES

# First and last colour of the reasons of an outcome, and the hatch that tells it without colour.
COLOURS = {
    "written": (figure.BLUE, figure.BLUE),
    "filtered": ("#C27400", "#FFDF9E"),
    "failed": ("#5C0A2E", "#CC79A7"),
}
HATCHES = {"written": "", "filtered": "", "failed": "////"}

# A share is drawn at least this wide, so that one item of a million is seen.
LEAST_WIDTH = 0.008

# In lines of text.
BAR_HEIGHT = 1.3
SPACE_BETWEEN_STEPS = 1.0
LINE_IN = 0.19
HEADER_IN = 0.55

# In widths of a whole bar, from its left end: where the names of the steps begin, the key, and the end of it.
LEFT, KEY, RIGHT = -0.42, 1.03, 1.78
KEY_WIDTH, KEY_HEIGHT = 0.03, 0.7


@dataclass(frozen=True)
class Segment:
    """The items of a step that ended alike. reason: empty for what was written."""

    outcome: str
    reason: str
    items: int

    @property
    def label(self) -> str:
        """What a reader calls it: "written", "filtered: no_face"."""
        return f"{self.outcome}: {self.reason}" if self.reason else self.outcome


def read_steps(counts: Path) -> dict[str, list[Segment]]:
    """Segments of each step, steps in the order of the table; by outcome, then the largest first."""
    steps: dict[str, list[Segment]] = {}
    with counts.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            segment = Segment(row["outcome"], row["reason"], int(row["items"]))
            if segment.items:
                steps.setdefault(row["step"], []).append(segment)
    return {step: sorted(segments, key=_rank) for step, segments in steps.items()}


def widths(items: Sequence[int]) -> list[float]:
    """Widths of segments that add up to 1: their shares, but none below LEAST_WIDTH."""
    shares = [count / sum(items) for count in items]
    narrow = sum(1 for share in shares if share < LEAST_WIDTH)
    kept = sum(share for share in shares if share >= LEAST_WIDTH)
    rest = 1 - narrow * LEAST_WIDTH
    return [LEAST_WIDTH if share < LEAST_WIDTH else share / kept * rest for share in shares]


def colours(segments: Sequence[Segment]) -> list[str]:
    """A colour for each segment: the outcome by hue, its reasons from dark to light."""
    found = []
    for outcome in OUTCOMES:
        count = sum(1 for segment in segments if segment.outcome == outcome)
        found += [_between(*COLOURS[outcome], index / max(1, count - 1)) for index in range(count)]
    return found


def plot_outcomes(counts: Path, out_plot: Path) -> None:
    """A bar for each step, divided by outcome and reason, and every number beside it.

    counts: table of step, outcome, reason, items, tab-separated.
    """
    steps = read_steps(counts)
    if not steps:
        figure.write_notice(out_plot, "No item has entered any step.")
        return
    lines = [max(2.0, len(segments)) + SPACE_BETWEEN_STEPS for segments in steps.values()]
    height_in = HEADER_IN + LINE_IN * sum(lines)
    with figure.svg_figure(out_plot, 9.5, height_in) as canvas:
        canvas.suptitle("What became of the items of every step", x=0.01, ha="left", fontsize=11)
        axes = canvas.add_subplot()
        axes.set_axis_off()
        axes.set_xlim(LEFT, RIGHT)
        axes.set_ylim(sum(lines), 0)
        top = 0.5
        for (step, segments), height in zip(steps.items(), lines, strict=True):
            _draw_step(axes, top, step, segments)
            top += height


def _draw_step(axes: Axes, top: float, step: str, segments: Sequence[Segment]) -> None:
    total = sum(segment.items for segment in segments)
    axes.text(-0.03, top + 0.35, step, ha="right", va="center", fontweight="bold")
    counted = f"{total:,} {'item' if total == 1 else 'items'}"
    axes.text(-0.03, top + 1.25, counted, ha="right", va="center", fontsize=8)
    left = 0.0
    drawn = zip(segments, widths([segment.items for segment in segments]), colours(segments), strict=True)
    for line, (segment, width, colour) in enumerate(drawn):
        hatch = HATCHES[segment.outcome]
        for place in ((left, top, width, BAR_HEIGHT), (KEY, top + line, KEY_WIDTH, KEY_HEIGHT)):
            axes.add_patch(_box(*place, facecolor=colour, hatch=hatch))
        middle = top + line + 0.35
        axes.text(KEY + 0.24, middle, f"{segment.items:,}", ha="right", va="center_baseline")
        axes.text(KEY + 0.265, middle, segment.label, ha="left", va="center_baseline")
        share = percent(segment.items / total)
        axes.text(RIGHT, middle, share, ha="right", va="center_baseline", fontsize=8, color=figure.GREY)
        left += width


def _box(left: float, top: float, width: float, height: float, **look: Any) -> Rectangle:
    return Rectangle((left, top), width, height, edgecolor="white", linewidth=0.8, **look)


def percent(share: float) -> str:
    """A share for a reader; never "0 %" of something, never "100 %" of not all."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share:.0%}".replace("%", " %") if share in (0, 1) else f"{share:.1%}".replace("%", " %")


def _rank(segment: Segment) -> tuple[int, int, str]:
    return OUTCOMES.index(segment.outcome), -segment.items, segment.reason


def _between(first: str, last: str, part: float) -> str:
    mixed = [a + (b - a) * part for a, b in zip(to_rgb(first), to_rgb(last), strict=True)]
    return str(to_hex((mixed[0], mixed[1], mixed[2])))


if __name__ == "__main__":
    run(plot_outcomes)
