"""The look of every plot, and SVG that has the same bytes on every run and the same look on every screen."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The colours of Okabe and Ito, which the colour-blind tell apart.
BLACK = "#000000"
SKY = "#56B4E9"
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREY = "#6B6B6B"
PALE = "#D9D9D9"

# XML has no way to write these.
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))

STYLE = {
    # Glyphs as outlines: no font of the reader's machine is asked. The words stand beside them as comments.
    "svg.fonttype": "path",
    "svg.hashsalt": "rushes",
    "font.family": ["DejaVu Sans"],
    # Names stand as they are: a dollar in one is no mathematics.
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.formatter.useoffset": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "hatch.linewidth": 0.8,
}


@contextmanager
def svg_figure(path: Path | BinaryIO, width_in: float, height_in: float) -> Iterator[Figure]:
    """A figure to draw into, written to `path` at the end of the block; a user's matplotlibrc has no say."""
    with matplotlib.style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue().translate(None, CONTROLS)
    if isinstance(path, Path):
        path.write_bytes(text)
    else:
        path.write(text)


def name_beside(axes: Axes, shown: Sequence[Artist]) -> None:
    """The names of what is `shown`, to the right of the plot.

    Matplotlib by itself leaves out what is called with an underscore first.
    """
    axes.legend(handles=shown, loc="upper left", bbox_to_anchor=(1, 1))


def write_notice(path: Path, text: str) -> None:
    """A plot that only says why there is nothing to plot."""
    with svg_figure(path, 7, 1.2) as figure:
        figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=10, color=GREY)
