"""A camera or microphone on its way from a source to its two outputs, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.common import atomic, ledger, manifest
from scripts.common.empty import write_empty
from scripts.common.errors import InputError


@dataclass
class Imported:
    """A camera (kind "video") or microphone ("sound") of the rig.

    media, table: its two outputs.  setting: of the rig.  error: why it cannot be had.  count: frames or samples
    written.  facts: for the manifest.  notes: what a person should know.
    """

    name: str
    kind: str
    setting: dict[str, Any]
    media: Path
    table: Path
    error: InputError | None = field(default=None, kw_only=True)
    count: int = field(default=0, kw_only=True)
    facts: dict[str, Any] = field(default_factory=dict, kw_only=True)
    notes: list[str] = field(default_factory=list, kw_only=True)

    def entry(self) -> dict[str, Any]:
        """What the manifest says of it."""
        if self.error is None:
            return self.facts
        return manifest.failed_entry(self.kind, self.error.reason, self.error.message)

    def row(self, step: str, recording: str) -> ledger.Row:
        """Its row of the ledger."""
        error = self.error
        if error is None:
            return ledger.Row(step, recording, self.name, "written", value=self.count, message="; ".join(self.notes))
        return ledger.Row(step, recording, self.name, "failed", error.reason, error.value, error.limit, error.message)

    def write_empty(self) -> None:
        """Make its outputs whole and empty: it cannot be had."""
        for path in (self.media, self.table):
            atomic.remove(path)
            write_empty(path, path.name)


def refuse_all_failed(streams: Sequence[Imported]) -> None:
    """Raises the InputError for which every stream failed, if it is one and the same."""
    errors = [stream.error for stream in streams if stream.error is not None]
    if errors and len(errors) == len(streams) and len({error.message for error in errors}) == 1:
        raise errors[0]
