"""A mosaic with its sound's spectrogram scrolling below it, and the place of the loudest sound drawn into each cell.

The pictures are composed anew from the cameras, as the mosaic is, so that nothing is encoded twice.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common import ledger
from scripts.common.calibration_file import Calibration
from scripts.common.clock import Clock
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import run
from scripts.common.synchronised import Synchronised
from scripts.common.timeline import NS
from scripts.common.video import plane_arrays
from scripts.media.location_track import LocationTrack
from scripts.media.mosaic import Cell, Layout
from scripts.media.placed_sound import MissingChannelError, Mix, Part
from scripts.media.product_sound import lacking, side_lacks
from scripts.media.render_mosaic import render_grid, written
from scripts.media.spectrogram_strip import Look, SpectrogramStrip

# The mark of a sound: a ring whose radius is this share of a cell's height; bright and red.
RING = 0.06
RING_YUV = (210, 90, 200)
# A place is shown until the sound has been silent for so long.
HOLD_S = 0.2


def render_spectrogram(
    videos: list[Path],
    frames: list[Path],
    sounds: list[Path],
    clocks: list[Path],
    track: Path | None,
    calibration: Path | None,
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
    spectrogram: dict[str, Any],
) -> None:
    """Render the grid `scene` with a strip of its sound; see render_mosaic for scene and sound.

    spectrogram: listen (parts of microphones), nperseg, hop, band_hz, range_db, colours, window_s, height.
    track: places of the sound.  Raises InputError if no camera or no microphone could be imported.
    """
    known = {name: (path, Clock.read(clock)) for name, path, clock in zip(microphones, sounds, clocks, strict=True)}
    if not any(clock.samples for _, clock in known.values()):
        raise UpstreamError(recording, f"the import of every microphone of {product} failed")
    places = LocationTrack.read(track) if track else LocationTrack.empty()
    sizes = {name: camera.size for name, camera in Calibration.read(calibration).cameras.items()} if calibration else {}
    with ExitStack() as stack:

        def decorate(layout: Layout, instants: Synchronised) -> "Decoration":
            look = _look(spectrogram, int(sound["rate_hz"]))
            heard = stack.enter_context(
                _listen(spectrogram["listen"], known, instants, look, int(sound["rate_hz"]), recording)
            )
            return Decoration(layout, instants, SpectrogramStrip(heard, layout.width, look), places, sizes)

        rendered = render_grid(
            dict(zip(cameras, videos, strict=True)),
            dict(zip(cameras, frames, strict=True)),
            known,
            out_video,
            where=f"{recording}, {product}",
            scene=scene,
            sound=sound,
            decorate=decorate,
        )
    rendered.instants.write(out_instants)
    unheard = [*lacking(sound, known), *side_lacks("the strip", spectrogram["listen"], known)]
    ledger.write(out_ledger, [written("render_spectrogram", recording, product, rendered, unheard)])


def _look(spectrogram: dict[str, Any], rate_hz: int) -> Look:
    low, high = spectrogram["band_hz"]
    return Look(
        nperseg=spectrogram["nperseg"],
        hop=spectrogram["hop"],
        band_hz=(float(low), min(float(high), rate_hz / 2)),
        range_db=(spectrogram["range_db"][0], spectrogram["range_db"][1]),
        colours=spectrogram["colours"],
        window_s=spectrogram["window_s"],
        height=spectrogram["height"] // 2 * 2,
    )


def _listen(
    parts: list[str],
    sounds: dict[str, tuple[Path, Clock]],
    instants: Synchronised,
    look: Look,
    rate_hz: int,
    recording: str,
) -> Mix:
    """The sound of the strip, from half a window before the first picture to half a window after the last."""
    half_ns = round(look.window_s / 2 * NS)
    start_ns = int(instants.time_ns[0]) - half_ns
    samples = round((instants.stop_ns + half_ns - start_ns) * rate_hz / NS)
    try:
        heard = {name: pair for name, pair in sounds.items() if pair[1].samples}
        return Mix([[Part.parse(text) for text in parts]], heard, start_ns=start_ns, samples=samples, rate_hz=rate_hz)
    except MissingChannelError as error:
        raise InputError("no_channel", f"{recording}: {error}") from None


class Decoration:
    """What is added to each picture of a grid."""

    def __init__(
        self,
        layout: Layout,
        instants: Synchronised,
        strip: SpectrogramStrip,
        places: LocationTrack,
        sizes: dict[str, tuple[int, int]],
    ) -> None:
        self._layout, self._instants, self._strip, self._places, self._sizes = layout, instants, strip, places, sizes
        self.size = (layout.width, layout.height + strip.height)

    def __call__(self, picture: av.VideoFrame, instant: int) -> av.VideoFrame:
        """The picture of an instant with marks and the strip below it."""
        time_ns = int(self._instants.time_ns[instant])
        planes = plane_arrays(picture)
        row = self._places.near(time_ns, round(HOLD_S * NS))
        for cell in self._layout.cells if row >= 0 else ():
            if cell.camera in self._places.pixels:
                at = in_cell(cell, self._sizes[cell.camera], self._places.pixels[cell.camera][row])
                if at is not None:
                    draw_ring(planes, cell, at)
        whole = av.VideoFrame(*self.size, "yuv420p")
        strip = self._strip.planes((time_ns - int(self._instants.time_ns[0])) / NS)
        for target, above, below in zip(plane_arrays(whole), planes, strip, strict=True):
            target[: len(above)] = above
            target[len(above) :] = below
        return whole


def in_cell(cell: Cell, size: tuple[int, int], pixel: np.ndarray) -> tuple[float, float] | None:
    """Where a camera's pixel stands in the picture of its cell, which shows the whole camera in its middle."""
    if not np.isfinite(pixel).all():
        return None
    scale = min(cell.width / size[0], cell.height / size[1])
    left, top = cell.left + (cell.width - size[0] * scale) / 2, cell.top + (cell.height - size[1] * scale) / 2
    return left + (float(pixel[0]) + 0.5) * scale - 0.5, top + (float(pixel[1]) + 0.5) * scale - 0.5


def draw_ring(planes: list[np.ndarray], cell: Cell, at: tuple[float, float]) -> None:
    """A ring around a point of the picture, cut at the borders of its cell. planes: Y, U, V, written in place."""
    for index, plane in enumerate(planes):
        half = 1 if index == 0 else 2
        radius = max(4.0, RING * cell.height) / half
        x, y = (at[0] + 0.5) / half - 0.5, (at[1] + 0.5) / half - 0.5
        reach = int(radius) + 2
        left, right = max(int(x) - reach, cell.left // half), min(int(x) + reach + 1, (cell.left + cell.width) // half)
        top, bottom = max(int(y) - reach, cell.top // half), min(int(y) + reach + 1, (cell.top + cell.height) // half)
        if left >= right or top >= bottom:
            continue
        rows, columns = np.mgrid[top:bottom, left:right]
        away = np.abs(np.hypot(columns - x, rows - y) - radius)
        plane[top:bottom, left:right][away <= (1.5 if index == 0 else 1.0)] = RING_YUV[index]


if __name__ == "__main__":
    run(render_spectrogram)
