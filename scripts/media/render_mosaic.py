"""Several cameras in one video, synchronised by the times of their frames, with a mix of microphones or without.

Every picture stands at its own instant, or at a constant rate; its table says which frame of each camera it shows.
The sound is placed by its clock: sample 0 stands at the instant of the first picture.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from scripts.common import ledger
from scripts.common.camera_pictures import CameraPictures
from scripts.common.clock import Clock
from scripts.common.encoder import Coding, usable
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.lost_frames import listed
from scripts.common.product_writer import ProductWriter, SoundCoding, encoder_rate
from scripts.common.synchronised import Synchronised, synchronise
from scripts.media.mosaic import Layout, Mosaic, lay_out, rows_of
from scripts.media.product_sound import lacking, mix_of

# The cells of cameras of which nothing decodes.
NO_PICTURE = (640, 360)

log = logging.getLogger("rushes")


def render_mosaic(
    videos: list[Path],
    frames: list[Path],
    sounds: list[Path],
    clocks: list[Path],
    out_video: Path,
    out_instants: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    cameras: list[str],
    microphones: list[str],
    scene: dict[str, Any],
    sound: dict[str, Any],
) -> None:
    """Render the grid `scene` of `cameras`, whose `videos` and `frames` stand in the same order.

    scene: rows (of names, "" for an empty cell), columns (0: by the number of cameras), explicit (rows are as they
    stand), cell ([] or [width, height]), missing, fps ("own" or a rational), codec, crf, preset, encoder.
    sound: sides (lists of parts), codec, kbps, rate_hz; no sides, no sound.
    Raises InputError if no camera could be imported, or a channel is not there.
    """
    known = {name: (path, Clock.read(clock)) for name, path, clock in zip(microphones, sounds, clocks, strict=True)}
    rendered = render_grid(
        dict(zip(cameras, videos, strict=True)),
        dict(zip(cameras, frames, strict=True)),
        known,
        out_video,
        where=f"{recording}, {product}",
        scene=scene,
        sound=sound,
    )
    rendered.instants.write(out_instants)
    ledger.write(out_ledger, [written("render_mosaic", recording, product, rendered, lacking(sound, known))])


class Decoration(Protocol):
    """Adds to a picture what is not a camera's; `size` is that of the pictures it answers with."""

    size: tuple[int, int]

    def __call__(self, picture: av.VideoFrame, instant: int) -> av.VideoFrame:
        """The picture to be shown at an instant; `picture` may be written to."""


@dataclass(frozen=True)
class Rendered:
    """What a grid shows.

    lacking: at how many instants a camera has no frame of its own.  lost: its frames that do not decode, int64.
    A camera that lacks nothing stands in neither.
    """

    instants: Synchronised
    lacking: dict[str, int]
    lost: dict[str, np.ndarray]


def render_grid(
    videos: dict[str, Path],
    frames: dict[str, Path],
    sounds: dict[str, tuple[Path, Clock]],
    out_video: Path,
    *,
    where: str,
    scene: dict[str, Any],
    sound: dict[str, Any],
    decorate: Callable[[Layout, Synchronised], Decoration] | None = None,
) -> Rendered:
    """Encode a grid, decorated or not."""
    tables = {name: FrameTable.read(path) for name, path in frames.items()}
    if not any(map(len, tables.values())):
        raise UpstreamError(where, "the import of every camera failed")
    instants = synchronise(tables, None if scene["fps"] == "own" else Fraction(scene["fps"]))
    with ExitStack() as stack:
        pictures = {
            name: stack.enter_context(CameraPictures(videos[name], table))
            for name, table in tables.items()
            if len(table)
        }
        layout = layout_of(scene, [found.size for found in pictures.values()])
        start_ns = int(instants.time_ns[0])
        heard = mix_of(sound, sounds, start_ns=start_ns, stop_ns=instants.stop_ns, where=where)
        mosaic = Mosaic(layout, pictures, instants, scene["missing"])
        decoration = decorate(layout, instants) if decorate else None
        writer = ProductWriter(
            out_video,
            decoration.size if decoration else (layout.width, layout.height),
            usable(Coding(scene["codec"], scene["crf"], scene["preset"], scene["encoder"])),
            rate=encoder_rate(instants.period_ns),
            longest_step_us=int(np.diff(instants.pts_us).max(initial=0)),
            sound=stack.enter_context(heard) if heard else None,
            sound_coding=SoundCoding(sound["codec"], sound["kbps"]) if heard else None,
        )
        with writer:
            for instant, (picture, pts_us) in enumerate(zip(mosaic, instants.pts_us.tolist(), strict=True)):
                writer.write(decoration(picture, instant) if decoration else picture, pts_us)
                progress(pts_us // 1_000_000, int(instants.pts_us[-1]) // 1_000_000, "seconds")
        for name, found in pictures.items():
            found.check(where, name)
        lacking = {name: mosaic.lacking.get(name, len(instants)) for name in tables}
        return Rendered(
            instants.showing(mosaic.shown, tables),
            {name: count for name, count in lacking.items() if count},
            {name: rows for name, found in pictures.items() if len(rows := found.lost())},
        )


def layout_of(scene: dict[str, Any], sizes: list[tuple[int, int] | None]) -> Layout:
    """The layout of a scene; without a cell's size it is the largest of the cameras' `sizes`."""
    known = [size for size in sizes if size] or [NO_PICTURE]
    cell = tuple(scene["cell"]) or max(known, key=lambda size: size[0] * size[1])
    rows = scene["rows"]
    if not scene["explicit"]:
        rows = rows_of([name for row in rows for name in row], scene["columns"])
    return lay_out(rows, (cell[0], cell[1]))


def written(step: str, recording: str, product: str, rendered: Rendered, unheard: list[str]) -> ledger.Row:
    """The ledger's row of a grid, which says what its cells and its sound lack."""
    instants = rendered.instants
    notes = [f"{name} has no frame at {count} of {len(instants)} instants" for name, count in rendered.lacking.items()]
    notes += [f"{name}: {listed(rows)}" for name, rows in rendered.lost.items()]
    notes += unheard
    if notes:
        log.info("%s, %s: %s", recording, product, "; ".join(notes))
    return ledger.Row(
        step,
        recording,
        product,
        "written",
        value=len(instants),
        message="; ".join(notes),
        start_ns=int(instants.time_ns[0]),
        stop_ns=instants.stop_ns,
    )


if __name__ == "__main__":
    run(render_mosaic)
