"""The last picture of a camera, held until the next one has come: one that came late is written before it."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from scripts.sources.picture_table import PictureTable
from scripts.sources.picture_times import Instant

Picture = TypeVar("Picture")


class Taken(NamedTuple, Generic[Picture]):
    """A picture as it came. source: the number of its message; picture: None for one outside of the wanted part."""

    instant: Instant
    source: int
    picture: Picture | None


class HeldPicture(Generic[Picture]):
    """Calls `write` with each picture and the instant of the one after it, if there is one: between two a wrong stamp
    is plain."""

    def __init__(self, table: PictureTable, write: Callable[[Taken[Picture], Instant | None], None]) -> None:
        self._table, self._write = table, write
        self._held: Taken[Picture] | None = None

    def take(self, taken: Taken[Picture]) -> None:
        """Write the one of the held picture and this that is shown first, and hold the other."""
        if self._held is not None and self._table.came_late(taken.instant, self._held.instant):
            taken, self._held = self._held, taken
        self.release(taken.instant)
        self._held = taken

    def release(self, after: Instant | None = None) -> None:
        """Write the held picture; the next one was taken at `after`."""
        held, self._held = self._held, None
        if held is not None:
            self._write(held, after)
