"""How well the clocks of a run hold: how far a sound's stamps are off its clock, what a camera left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scripts.common import figure, manifest
from scripts.common.job import run

MAX_PANELS = 24
COLUMNS = 3
PANEL_IN = (3.2, 1.7)
HEADER_IN = 0.45

# Below this the axis of a panel is not stretched: noise should look like noise.
LEAST_SPAN_MS = 1.0
NAME_LETTERS = 40

CLOCK, GAPS = "clock", "gaps"


@dataclass(frozen=True)
class Panel:
    """One small plot. kind: CLOCK, milliseconds against seconds; GAPS, milliseconds missing against frames.

    points: float64 (N, 2), N > 0.  length: where the stream ends.  facts: what the title adds to the name.
    """

    kind: str
    name: str
    facts: str
    points: np.ndarray
    length: float

    @property
    def worst_ms(self) -> float:
        """By how much the worst point is off."""
        return float(np.abs(self.points[:, 1]).max())


def panels_of(facts: dict[str, Any]) -> list[Panel]:
    """What there is to show of a recording, from its manifest; nothing if its import failed."""
    found = []
    for name, stream in sorted(facts.get("streams", {}).items()):
        title = f"{facts['recording']} · {name}"
        if stream.get("residuals"):
            points = np.array(stream["residuals"], np.float64)
            drift = f", {stream['drift_ppm']:+.1f} ppm" if "drift_ppm" in stream else ""
            noted = f"within {_ms(np.abs(points[:, 1]).max())}{drift}"
            found.append(Panel(CLOCK, title, noted, points, points[:, 0].max()))
        if stream["kind"] == "video" and stream.get("gap_list"):
            points = np.array([[gap["frame"], gap["missing_ns"] / 1e6] for gap in stream["gap_list"]])
            count = f"{stream['gaps']} {'gap' if stream['gaps'] == 1 else 'gaps'}"
            noted = f"{count}, the longest {_ms(points[:, 1].max())}"
            found.append(Panel(GAPS, title, noted, points, stream["frames"]))
    return found


def choose_panels(panels: Iterable[Panel], limit: int) -> list[Panel]:
    """At most `limit`: the worst of each kind, then the second of each, …; clocks first, the worst first."""
    ranked = sorted(panels, key=lambda panel: (panel.kind, -panel.worst_ms, panel.name))
    turns = [turn for _, same in groupby(ranked, key=lambda panel: panel.kind) for turn in enumerate(same)]
    chosen = sorted(turns, key=lambda turn: (turn[0], turn[1].kind))[:limit]
    return [panel for _, panel in sorted(chosen, key=lambda turn: (turn[1].kind, turn[0]))]


def headline(shown: int, hidden: int) -> str:
    """The title of the whole: how many there are, and how many are not shown."""
    if not hidden:
        return "Clocks of sound, gaps of cameras"
    return f"Clocks of sound, gaps of cameras: the {shown} worst, {hidden} more are not shown"


def plot_clocks(manifests: list[Path], out_plot: Path) -> None:
    """A small plot for each sound with residuals and each camera with gaps, the MAX_PANELS worst ones."""
    panels = [panel for path in manifests for panel in panels_of(manifest.read(path))]
    if not panels:
        figure.write_notice(out_plot, "No sound has residuals of a clock, and no camera has gaps.")
        return
    shown = choose_panels(panels, MAX_PANELS)
    rows = -(-len(shown) // COLUMNS)
    with figure.svg_figure(out_plot, COLUMNS * PANEL_IN[0], rows * PANEL_IN[1] + HEADER_IN) as canvas:
        canvas.suptitle(headline(len(shown), len(panels) - len(shown)), x=0.01, ha="left", fontsize=11)
        grid = canvas.subplots(rows, COLUMNS, squeeze=False)
        for axes, panel in zip(grid.flat, shown, strict=False):
            _draw_panel(axes, panel)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(f"{_shortened(panel.name)}\n{panel.facts}", fontsize=8)
    across, value = panel.points.T
    if panel.kind == CLOCK:
        axes.axhline(0, color=figure.PALE, linewidth=0.8, zorder=0)
        axes.plot(across, value, ".", markersize=2, color=figure.BLUE)
        reach = 1.1 * max(panel.worst_ms, LEAST_SPAN_MS)
        # Both sides of zero alike, but no empty half: stamps that are never early have residuals of one sign.
        axes.set_ylim(*(side if (value / side).max() > 0.1 else side / 10 for side in (-reach, reach)))
        axes.set(xlabel="s", ylabel="residual, ms")
    else:
        axes.vlines(across, 0, value, color=figure.VERMILION, linewidth=1.2)
        axes.plot(across, value, "o", markersize=3, color=figure.VERMILION)
        axes.set_xlim(0, panel.length)
        axes.set_ylim(0, 1.15 * panel.worst_ms)
        axes.set(xlabel="frame", ylabel="missing, ms")


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:,.0f} ms"


def _shortened(name: str) -> str:
    """A long name without its middle: the stream at its end is what tells it from its neighbours."""
    half = NAME_LETTERS // 2
    return name if len(name) <= NAME_LETTERS else f"{name[: half - 1]}…{name[-half:]}"


if __name__ == "__main__":
    run(plot_clocks)
