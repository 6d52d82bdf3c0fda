"""The room of labels: one table of intervals of every recording that has a file of labels."""

from typing import TYPE_CHECKING, Any

from scripts.common.config import rational
from scripts.common.errors import ConfigError
from scripts.common.room import Room

if TYPE_CHECKING:
    from scripts.common.plan import Plan


class LabelsRoom(Room):
    """The labels of the recordings, by the settings of their rigs."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.folder = f"{plan.path.results}/labels/{{rig}}/{{recording}}"
        self.settings = {rig.name: _settings(rig.name, rig.entry["labels"]) for rig in plan.rigs.values()}

    def intervals(self) -> str:
        """The table of a recording's labels."""
        return f"{self.folder}.labels.parquet"

    def ledger(self) -> str:
        """What became of a recording's file of labels."""
        return f"{self.folder}.labels.ledger.parquet"

    def targets(self, stage: str) -> list[str]:
        """The table of every labelled recording."""
        return self._of_labelled(self.intervals()) if stage == "labels" else []

    def ledgers(self) -> list[str]:
        """One ledger a labelled recording."""
        return self._of_labelled(self.ledger())

    def _of_labelled(self, pattern: str) -> list[str]:
        return [pattern.format(rig=r.rig, recording=r.name) for r in self.plan.chosen if r.labels]


def _settings(rig: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A rig's settings as plain values. Raises ConfigError for what contradicts itself."""
    place = f"rigs.{rig}.labels"
    if entry["sync"] and entry["fit"]:
        raise ConfigError(f"{place}: sync and fit both say when the recording starts; name one of them")
    if len(entry["fit"]) == 1:
        raise ConfigError(f"{place}.fit: one event tells no rate; name two, or use sync")
    if entry["columns"] and not {"label", "start"} <= set(entry["columns"]):
        raise ConfigError(f"{place}.columns: label and start are wanted, at least")
    return {**entry, "fps": rational(entry["fps"], f"{place}.fps") if entry["fps"] else ""}
