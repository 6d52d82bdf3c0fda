"""The room of labels: one table of intervals of every recording that has a file of labels."""

from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.wall_clock import wall_seconds
from scripts.planning.config import rational
from scripts.planning.room import Room

if TYPE_CHECKING:
    from scripts.planning.plan import Plan


class LabelsRoom(Room):
    """The labels of the recordings, by the settings of their rigs."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.folder = f"{plan.path.results}/labels/{{rig}}/{{recording}}"
        self.settings = {rig.name: _settings(rig.name, rig.entry["labels"]) for rig in plan.rigs.values()}

    def reading(self, rig: str) -> dict[str, Any]:
        """The settings by which a rig's files are read."""
        return {name: value for name, value in self.settings[rig].items() if not name.startswith("export")}

    def intervals(self) -> str:
        """The table of a recording's labels."""
        return f"{self.folder}.labels.parquet"

    def ledger(self) -> str:
        """What became of a recording's file of labels."""
        return f"{self.folder}.labels.ledger.parquet"

    def exported(self) -> str:
        """The folder of a recording's labels in the files of other tools."""
        return f"{self.folder}.exports"

    def exported_ledger(self) -> str:
        """What was exported of a recording."""
        return f"{self.folder}.exports.ledger.parquet"

    def pooled(self) -> str:
        """The folder with the procedures of all recordings of a rig."""
        return f"{self.plan.path.results}/labels/{{rig}}/pooled"

    def pooled_ledger(self) -> str:
        """What was pooled of a rig."""
        return f"{self.plan.path.results}/labels/{{rig}}/pooled.ledger.parquet"

    def of_rig(self, rig: str, pattern: str) -> list[str]:
        """A file of every labelled recording of a rig."""
        own = [r for r in self.plan.recordings.values() if r.rig == rig and r.labels]
        return [pattern.format(rig=rig, recording=r.name) for r in own]

    def targets(self, stage: str) -> list[str]:
        """The table of every labelled recording, and what is exported of it."""
        if stage != "labels":
            return []
        return [*self._of_labelled(self.intervals()), *self._of_exported(), *self._of_pooled(self.pooled())]

    def ledgers(self) -> list[str]:
        """One ledger a labelled recording, one of what is exported of it, and one a rig of what is pooled."""
        return [*self._of_labelled(self.ledger()), *self._of_exported(), *self._of_pooled(self.pooled_ledger())]

    def reports(self) -> list[str]:
        """Everything for a person to look at: the pooled procedures; exports have ledgers of their own."""
        return self._of_pooled(self.pooled())

    def _of_labelled(self, pattern: str) -> list[str]:
        return [pattern.format(rig=r.rig, recording=r.name) for r in self.plan.chosen if r.labels]

    def _of_exported(self) -> list[str]:
        own = [r for r in self.plan.chosen if r.labels and self.settings[r.rig]["export"]]
        return [self.exported_ledger().format(rig=r.rig, recording=r.name) for r in own]

    def _of_pooled(self, pattern: str) -> list[str]:
        pools = [] if self.plan.only else [r for r, s in self.settings.items() if "procedures" in s["export"]]
        return [pattern.format(rig=rig) for rig in pools if self.of_rig(rig, "{recording}")]


def _settings(rig: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A rig's settings as plain values. Raises ConfigError for what contradicts itself."""
    place = f"rigs.{rig}.labels"
    if entry["sync"] and entry["fit"]:
        raise ConfigError(f"{place}: sync and fit both say when the recording starts; name one of them")
    if len(entry["fit"]) == 1:
        raise ConfigError(f"{place}.fit: one event tells no rate; name two, or use sync")
    for number, (time, _) in enumerate(entry["fit"]):
        if isinstance(time, str) and wall_seconds(time) is None:
            raise ConfigError(f"{place}.fit[{number}]: `{time}` is no time such as 2019-04-04 09:21:58:740439")
    # A table of Raven has its times where they always are.
    needed = {"label"} if entry["format"] == "raven" else {"label", "start"}
    if entry["columns"] and not needed <= set(entry["columns"]):
        raise ConfigError(f"{place}.columns: {' and '.join(sorted(needed))} are wanted, at least")
    fps = rational(entry["fps"], f"{place}.fps") if entry["fps"] else ""
    return {**entry, "fps": fps, "export_fps": rational(entry["export_fps"], f"{place}.export_fps")}
