"""What a bag's cameras and microphone lose, decided before anything is drawn."""

from dataclasses import dataclass

import numpy as np

# Where the trigger drops pictures: share of the recording, and how many in a row.
DROPS = ((0.11, 1), (0.29, 2), (0.63, 3))
# In which part of the recording a packet is lost, and which one of its GOP.
LOSS = 0.45
LOST_OF_GOP = 7
# Hardware stamps scatter this much around their grid.
STAMP_SCATTER_NS = 50_000


@dataclass(frozen=True)
class Trigger:
    """Numbers of the pictures on the trigger's grid, 0 … `grid` - 1, and what became of them.

    `encoded`: seen by the encoder, `dropped`: never seen by it, `lost`: encoded, its packet lost,
    `tainted`: in the bag, but what it needs to be decoded is lost. `sent`: in the bag.
    """

    grid: int
    gop: int
    dropped: list[int]
    encoded: list[int]
    lost: list[int]
    tainted: list[int]

    @classmethod
    def perfect(cls, grid: int) -> "Trigger":
        """A camera that loses nothing; every picture is a keyframe."""
        return cls(grid, 1, [], list(range(grid)), [], [])

    @classmethod
    def lossy(cls, grid: int, gop: int) -> "Trigger":
        """A camera with six drops in three places and one lost packet. `gop`: pictures from key to key."""
        dropped = [int(share * grid) + step for share, count in DROPS for step in range(count)]
        encoded = [number for number in range(grid) if number not in dropped]
        first = int(LOSS * len(encoded)) // gop * gop
        lost = encoded[first + LOST_OF_GOP]
        return cls(grid, gop, dropped, encoded, [lost], encoded[first + LOST_OF_GOP + 1 : first + gop])

    @property
    def sent(self) -> list[int]:
        """Numbers of the pictures in the bag, in order."""
        return [number for number in self.encoded if number not in self.lost]

    @property
    def keyframes(self) -> list[int]:
        """Numbers of the keyframes."""
        return self.encoded[:: self.gop]

    def damaged_s(self, period_s: float) -> list[tuple[float, float]]:
        """Stretches where pictures are missing or tainted, seconds after the first picture."""
        drops = [(number * period_s, (number + 1) * period_s) for number in self.dropped]
        return drops + [(number * period_s, (self.tainted[-1] + 1) * period_s) for number in self.lost]


def make_stamps(start_ns: int, period_ns: int, grid: int, exact: set[int], seed: int) -> list[int]:
    """Capture times of `grid` pictures, ns: on the grid within STAMP_SCATTER_NS; those in `exact` exactly."""
    scatter = np.random.default_rng(seed).integers(-STAMP_SCATTER_NS, STAMP_SCATTER_NS, grid)
    return [start_ns + k * period_ns + (0 if k in exact or k == 0 else int(scatter[k])) for k in range(grid)]


@dataclass(frozen=True)
class Blocks:
    """A free-running microphone: `count` blocks of `samples` at `true_rate_hz`, the first one at `start_ns`.

    The blocks from `hole_start` up to `hole_stop` are lost; time goes on.
    """

    start_ns: int
    true_rate_hz: float
    samples: int
    count: int
    hole_start: int = 0
    hole_stop: int = 0

    def sample_time_ns(self, sample: int) -> int:
        """When sample number `sample` stands, ns."""
        return self.start_ns + round(sample / self.true_rate_hz * 1e9)

    @property
    def sent(self) -> list[int]:
        """Numbers of the blocks in the bag."""
        return [block for block in range(self.count) if not self.hole_start <= block < self.hole_stop]

    @property
    def holes(self) -> list[dict[str, int]]:
        """The hole, as the truth says it."""
        if self.hole_start == self.hole_stop:
            return []
        first, stop = self.hole_start * self.samples, self.hole_stop * self.samples
        start_ns, stop_ns = self.sample_time_ns(first), self.sample_time_ns(stop)
        return [{"start_sample": first, "samples": stop - first, "start_ns": start_ns, "stop_ns": stop_ns}]
