"""A scrolling spectrogram: a strip as wide as the picture that shows the sound around an instant."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from scripts.common.product_writer import Sound

COLOURS = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
    "plasma": cv2.COLORMAP_PLASMA,
    "turbo": cv2.COLORMAP_TURBO,
    "gray": None,
}
# Short-time spectra that are made together.
BATCH = 256
PLAYHEAD = 235
LABEL = 200
# From full-range RGB to the limited range of ITU-R BT.601, which players assume for untagged video.
TO_YUV = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
YUV_ZERO = np.array([16.0, 128.0, 128.0])


@dataclass(frozen=True)
class Look:
    """How a spectrogram looks.

    nperseg, hop: samples of a short-time spectrum, and from one to the next.  band_hz: what the height spans.
    range_db: the first and the last colour; a full-scale sine is 0.  window_s: what the width spans.
    """

    nperseg: int
    hop: int
    band_hz: tuple[float, float]
    range_db: tuple[float, float]
    colours: str
    window_s: float
    height: int


def colour_table(name: str) -> np.ndarray:
    """Y, U and V of each of 256 levels, uint8 (256, 3)."""
    levels = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    chosen = COLOURS[name]
    blue_green_red = (
        np.repeat(levels, 3, axis=1) if chosen is None else cv2.applyColorMap(levels, chosen).reshape(-1, 3)
    )
    yuv = blue_green_red[:, ::-1].astype(np.float64) @ TO_YUV.T + YUV_ZERO
    return np.rint(yuv).astype(np.uint8)


def rows_of_band(height: int, bins: int, rate_hz: float, band_hz: tuple[float, float]) -> np.ndarray:
    """How much of each frequency bin belongs to each row, top row highest; float64 (height, bins), rows sum to 1."""
    width = rate_hz / 2 / (bins - 1)
    edges = np.linspace(band_hz[1], band_hz[0], height + 1)
    high, low = edges[:-1, None], edges[1:, None]
    centres = np.arange(bins) * width
    shared = np.clip(np.minimum(high, centres + width / 2) - np.maximum(low, centres - width / 2), 0, None)
    total = shared.sum(axis=1, keepdims=True)
    rows: np.ndarray = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return rows


class SpectrogramStrip:
    """Levels of the sound around rising instants, column after column; the sound is read once.

    sound: one side, whose first sample stands half a window before instant 0.
    """

    def __init__(self, sound: Sound, width: int, look: Look) -> None:
        self.width, self.height = width, look.height
        self._look, self._rate = look, sound.rate_hz
        self._per_second = width / look.window_s
        self._spectra = self._all_spectra(sound)
        self._weights = rows_of_band(look.height, look.nperseg // 2 + 1, sound.rate_hz, look.band_hz)
        self._colours = colour_table(look.colours)
        self._columns = self._all_columns()
        self._kept = np.zeros((look.height, 0), np.uint8)
        self._first = 0
        self._labels = frequency_labels(look.height, width, look.band_hz)

    def levels(self, instant_s: float) -> np.ndarray:
        """Levels around `instant_s`, uint8 (height, width); 0 is the first colour. Instants must not fall."""
        first = round(instant_s * self._per_second)
        missing = first + self.width - self._first - self._kept.shape[1]
        if missing > 0:
            whole = np.concatenate([self._kept, *self._take(missing)], axis=1)
            self._kept, self._first = whole[:, first - self._first :], first
        at = first - self._first
        return self._kept[:, at : at + self.width]

    def planes(self, instant_s: float) -> list[np.ndarray]:
        """The strip around an instant, with playhead and labels: Y (height, width), U and V of half the size."""
        levels = self.levels(instant_s)
        luma = self._colours[levels, 0]
        luma[self._labels] = LABEL
        middle = self.width // 2
        luma[:, middle - 1 : middle + 1] = PLAYHEAD
        chroma = [self._colours[levels[::2, ::2], plane] for plane in (1, 2)]
        for plane in chroma:
            plane[:, (middle - 1) // 2 : middle // 2 + 1] = 128
        return [luma, *chroma]

    def _take(self, count: int) -> Iterator[np.ndarray]:
        for _ in range(count):
            yield next(self._columns)[:, None]

    def _all_columns(self) -> Iterator[np.ndarray]:
        """One column a pixel, uint8 (height,): the mean power of the spectra in it, or the spectrum before."""
        column, power, count = 0, np.zeros(self._look.height), 0
        shown = self._level(power)
        for centre_s, spectrum in self._spectra:
            while centre_s * self._per_second >= column + 1:
                shown = self._level(power / count) if count else shown
                yield shown
                column, power, count = column + 1, np.zeros(self._look.height), 0
            power = power + spectrum
            count += 1
        while True:
            yield self._level(power / count) if count else self._level(power)
            power, count = np.zeros(self._look.height), 0

    def _level(self, power: np.ndarray) -> np.ndarray:
        low, high = self._look.range_db
        level = (10 * np.log10(np.maximum(power, 1e-20)) - low) / (high - low)
        return np.rint(np.clip(level, 0, 1) * 255).astype(np.uint8)

    def _all_spectra(self, sound: Sound) -> Iterator[tuple[float, np.ndarray]]:
        """Centre in seconds of the sound, and power by row, of each short-time spectrum."""
        size, hop = self._look.nperseg, self._look.hop
        window = np.hanning(size + 1)[:-1]
        scale = (2 / window.sum()) ** 2
        left = np.empty(0, np.float32)
        start = done = 0
        while done < sound.samples:
            count = min(BATCH * hop, sound.samples - done)
            left = np.concatenate([left, sound.read(count)[0]])
            done += count
            frames = (len(left) - size) // hop + 1
            if frames <= 0:
                continue
            blocks = np.lib.stride_tricks.sliding_window_view(left, size)[: frames * hop : hop]
            powers = (np.abs(np.fft.rfft(blocks * window, axis=1)) ** 2 * scale) @ self._weights.T
            for index, power in enumerate(powers):
                yield (start + index * hop + size / 2) / self._rate, power
            left, start = left[frames * hop :], start + frames * hop


def frequency_labels(height: int, width: int, band_hz: tuple[float, float]) -> np.ndarray:
    """Which pixels show the frequencies of the strip, in kHz at its left edge; bool (height, width)."""
    drawn = np.zeros((height, width), np.uint8)
    if height < 48 or width < 96:
        return drawn.astype(bool)
    span = band_hz[1] - band_hz[0]
    step = next((s for s in (500, 1000, 2000, 5000, 10_000, 20_000) if span / s <= height / 24), 50_000)
    for hertz in range(int(-(-band_hz[0] // step) * step), int(band_hz[1]) + 1, step):
        row = round((band_hz[1] - hertz) / span * height)
        drawn[max(0, min(row, height - 1)), :6] = 1
        if 12 <= row <= height - 4:
            cv2.putText(drawn, f"{hertz / 1000:g} kHz", (9, row + 4), cv2.FONT_HERSHEY_PLAIN, 0.8, 1, 1)
    return drawn.astype(bool)
