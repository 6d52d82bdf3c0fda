"""Where a sound comes from: steered response power with phase transform (SRP-PHAT) over a volume.

The cross-correlation of every pair of microphones, whitened in a band, is looked up at the delay that a source at a
point would have; the point where all pairs agree is the place (DiBiase 2000). What is looked up is the envelope, which
is as wide as the band allows and not as a wave is long, first blurred to the size of the coarse grid's cells, so that
no peak falls between two points (after Cobos, Marti and Lopez 2011), then ever finer around the best cells.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

# Cells of the coarse grid that are looked at closer, so far apart at least.
CANDIDATES = 6
APART_CELLS = 2.0
# Each finer level has a third of the step, over the cell and its neighbours.
LEVELS = 3
FINER = 3
# Correlations are sampled so much finer than their band asks for.
OVERSAMPLING = 4


@dataclass(frozen=True)
class Volume:
    """Where sources may be, in metres: corner to corner, and the step of the coarse grid."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    step: float

    def grid(self) -> np.ndarray:
        """Centres of the cells, float64 (G, 3)."""
        axes = [
            np.linspace(a, b, max(2, round((b - a) / self.step) + 1)) for a, b in zip(self.low, self.high, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


@dataclass(frozen=True)
class Place:
    """A source. position_m: float64 (3,).  score: agreement of all pairs, 1 for an undisturbed point source.

    agreement: float64 (C,), the same of each microphone with the others.
    """

    position_m: np.ndarray
    score: float
    agreement: np.ndarray


class Locator:
    """Locates one source in a block of sound.

    microphones_m: float64 (C, 3).  band_hz: what is heard of the sound; a wide band locates sharply.
    """

    def __init__(
        self,
        microphones_m: np.ndarray,
        volume: Volume,
        *,
        rate_hz: float,
        block: int,
        band_hz: tuple[float, float],
        speed_m_s: float = 343.0,
    ) -> None:
        self._microphones = np.asarray(microphones_m, np.float64)
        self._volume, self._speed, self._block = volume, speed_m_s, block
        self._first, self._second = (
            np.array(side) for side in zip(*combinations(range(len(microphones_m)), 2), strict=True)
        )
        # Zeros behind the block keep the end of one microphone away from the beginning of another.
        self._length = fft.next_fast_len(2 * block, real=True)
        hertz = rate_hz / self._length
        self._bins = slice(int(np.ceil(band_hz[0] / hertz)), int(band_hz[1] / hertz) + 1)
        count = self._bins.stop - self._bins.start
        self._lags = fft.next_fast_len(OVERSAMPLING * count)
        self._per_second = self._lags * hertz
        self._window = np.hanning(block).astype(np.float32)
        self._grid = volume.grid()
        self._grid_lags = np.rint(self._lag(self._grid)).astype(np.int32) % self._lags
        self._grid_lags += (np.arange(len(self._first)) * self._lags).astype(np.int32)

    def locate(self, block: np.ndarray) -> Place:
        """The strongest source in `block`, float (C, block)."""
        envelopes = self._envelopes(block)
        cell = self._volume.step
        blurred = self._blur(envelopes, cell)
        power = np.take(blurred.ravel(), self._grid_lags).sum(axis=1)
        points = self._best_cells(power)
        for level in range(LEVELS):
            step = cell / FINER
            steps = np.arange(-FINER, FINER + 1) * step
            around = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
            near = (points[:, None] + around).reshape(-1, 3)
            blurred = self._blur(envelopes, step) if level < LEVELS - 1 else envelopes
            found = self._look_up(blurred, near).mean(axis=1).reshape(len(points), -1)
            points = near.reshape(len(points), -1, 3)[np.arange(len(points)), found.argmax(axis=1)]
            cell = step
        pairs = self._look_up(envelopes, points)
        best = int(pairs.mean(axis=1).argmax())
        return Place(points[best], float(pairs[best].mean()), self._by_microphone(pairs[best]))

    def _envelopes(self, block: np.ndarray) -> np.ndarray:
        """Envelopes of the whitened cross-correlations, float32 (pairs, lags), lag 0 first."""
        spectra = fft.rfft(block.astype(np.float32) * self._window, self._length, axis=1)[:, self._bins]
        magnitudes = np.abs(spectra)
        spectra = np.divide(spectra, magnitudes, out=np.zeros_like(spectra), where=magnitudes > 0)
        cross = spectra[self._first] * spectra[self._second].conj()
        # The band alone, shifted to zero: the envelope is the same, and the transform far shorter.
        return np.abs(fft.ifft(cross, self._lags, axis=1)) * (self._lags / cross.shape[1])

    def _blur(self, envelopes: np.ndarray, step: float) -> np.ndarray:
        """Envelopes averaged over the delays that points of a cell of this step can have."""
        reach = np.sqrt(3) / 2 * step / self._speed * self._per_second
        return uniform_filter1d(envelopes, 2 * int(reach) + 1, axis=1, mode="wrap")

    def _lag(self, points: np.ndarray) -> np.ndarray:
        """Delay of the first microphone of each pair against the second, in samples of the correlation; (N, pairs)."""
        away = np.linalg.norm(points[:, None] - self._microphones, axis=2)
        return (away[:, self._first] - away[:, self._second]) / self._speed * self._per_second

    def _look_up(self, envelopes: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Envelopes at the delays of `points`, between two samples in proportion; (N, pairs)."""
        lag = self._lag(points)
        below = np.floor(lag).astype(np.int64)
        share = lag - below
        row = np.arange(len(self._first))
        low, high = envelopes[row, below % self._lags], envelopes[row, (below + 1) % self._lags]
        found: np.ndarray = low * (1 - share) + high * share
        return found

    def _best_cells(self, power: np.ndarray) -> np.ndarray:
        """Centres of the strongest cells that are not neighbours; (at most CANDIDATES, 3)."""
        left = power.copy()
        found = []
        for _ in range(CANDIDATES):
            best = int(left.argmax())
            if left[best] < 0:
                break
            found.append(self._grid[best])
            away = np.linalg.norm(self._grid - self._grid[best], axis=1)
            left[away < APART_CELLS * self._volume.step] = -1
        return np.array(found)

    def _by_microphone(self, pairs: np.ndarray) -> np.ndarray:
        count = len(self._microphones)
        total = np.bincount(self._first, pairs, count) + np.bincount(self._second, pairs, count)
        share: np.ndarray = total / (count - 1)
        return share


def band_level_db(block: np.ndarray, rate_hz: float, band_hz: tuple[float, float]) -> float:
    """Level of the loudest channel of `block`, float (C, N) with full scale 1, in a band; dB, a full sine is -3."""
    spectra = np.abs(fft.rfft(block, axis=1))
    hertz = rate_hz / block.shape[1]
    inside = spectra[:, int(np.ceil(band_hz[0] / hertz)) : int(band_hz[1] / hertz) + 1]
    power = 2 * (inside.astype(np.float64) ** 2).sum(axis=1).max(initial=0.0) / block.shape[1] ** 2
    return float(10 * np.log10(max(power, 1e-20)))


def disagreeing(agreements: np.ndarray) -> list[int]:
    """Channels that do not agree with the rest at the places found: swapped, dead, or not where the config says.

    agreements: float64 (T, C), of each microphone in each block with a place. A channel disagrees if its median lies
    below 60 % of that of the microphones.
    """
    if not len(agreements):
        return []
    medians = np.median(agreements, axis=0)
    return np.flatnonzero(medians < 0.6 * np.median(medians)).tolist()
