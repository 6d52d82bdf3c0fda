"""When packets are decoded, where nobody says."""

from collections.abc import Sequence
from itertools import pairwise


def decode_times(shown: Sequence[int]) -> list[int]:
    """Decoding times of packets that are shown at `shown` and stand in this order: increasing, never after showing."""
    in_order = sorted(shown)
    rank = {pts: place for place, pts in enumerate(in_order)}
    delay = max((place - rank[pts] for place, pts in enumerate(shown)), default=0)
    step = min((b - a for a, b in pairwise(in_order)), default=1)
    early = [in_order[0] - (delay - place) * step for place in range(min(delay, len(shown)))]
    return [*early, *in_order[: len(shown) - delay]] if shown else []
