"""A video and a page on a recording's keypoints: what was found, how well it agrees, what to distrust."""

import html
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist

from scripts.common import figure
from scripts.common.job import run
from scripts.reports.keypoint_facts import Session, limb_lengths, medians, over_time
from scripts.reports.keypoint_grid import CELL_PX, draw_grid
from scripts.reports.overlay_writer import OverlayWriter, write_text
from scripts.reports.page import head, svg

# Stretches of time that a curve tells apart.
BINS = 300


def render_keypoint_qc(
    videos: list[Path],
    frames: list[Path],
    keypoints: list[Path],
    aligned: Path,
    points: Path,
    smoothed: Path,
    calibration: Path,
    out_video: Path,
    out_page: Path,
    *,
    recording: str,
    cameras: list[str],
    settings: dict[str, Any],
    seconds: float,
) -> None:
    """Write the grid video of the first `seconds`, and a page on the whole recording that needs no network.

    settings: of the triangulation. A recording without keypoints in space gets a card and a line that say so.
    """
    session = Session.read(cameras, aligned, keypoints, points, smoothed, calibration, settings)
    beginning = head(f"Keypoints of {recording}")
    if session is None:
        _write_card(out_video)
        out_page.write_text(beginning + "<p>No keypoints in space: see the ledger.</p>\n", "utf-8")
        return
    fps = Fraction(round(session.aligned.fps * 1000), 1000) or Fraction(25)
    until = min(len(session.aligned), max(1, int(seconds * fps)))
    size = ((len(cameras) + 1) * CELL_PX, 3 * CELL_PX + 20)
    with OverlayWriter(out_video, size, np.empty(0, np.float32), 48_000) as writer:
        for number, picture in enumerate(draw_grid(session, videos, frames, until)):
            writer.write(picture, number / fps, (number + 1) / fps)
    errors = session.errors_px(session.points)
    parts = [
        beginning,
        _summary(session, errors),
        "<h2>Reprojection error by camera and keypoint, median px</h2>",
        _table(session, errors),
        "<h2>Reprojection error over time</h2>",
        _curves(session, errors),
        "<h2>Confidence by camera</h2>",
        _histograms(session),
        "<h2>Lengths of bones</h2>",
        _limbs(session),
    ]
    out_page.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _summary(session: Session, errors: np.ndarray) -> str:
    found = np.isfinite(session.points.xyz[..., 0])
    smoothed = session.errors_px(session.smoothed)
    by_camera = [
        f"<tr><td>{html.escape(name)}</td><td>{_number(_median(mine))}</td><td>{_number(_median(after))}</td>"
        f"<td>{(sure > 0).mean():.1%}</td><td>{used.mean():.1%}</td></tr>"
        for name, mine, after, sure, used in zip(
            session.cameras, errors, smoothed, session.confidence, session.used, strict=True
        )
    ]
    unseen = [n for n, seen in zip(session.points.skeleton.names, found.any(axis=0), strict=True) if not seen]
    lines = [
        f"<p>{len(session.aligned):,} common frames, {found.mean():.1%} of {found.size:,} keypoints in space, "
        f"median error {_number(_median(errors))} px; calibration {session.points.facts['calibration'][:12]}.</p>"
    ]
    if unseen:
        lines.append(f"<p class=bad>Never in space: {html.escape(', '.join(unseen))}</p>")
    heads = "<tr><th>camera</th><th>px</th><th>px, smoothed</th><th>keypoints seen</th><th>used</th></tr>"
    return "".join(lines) + f"<table>{heads}{''.join(by_camera)}</table>"


def _table(session: Session, errors: np.ndarray) -> str:
    middle = medians(errors)
    bad = 3 * max(_median(errors), 0.1)
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in session.cameras)
    rows = []
    for k, name in enumerate(session.points.skeleton.names):
        cells = "".join(f"<td{' class=bad' if v > bad else ''}>{_number(v)}</td>" for v in middle[:, k])
        rows.append(f"<tr><td>{html.escape(name)}</td>{cells}</tr>")
    return f"<table><tr><th>keypoint</th>{heads}</tr>{''.join(rows)}</table>"


def _curves(session: Session, errors: np.ndarray) -> str:
    middle, medians_px = over_time(errors, BINS)
    seconds = np.interp(middle, np.arange(len(session.aligned)), session.aligned.time_ns) - session.aligned.time_ns[0]

    def draw(canvas: Any) -> None:
        axes = canvas.add_subplot()
        lines: list[Artist] = []
        for name, curve in zip(session.cameras, medians_px, strict=True):
            lines += axes.plot(seconds / 1e9, curve, label=name, linewidth=1)
        axes.set_xlabel("seconds")
        axes.set_ylabel("median error, px")
        axes.set_ylim(bottom=0)
        figure.name_beside(axes, lines)

    return svg(10, 2.8, draw)


def _histograms(session: Session) -> str:
    def draw(canvas: Any) -> None:
        panels = canvas.subplots(1, len(session.cameras), sharey=True, squeeze=False)[0]
        for axes, name, sure in zip(panels, session.cameras, session.confidence, strict=True):
            axes.hist(sure[sure > 0].ravel(), bins=np.linspace(0, 1, 21), color=figure.SKY)
            axes.set_title(name)
            axes.set_xlabel("confidence")

    return svg(2.2 * len(session.cameras), 2.2, draw)


def _limbs(session: Session) -> str:
    if not session.points.skeleton.bones:
        return "<p>The skeleton has no bones.</p>"
    rows = [
        f"<tr><td>{html.escape(raw['bone'])}</td><td>{raw['seen']:,}</td><td>{_number(raw['median'])}</td>"
        f"<td>{_number(raw['spread'])}</td><td>{_number(after['spread'])}</td></tr>"
        for raw, after in zip(limb_lengths(session.points), limb_lengths(session.smoothed), strict=True)
    ]
    heads = (
        "<tr><th>bone</th><th>frames</th><th>median, mm</th><th>5 % to 95 %, mm</th><th>5 % to 95 %, smoothed</th></tr>"
    )
    return f"<table>{heads}{''.join(rows)}</table>"


def _write_card(path: Path) -> None:
    card = np.full((120, 2 * CELL_PX, 3), 25, np.uint8)
    write_text(card, "no keypoints in space: see the ledger", 90, 66, 20, (235, 235, 235))
    with OverlayWriter(path, (2 * CELL_PX, 120), np.empty(0, np.float32), 48_000) as writer:
        for number in range(25):
            writer.write(card, Fraction(number, 25), Fraction(number + 1, 25))


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


if __name__ == "__main__":
    run(render_keypoint_qc)
