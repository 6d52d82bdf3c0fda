"""What the rules of the exports ask of the plan: inputs and settings of a job, from its wildcards."""

from collections.abc import Callable
from typing import Any

from scripts.common.versions import versioned
from scripts.planning.exports_plan import Exports, Settings, names_in, rows_of, sides_of
from scripts.planning.planning_cost import quick
from scripts.planning.recordings import bytes_of

CODING = ("codec", "crf", "preset", "encoder")


class ExportRules:
    """Functions of wildcards, for the rules of rules/exports*.smk."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports
        self._plan = exports.plan

    def filled(self, pattern: str, kind: str, names: "Callable[[Any], list[str]]") -> Any:
        """An input: `pattern` with each of the names that a job wants in the place of `kind`."""

        @quick
        def fill(wildcards: Any) -> list[str]:
            place = {"rig": wildcards.rig, "recording": wildcards.recording}
            return [pattern.format(**place, **{kind: name}) for name in names(wildcards)]

        return fill

    def scene(self, wildcards: Any) -> Settings:
        """How a grid looks: its rows, cells, instants and coding."""
        return {**self._grid(self._scene(wildcards), wildcards.rig), **self._coding(self._scene(wildcards))}

    def frames_scene(self, wildcards: Any) -> Settings:
        """How the grid of all frames looks."""
        return self._grid(self._of(wildcards, "allframes"), wildcards.rig)

    def _grid(self, settings: Settings, rig: str) -> Settings:
        return {
            "rows": rows_of(settings, self._every_camera(settings, rig)),
            "columns": 0 if settings.get("layout") else settings["columns"],
            "explicit": bool(settings.get("layout")),
            "cell": settings.get("cell", []),
            "missing": settings["missing"],
            "fps": settings["fps"],
        }

    @staticmethod
    def _coding(settings: Settings) -> Settings:
        return {name: settings[name] for name in CODING}

    def cameras(self, wildcards: Any) -> list[str]:
        """The cameras of a grid, in the order of its cells."""
        return names_in(self._grid(self._scene(wildcards), wildcards.rig)["rows"])

    def frames_cameras(self, wildcards: Any) -> list[str]:
        """The cameras of the grid of all frames."""
        return names_in(self.frames_scene(wildcards)["rows"])

    def sound(self, wildcards: Any) -> Settings:
        """The sides of a product's sound and its coding; no sides, no sound."""
        settings = self._scene(wildcards) if hasattr(wildcards, "group") else self._of(wildcards, "merge")
        every = self.all_microphones(wildcards)
        sides = sides_of(settings, every) if every and settings.get("sound", True) else []
        return {
            "sides": sides,
            "codec": settings["sound_codec"],
            "kbps": settings["kbps"],
            "rate_hz": settings["rate_hz"],
        }

    def microphones(self, wildcards: Any) -> list[str]:
        """The microphones that a product's sound needs, each once."""
        parts = [part for side in self.sound(wildcards)["sides"] for part in side]
        return list(dict.fromkeys(part.partition(":")[0] for part in parts))

    def grid_key(self, wildcards: Any) -> dict[str, Any]:
        """The key of a grid's rule."""
        sound = self.sound(wildcards) if hasattr(wildcards, "group") else {}
        # Before 2, a frame that does not decode was named in the instants, and the one before it was shown.
        return versioned(
            1 + sound_version(sound), cameras=self.cameras(wildcards), scene=self.scene(wildcards), sound=sound
        )

    def grid_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes: pictures that wait in decoders and the encoder, of full size and hevc in the worst case."""
        return round((1000 + 400 * len(self.cameras(wildcards))) * (1 + 0.5 * (attempt - 1)))

    def gpus(self, wildcards: Any) -> int:
        """One GPU for a hardware encoder."""
        return int(self._scene(wildcards)["encoder"] == "nvenc")

    def merge_picture(self, wildcards: Any) -> str:
        """The video that is merged with sound."""
        return self._merged(wildcards, self._exports.path("full.mp4"), self._plan.path.video("media"))

    def merge_times(self, wildcards: Any) -> str:
        """The table with the times of that video."""
        return self._merged(wildcards, self._exports.path("full.instants.parquet"), self._plan.path.frames("media"))

    def merge_key(self, wildcards: Any) -> dict[str, Any]:
        """The key of the merge."""
        sound = self.sound(wildcards)
        return versioned(sound_version(sound), picture=self._of(wildcards, "merge")["picture"], sound=sound)

    def setting(self, product: str, name: str) -> Any:
        """A param: what a rig says of a product."""
        return quick(lambda wildcards: self._of(wildcards, product)[name])

    def key(self, product: str, *names: str) -> Any:
        """The key of a rule: the named settings of its product."""

        @quick
        def key(wildcards: Any) -> dict[str, Any]:
            settings = self._of(wildcards, product)
            return versioned(1, **{name: settings[name] for name in names})

        return key

    def frames_key(self, wildcards: Any) -> dict[str, Any]:
        """The key of all frames."""
        settings = self._of(wildcards, "allframes")
        told = {name: settings[name] for name in ("views", "form", "shard_mb", "quality")}
        # Version 1 had the picture before in the place of one that does not decode.
        return versioned(2, scene=self.frames_scene(wildcards), **told)

    def all_cameras(self, wildcards: Any) -> list[str]:
        """Every camera of the rig."""
        return list(self._plan.rigs[wildcards.rig].camera_settings)

    def all_microphones(self, wildcards: Any) -> list[str]:
        """Every microphone of the rig."""
        return list(self._plan.rigs[wildcards.rig].microphone_settings)

    def clip_coding(self, wildcards: Any) -> Settings:
        """How clips are encoded, all or only those that cannot be copied."""
        return self._coding(self._of(wildcards, "clips"))

    def clip_gpus(self, wildcards: Any) -> int:
        """One GPU for exact clips by a hardware encoder."""
        settings = self._of(wildcards, "clips")
        return int(settings["mode"] == "exact" and settings["encoder"] == "nvenc")

    def clip_key(self, wildcards: Any) -> dict[str, Any]:
        """The key of the clips."""
        settings = self._of(wildcards, "clips")
        told = {name: settings[name] for name in ("time", "zone", "mode")}
        # Before 2, the tables of clips that are encoded had rows for frames that do not decode.
        return versioned(2, coding=self.clip_coding(wildcards), bytes=bytes_of(settings["table"]), **told)

    def _merged(self, wildcards: Any, full: str, camera: str) -> str:
        picture = self._of(wildcards, "merge")["picture"]
        pattern = full if picture == "full" else camera
        return pattern.format(rig=wildcards.rig, recording=wildcards.recording, camera=picture)

    def _every_camera(self, settings: Settings, rig: str) -> list[str]:
        return settings.get("cameras") or list(self._plan.rigs[rig].camera_settings)

    def _scene(self, wildcards: Any) -> Settings:
        if not hasattr(wildcards, "group"):
            return self._of(wildcards, "full")
        mosaic = self._of(wildcards, "mosaic")
        return {**mosaic, **mosaic["groups"][wildcards.group]}

    def _of(self, wildcards: Any, product: str) -> Settings:
        return self._exports.settings(wildcards.rig, product)


def sound_version(sound: Settings) -> int:
    """The version of how a product's sound is written: that of `pcm` was bare, and is packed now."""
    return 2 if sound.get("sides") and sound["codec"] == "pcm" else 1
