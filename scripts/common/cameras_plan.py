"""The room of cameras: common frames, calibrations and keypoints of every rig that has the key `multicam`."""

import os
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.multicam_settings import check_multicam
from scripts.common.names import nearest
from scripts.common.recordings import Recording, tidy
from scripts.common.room import Room

if TYPE_CHECKING:
    from scripts.common.plan import Plan

# What the sheet's column `calibration` says of a recording of the board.
BOARD = "board"
ENDINGS = (".toml", ".yml", ".yaml", ".xml", ".txt")


class CamerasRoom(Room):
    """The settings of every rig with `multicam`, and which calibration belongs to which recording."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.folder = f"{plan.path.results}/cameras/{{rig}}/{{recording}}"
        self.settings: dict[str, dict[str, Any]] = {
            rig.name: check_multicam(rig) for rig in plan.rigs.values() if "multicam" in rig.entry
        }
        self.members = [r for r in plan.recordings.values() if r.rig in self.settings]
        self.sources = {r.name: self._source(r) for r in self.members}
        self.tables = {r.name: self._tables(r) for r in self.members}

    def path(self, name: str) -> str:
        """A file of a recording."""
        return f"{self.folder}/{name}"

    def is_board(self, recording: Recording) -> bool:
        """Whether a recording is one of the board."""
        return recording.calibration == BOARD

    def calibration_of(self, recording: str) -> str:
        """The calibration that a recording's points are triangulated with."""
        source = self.sources[recording]
        if source in self.plan.recordings:
            known = self.plan.recordings[source]
            return self.path("calibration.toml").format(rig=known.rig, recording=known.name)
        mine = self.plan.recordings[recording]
        return self.path("imported.toml").format(rig=mine.rig, recording=mine.name)

    def pattern(self, kind: str) -> str:
        """The recordings of a kind (board, imported, rest) as a wildcard's pattern, for rules that only they have."""
        import re

        found = [r.name for r in self.members if self._kind(r) == kind]
        return "|".join(map(re.escape, found)) or "(?!)"

    def targets(self, stage: str) -> list[str]:
        """Common frames of every recording, and the calibration of every recording of the board."""
        return self._files() if stage == "cameras" else []

    def ledgers(self) -> list[str]:
        """One ledger a job."""
        found = []
        for recording in self._chosen():
            names = ["align.ledger.parquet"]
            if self.is_board(recording):
                names += [
                    f"{camera}.corners.ledger.parquet" for camera in self.plan.rigs[recording.rig].camera_settings
                ]
                names.append("calibration.ledger.parquet")
            elif self._kind(recording) == "imported":
                names.append("imported.ledger.parquet")
            found += [self._of(recording, name) for name in names]
        return found

    def _files(self) -> list[str]:
        found = []
        for recording in self._chosen():
            found.append(self._of(recording, "aligned.parquet"))
            if self.is_board(recording):
                found.append(self._of(recording, "calibration.toml"))
        return found

    def _chosen(self) -> list[Recording]:
        return [r for r in self.plan.chosen if r.rig in self.settings]

    def _of(self, recording: Recording, name: str) -> str:
        return self.path(name).format(rig=recording.rig, recording=recording.name)

    def _kind(self, recording: Recording) -> str:
        if self.is_board(recording):
            return BOARD
        source = self.sources[recording.name]
        return "imported" if source and source not in self.plan.recordings else "rest"

    def _source(self, recording: Recording) -> str:
        """The recording or file that calibrates a recording; "" if there is none. Raises ConfigError."""
        said = recording.calibration
        if said == BOARD:
            return recording.name
        place = f"{self.plan.config['recordings']}, {recording.name}"
        boards = [r.name for r in self.members if r.calibration == BOARD and r.rig == recording.rig]
        if said in boards:
            return said
        if said in self.plan.recordings:
            raise ConfigError(
                f"{place}: the calibration `{said}` is no recording of the board of rig {recording.rig};"
                f" say `{BOARD}` in its own column calibration"
            )
        file = tidy(said or str(self.plan.rigs[recording.rig].entry["calibration"]))
        if said and not os.path.isfile(said):
            raise ConfigError(
                f"{place}: the calibration `{said}` is neither a recording nor a file{nearest(said, boards)}"
            )
        earlier = [name for name in boards if self._earlier(name, recording.name)]
        if not said and earlier:
            return earlier[-1]
        if file and not file.lower().endswith(ENDINGS):
            raise ConfigError(f"{place}: the calibration {file!r} does not end in {', '.join(ENDINGS)}")
        return file

    def _earlier(self, one: str, other: str) -> bool:
        order = list(self.plan.recordings)
        return order.index(one) < order.index(other)

    def _tables(self, recording: Recording) -> list[str]:
        """The csv files that a recording is aligned by. Raises ConfigError if one is not there."""
        align = self.settings[recording.rig]["align"]
        if align["by"] not in ("triggers", "given"):
            return []
        cameras = list(self.plan.rigs[recording.rig].camera_settings) if align["by"] == "triggers" else [""]
        source = recording.source
        found = []
        for camera in cameras:
            pattern = align["table"].replace("{source}", source).replace("{stem}", os.path.splitext(source)[0])
            path = tidy(pattern.replace("{camera}", camera))
            if not os.path.isfile(path):
                raise ConfigError(
                    f"{self.plan.config['recordings']}, {recording.name}: the table {path!r} does not exist"
                )
            found.append(path)
        return found
