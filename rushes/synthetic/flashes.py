"""When it flashes: seeded times on the pictures' grid, outside of what is lost."""

import numpy as np

FLASH_S = 0.1
# How far a flash keeps from a stretch where pictures or sound are missing, and from either end.
MARGIN_S = 0.2


def choose_flashes(
    first_s: float,
    last_s: float,
    step_s: float,
    seed: int,
    *,
    forbidden_s: list[tuple[float, float]] | None = None,
    origin_s: float = 0.0,
    every_s: tuple[float, float] = (1.4, 2.2),
) -> list[int]:
    """Grid steps k at which a flash begins, at `origin_s` + k * `step_s`, within [`first_s`, `last_s`).

    Two flashes are a seeded time out of `every_s` apart, more where a stretch of `forbidden_s` is in the way.
    """
    rng = np.random.default_rng(seed)
    steps: list[int] = []
    wanted_s = first_s + MARGIN_S
    while True:
        step = int(np.ceil((wanted_s - origin_s) / step_s - 1e-9))
        while _blocked(origin_s + step * step_s, forbidden_s or []):
            step += 1
        time_s = origin_s + step * step_s
        if time_s + FLASH_S + MARGIN_S > last_s:
            return steps
        steps.append(step)
        wanted_s = time_s + float(rng.uniform(*every_s))


def flash_shown(stamps_ns: list[int], flash_times_ns: list[int]) -> list[bool]:
    """Whether the flash is on in a frame of each stamp: those in [t, t + 100 ms)."""
    length_ns = round(FLASH_S * 1e9)
    return [any(0 <= stamp - flash < length_ns for flash in flash_times_ns) for stamp in stamps_ns]


def _blocked(time_s: float, forbidden_s: list[tuple[float, float]]) -> bool:
    return any(start - MARGIN_S - FLASH_S < time_s < stop + MARGIN_S for start, stop in forbidden_s)
