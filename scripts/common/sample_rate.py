"""Which sample rates a sound may have: a header may say anything, and what follows from its rate is made as it says."""

from scripts.common.errors import InputError

# Infrasound, and the fastest recorders of ultrasound; what a header says beyond them is a mistake.
LOWEST_HZ, HIGHEST_HZ = 100, 4_000_000


def check_rate(rate_hz: int, sound: str) -> None:
    """Raises InputError for a sample rate that no sound has; sound: which, for the message."""
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise InputError(
            "bad_rate",
            f"{sound} says a sample rate of {rate_hz:,} Hz, which is not between {LOWEST_HZ:,} and {HIGHEST_HZ:,}: "
            "mend its header, or write it anew",
            value=rate_hz,
            limit=HIGHEST_HZ if rate_hz > HIGHEST_HZ else LOWEST_HZ,
        )
