"""The room of cameras: common frames, calibrations and keypoints of every rig that has the key `multicam`."""

import os
import re
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.file_endings import CALIBRATIONS
from scripts.common.names import nearest, one_of
from scripts.planning.multicam_settings import check_multicam
from scripts.planning.recordings import Recording, tidy
from scripts.planning.room import Room

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

# What the sheet's column `calibration` says of a recording of the board.
BOARD = "board"
# Beside copies that took the place of originals: which ones, and where these were.
COPIES = "compressed.json"


class CamerasRoom(Room):
    """The settings of every rig with `multicam`, and which calibration belongs to which recording."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.folder = f"{plan.path.results}/cameras/{{rig}}/{{recording}}"
        self.settings: dict[str, dict[str, Any]] = {
            rig.name: check_multicam(rig) for rig in plan.rigs.values() if "multicam" in rig.entry
        }
        self.compressed = {rig: said["compress"] for rig, said in self.settings.items() if "compress" in said}
        self.members = [r for r in plan.recordings.values() if r.rig in self.settings]
        self.sources = {r.name: self._source(r) for r in self.members}
        self.tables = {r.name: self._tables(r) for r in self.members}
        self.models = {rig: self._models(rig) for rig in self.settings}
        self.given = {r.name: self._given(r) for r in self.members}

    def path(self, name: str) -> str:
        """A file of a recording."""
        return f"{self.folder}/{name}"

    def poses(self) -> str:
        """Keypoints in space as they are handed on."""
        return self.path("smoothed.parquet")

    def page(self, ending: str) -> str:
        """What a person looks at of a recording's keypoints."""
        return self.plan.path.report(f"cameras/{{rig}}/{{recording}}.{ending}")

    def reports(self) -> list[str]:
        """A video and a page of every recording with keypoints."""
        found = [recording for recording in self._chosen() if self.detects(recording)]
        return [self.page(e).format(rig=r.rig, recording=r.name) for r in found for e in ("mp4", "html")]

    @property
    def compressing(self) -> str:
        """The rigs of which copies are wanted, as a wildcard's pattern."""
        return one_of(self.compressed)

    def compresses(self, recording: Recording) -> bool:
        """Whether copies of a recording's files are wanted: not of files that are such copies."""
        source = recording.source
        folder = source if os.path.isdir(source) else os.path.dirname(source)
        return recording.rig in self.compressed and not os.path.isfile(os.path.join(folder, COPIES))

    def copy_of(self, recording: Recording, camera: str, ending: str) -> str:
        """The smaller copy of a camera's file (mp4), what is known of it (json), and its ledger."""
        return self._of(recording, f"compressed/{camera}.{ending}")

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
        return one_of(r.name for r in self.members if self._kind(r) == kind)

    def targets(self, stage: str) -> list[str]:
        """Common frames of every recording, the calibration of each of the board, smoothed poses of the others."""
        return self._files() if stage == "cameras" else []

    def ledgers(self) -> list[str]:
        """One ledger a job."""
        found = []
        for recording in self._chosen():
            found += self._copies(recording, "ledger.parquet")
            names = ["align.ledger.parquet"]
            if self.is_board(recording):
                names += [
                    f"{camera}.corners.ledger.parquet" for camera in self.plan.rigs[recording.rig].camera_settings
                ]
                names.append("calibration.ledger.parquet")
                found += [self._of(recording, name) for name in names]
                continue
            if self._kind(recording) == "imported" and self.detects(recording):
                names.append("imported.ledger.parquet")
            if self.detects(recording):
                cameras = self.plan.rigs[recording.rig].camera_settings
                steps = ["segments", "keypoints"] if self.segments(recording.rig) else ["keypoints"]
                names += [f"{camera}.{step}.ledger.parquet" for step in steps for camera in cameras]
                names += ["points.ledger.parquet", "smooth.ledger.parquet"]
                names += ["exported.ledger.parquet"] if self.settings[recording.rig]["export"] else []
            found += [self._of(recording, name) for name in names]
        return found

    def _files(self) -> list[str]:
        found = []
        for recording in self._chosen():
            found += [self._of(recording, "aligned.parquet"), *self._copies(recording, "mp4")]
            if self.is_board(recording):
                found.append(self._of(recording, "calibration.toml"))
            elif self.detects(recording):
                found.append(self._of(recording, "smoothed.parquet"))
                found += [self._of(recording, "exported")] if self.settings[recording.rig]["export"] else []
        return found

    def _copies(self, recording: Recording, ending: str) -> list[str]:
        if not self.compresses(recording):
            return []
        cameras = [name for name, setting in recording.cameras.items() if setting["file"] >= 0]
        return [self.copy_of(recording, name, ending) for name in cameras]

    def detects(self, recording: Recording) -> bool:
        """Whether keypoints are wanted of a recording: not of the board."""
        return self.settings[recording.rig]["detect"]["backend"] != "none" and not self.is_board(recording)

    def _models(self, rig: str) -> dict[str, str]:
        """Files of `weights` of detect and segment: a path, or a name of config/models.yaml. Raises ConfigError."""
        found = {}
        for section in ("detect", "segment"):
            name = self.settings[rig][section]["weights"]
            if name in self.plan.weights:
                found[section] = self.plan.path.weights().format(weights=name)
            elif name and not os.path.isfile(name):
                hint = nearest(name, self.plan.weights)
                raise ConfigError(
                    f"rigs.{rig}.multicam.{section}.weights: `{name}` is neither a file nor a weight file{hint}"
                )
            else:
                found[section] = tidy(name)
        return found

    def segments(self, rig: str) -> bool:
        """Whether a rig's pictures are looked at in part."""
        return bool(self.settings[rig]["segment"]["backend"] != "none")

    def _given(self, recording: Recording) -> dict[str, str]:
        """The file of another program by camera. Raises ConfigError if one is not there."""
        pattern = self.settings[recording.rig]["detect"]["given"]
        if self.settings[recording.rig]["detect"]["backend"] != "given" or self.is_board(recording):
            return {}
        found = {}
        for camera in self.plan.rigs[recording.rig].camera_settings:
            path = _filled(pattern, recording.source, camera)
            if not os.path.exists(path):
                raise ConfigError(f"{self.plan.config['recordings']}, {recording.name}: {path!r} does not exist")
            found[camera] = path
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
        if file and not os.path.isfile(file):
            raise ConfigError(f"rigs.{recording.rig}.calibration: {file!r} is no file")
        if file and not file.lower().endswith(CALIBRATIONS):
            raise ConfigError(f"{place}: the calibration {file!r} does not end in {', '.join(CALIBRATIONS)}")
        if not file and self.settings[recording.rig]["detect"]["backend"] != "none":
            raise ConfigError(
                f"{place}: nothing calibrates it; say `{BOARD}` in the column calibration of a recording of the board"
                f" above it, or name a file there or as rigs.{recording.rig}.calibration"
            )
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
            path = _filled(align["table"], source, camera)
            if not os.path.isfile(path):
                raise ConfigError(
                    f"{self.plan.config['recordings']}, {recording.name}: the table {path!r} does not exist"
                )
            found.append(path)
        return found


def _filled(pattern: str, source: str, camera: str) -> str:
    """A file pattern of a recording, for one camera."""
    places = {"{source}": source, "{stem}": os.path.splitext(source)[0], "{camera}": camera}
    return tidy(re.sub(r"\{source\}|\{stem\}|\{camera\}", lambda match: places[match[0]], pattern))
