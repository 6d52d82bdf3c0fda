"""What a job says when it is told to end: by a time limit of the cluster, `scancel`, `kill`, a terminal that closes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def say_when_told_to_end(say: Callable[[str], str], log: Path | None) -> None:
    """From now on each of SIGNALS ends this process, as it would have, but for a last line in `log` and for the user.

    say: makes the line of what happened. It is for the main thread of a job's process alone.
    """
    own = os.getpid()

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            if os.getpid() == own:
                name = signal.Signals(number).name
                _write(say(f"it was told to end ({name}) before it was done; the same command makes it again"), log)
        finally:
            os.kill(os.getpid(), number)

    for number in SIGNALS:
        # What a user has told to live on, by `nohup`, does.
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


def die_when_interrupted() -> None:
    """For processes that a job starts: they end without a traceback; the job itself says that it was interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def left_to_others(number: signal.Signals) -> Iterator[None]:
    """For a while the signal is a library's, whose own handler gives way to others'."""
    ours = signal.getsignal(number)
    if ours != signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, ours)


def _write(line: str, log: Path | None) -> None:
    # No buffer and no lock: the signal may have come while one of them was held.
    if log is not None:
        with suppress(OSError):
            file = os.open(log, os.O_WRONLY | os.O_APPEND)
            os.write(file, f"{time.strftime('%Y-%m-%d %H:%M:%S')} ERROR FAILED {line}\n".encode())
            os.close(file)
    # The terminal may be what has gone.
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode())
