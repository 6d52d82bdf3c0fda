"""What the rules of the spectrogram, the location and the latency ask of the plan."""

from typing import Any

from scripts.common.versions import versioned
from scripts.planning.exports_plan import sides_of
from scripts.planning.exports_rules import ExportRules
from scripts.planning.planning_cost import quick
from scripts.planning.recordings import bytes_of

Settings = dict[str, Any]


class SpectrogramRules(ExportRules):
    """Functions of wildcards, for the rules of rules/spectrogram.smk."""

    def listen(self, wildcards: Any) -> list[str]:
        """What the strip shows: as configured, or the left side of the group's sound, whether it has one or not."""
        chosen: list[str] = self._of(wildcards, "spectrogram")["listen"]
        return chosen or sides_of(self._scene(wildcards), self.all_microphones(wildcards))[0]

    def heard(self, wildcards: Any) -> list[str]:
        """The microphones that the strip or the sound needs, each once."""
        parts = [*self.microphones(wildcards), *(part.partition(":")[0] for part in self.listen(wildcards))]
        return list(dict.fromkeys(parts))

    def look(self, wildcards: Any) -> Settings:
        """How the strip looks, and what it shows."""
        settings = self._of(wildcards, "spectrogram")
        names = ("nperseg", "hop", "band_hz", "range_db", "colours", "window_s", "height")
        return {"listen": self.listen(wildcards), **{name: settings[name] for name in names}}

    def track(self, wildcards: Any) -> Any:
        """The places of the sound, where it is located."""
        if not self._of(wildcards, "spectrogram").get("location"):
            return []
        return self._exports.path("location.parquet").format(rig=wildcards.rig, recording=wildcards.recording)

    def calibration(self, wildcards: Any) -> Any:
        """The calibration of the rig's cameras, where sound is located and there is one."""
        located = self._of(wildcards, "spectrogram").get("location")
        return (self._plan.rigs[wildcards.rig].entry.get("calibration") or []) if located else []

    def spectrogram_key(self, wildcards: Any) -> Settings:
        """The key of the spectrogram."""
        given = self._calibration_bytes(wildcards)
        return versioned(1, grid=self.grid_key(wildcards), spectrogram=self.look(wildcards), **given)

    def location(self, wildcards: Any) -> Settings:
        """How sound is located."""
        settings: Settings = self._of(wildcards, "spectrogram")["location"]
        return {name: value for name, value in settings.items() if name != "microphone"}

    def location_key(self, wildcards: Any) -> Settings:
        """The key of the location."""
        given = self._calibration_bytes(wildcards)
        return versioned(2, cameras=self.all_cameras(wildcards), location=self.location(wildcards), **given)

    def _calibration_bytes(self, wildcards: Any) -> dict[str, int]:
        file = self.calibration(wildcards)
        return {"bytes": bytes_of(file)} if file else {}

    def located(self, pattern: str) -> Any:
        """An input: a file of the microphone whose sound is located."""
        return self._one(pattern, "spectrogram", "microphone", "microphone")

    def located_microphone(self, wildcards: Any) -> str:
        """The microphone whose sound is located."""
        return str(self._of(wildcards, "spectrogram")["location"]["microphone"])

    def timed(self, pattern: str, kind: str) -> Any:
        """An input: a file of the camera or microphone whose latency is measured."""
        return self._one(pattern, "latency", kind, kind)

    def latency_key(self, wildcards: Any) -> Settings:
        """The key of the latency."""
        return versioned(1, **self._of(wildcards, "latency"))

    def events(self, wildcards: Any) -> Settings:
        """What the latency is measured by."""
        return {"events": self._of(wildcards, "latency")["events"]}

    def _one(self, pattern: str, product: str, kind: str, key: str) -> Any:
        @quick
        def fill(wildcards: Any) -> str:
            settings = self._of(wildcards, product)
            name = (settings["location"] if product == "spectrogram" else settings)[key]
            return pattern.format(rig=wildcards.rig, recording=wildcards.recording, **{kind: name})

        return fill
