"""What every page to look at is made of: its head, and plots within it; one file that needs no network."""

import html
import io
from collections.abc import Callable

from matplotlib.figure import Figure

from scripts.common import figure

HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; color: #111; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
td, th {{ padding: 2px 8px; text-align: right; border-bottom: 1px solid #ddd; }}
td:first-child, th:first-child {{ text-align: left; }}
.none {{ color: #bbb; }} .bad {{ color: #b30; font-weight: bold; }}
{style} svg {{ max-width: 100%; height: auto; }}
</style>
<h1>{title}</h1>
"""


def head(title: str, style: str = "") -> str:
    """The beginning of a page, with its title. style: what the page wants of CSS besides."""
    return HEAD.format(title=html.escape(title), style=style)


def svg(width_in: float, height_in: float, draw: Callable[[Figure], None]) -> str:
    """A plot as SVG within the page."""
    target = io.BytesIO()
    with figure.svg_figure(target, width_in, height_in) as canvas:
        draw(canvas)
    text = target.getvalue().decode()
    return text[text.index("<svg") :]
