"""Which file of a recording's exports had which name in the old system (`naming: aviary`)."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.names import folded
from scripts.common.versions import versioned

if TYPE_CHECKING:
    from scripts.planning.exports_plan import Exports

# How the old system called groups of cameras; `_all` was its merged grid.
OLD_GROUPS = {"bottom": "bot", "all": "mosaic"}
# Products that the old system did not have.
NEW = {"clips", "latency"}


def old_group(name: str) -> str:
    """How the old system would have called a group, in `aviary_…_<group>.mp4`."""
    return OLD_GROUPS.get(name, name)


@dataclass(frozen=True)
class AnyRecording:
    """Wildcards that stand for every recording of a rig: their old names differ in {base} alone."""

    rig: str
    recording: str = "any"


class AviaryRules:
    """Functions of wildcards, for the rule link_aviary_names."""

    def __init__(self, exports: "Exports") -> None:
        self._exports = exports
        self._plan = exports.plan
        self._of = {
            "separate": self._separate,
            "audio": self._audio,
            "full": self._full,
            "merge": self._merge,
            "mosaic": self._mosaic,
            "spectrogram": self._spectrogram,
            "frame": self._frame,
            "allframes": self._allframes,
        }

    def check(self, rig: str) -> None:
        """Raise ConfigError if two files of a rig would have one old name, on a system that does not tell case."""
        known: dict[str, str] = {}
        for file, name in self._pairs(AnyRecording(rig)):
            # A folder lends its name to what is in it, and may share it.
            if not PurePath(name).suffix:
                continue
            first = known.setdefault(folded(name), file)
            if first != file:
                both = f"{PurePath(first).name} and {PurePath(file).name}"
                raise ConfigError(
                    f"rigs.{rig}.exports: with `naming: aviary`, {both} would both be called "
                    f"{name.format(base='aviary_…')}; give the group another name"
                )

    def files(self, wildcards: Any) -> list[str]:
        """What is linked: files, and folders of files."""
        return [file for file, _ in self._pairs(wildcards)]

    def names(self, wildcards: Any) -> list[str]:
        """Under which name; "{base}" stands for the recording's."""
        return [name for _, name in self._pairs(wildcards)]

    def frames(self, wildcards: Any) -> list[str]:
        """The frame tables that become `_ts.txt`."""
        pattern = self._plan.path.frames("media")
        wanted = "separate" in self._products(wildcards)
        return [self._fill(pattern, wildcards, camera=name) for name in self._cameras(wildcards) if wanted]

    def clocks(self, wildcards: Any) -> list[str]:
        """The clocks that become `.aux`."""
        pattern = self._plan.path.clock("media")
        return [self._fill(pattern, wildcards, microphone=name) for name in self.microphones(wildcards)]

    def raws(self, wildcards: Any) -> list[str]:
        """The raw sounds, which the old tools read beside the `.aux`."""
        pattern = self._exports.path("audio/{microphone}.raw")
        return [self._fill(pattern, wildcards, microphone=name) for name in self.microphones(wildcards)]

    def instants(self, wildcards: Any) -> list[str]:
        """The instants of the full grid, if there is one."""
        pattern = self._exports.path("full.instants.parquet")
        return [self._fill(pattern, wildcards)] if "full" in self._products(wildcards) else []

    def microphones(self, wildcards: Any) -> list[str]:
        """The microphones whose sound is exported."""
        names = list(self._plan.rigs[wildcards.rig].microphone_settings)
        return names if "audio" in self._products(wildcards) else []

    def source(self, wildcards: Any) -> str:
        """The file name of the recording's source, which may be that of a slice."""
        return self._plan.recordings[wildcards.recording].files[0].rpartition("/")[2]

    def key(self, wildcards: Any) -> dict[str, Any]:
        """The key of the rule."""
        return versioned(1, names=self.names(wildcards), source=self.source(wildcards))

    def _pairs(self, wildcards: Any) -> list[tuple[str, str]]:
        """Each exported file and its old name."""
        found = [self._of[product](wildcards) for product in self._products(wildcards) if product not in NEW]
        return [pair for pairs in found for pair in pairs]

    def _separate(self, wildcards: Any) -> list[tuple[str, str]]:
        pattern = self._plan.path.video("media")
        names = enumerate(self._cameras(wildcards))
        return [(self._fill(pattern, wildcards, camera=name), f"{{base}}_view{number}.mp4") for number, name in names]

    def _audio(self, wildcards: Any) -> list[tuple[str, str]]:
        made = []
        microphones = self.microphones(wildcards)
        forms = self._exports.settings(wildcards.rig, "audio")["formats"]
        for name in microphones:
            stem = "{base}_audio" if len(microphones) == 1 else f"{{base}}_audio_{name}"
            sound = self._fill(self._plan.path.sound("media"), wildcards, microphone=name)
            raw = self._fill(self._exports.path("audio/{microphone}.raw"), wildcards, microphone=name)
            made += [(sound, f"{stem}.wav"), (raw, f"{stem}.raw")]
            made += [
                (self._fill(self._exports.path(f"audio/{name}.{form}"), wildcards), stem)
                for form in forms
                if form in ("flac", "wavpack")
            ]
        return made

    def _full(self, wildcards: Any) -> list[tuple[str, str]]:
        return [(self._fill(self._exports.path("full.mp4"), wildcards), "video_full.mp4")]

    def _merge(self, wildcards: Any) -> list[tuple[str, str]]:
        return [(self._fill(self._exports.path("merge.mp4"), wildcards), "{base}_all.mp4")]

    def _mosaic(self, wildcards: Any) -> list[tuple[str, str]]:
        groups = self._exports.settings(wildcards.rig, "mosaic")["groups"]
        return [
            (self._fill(self._exports.path(f"mosaic.{name}.mp4"), wildcards), f"{{base}}_{old_group(name)}.mp4")
            for name in groups
        ]

    def _spectrogram(self, wildcards: Any) -> list[tuple[str, str]]:
        groups = self._exports.settings(wildcards.rig, "mosaic")["groups"]
        return [
            (
                self._fill(self._exports.path(f"spectrogram.{name}.mp4"), wildcards),
                f"{{base}}_{old_group(name)}_locspec.mp4",
            )
            for name in groups
        ]

    def _frame(self, wildcards: Any) -> list[tuple[str, str]]:
        pattern = self._exports.path("frame/{camera}")
        return [(self._fill(pattern, wildcards, camera=name), "frames") for name in self._cameras(wildcards)]

    def _allframes(self, wildcards: Any) -> list[tuple[str, str]]:
        return [(self._fill(self._exports.path("allframes"), wildcards), "frames")]

    def _products(self, wildcards: Any) -> list[str]:
        return list(self._exports.products[wildcards.rig])

    def _cameras(self, wildcards: Any) -> list[str]:
        return list(self._plan.rigs[wildcards.rig].camera_settings)

    @staticmethod
    def _fill(pattern: str, wildcards: Any, **names: str) -> str:
        return pattern.format(rig=wildcards.rig, recording=wildcards.recording, **names)
