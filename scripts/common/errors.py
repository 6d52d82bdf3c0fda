"""The two ways in which a rule's function says that something is wrong."""

import errno

# Reason of an item that did not fail by itself: what it needs failed in an earlier step, which has the cause.
UPSTREAM = "upstream"
# The disk, the quota, a limit of the process, or what the system lends out.
_MACHINE = {
    *(errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ENOSPC, errno.EROFS, errno.ESTALE),
}


def is_machine_fault(error: BaseException) -> bool:
    """Whether no item is to blame, whatever was read or written: another one would meet it, and a later try may not."""
    return isinstance(error, OSError) and error.errno in _MACHINE


class InputError(Exception):
    """The data of one item cannot be used: this is a row of the ledger, not an error of the run.

    reason: short code, e.g. "no_sound", that the ledger counts by.
    message: one line for a person: what, where, and what to do.
    value, limit: the number that decided, against which limit.
    """

    def __init__(self, reason: str, message: str, *, value: float | None = None, limit: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = " ".join(message.split())
        self.value = value
        self.limit = limit


class UpstreamError(InputError):
    """What an item needs failed in an earlier step, whose ledger has the cause: nothing is wrong with it itself."""

    def __init__(self, where: str, what: str = "its import failed") -> None:
        super().__init__(UPSTREAM, f"{where}: {what}, see the ledger of that step")


class ConfigError(Exception):
    """The config or a sheet is wrong: one line with the place and the nearest valid name, before any job runs."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class RunError(Exception):
    """The machine or the set-up is at fault (missing weights, full disk): the job fails and says so in one line."""


def unexpected(error: Exception) -> InputError:
    """What becomes of an item that an error ended which nobody foresaw; its traceback belongs into the log."""
    line = next(iter(str(error).splitlines()), "")[:200]
    return InputError("unexpected", f"{type(error).__name__}: {line}")
