"""The room of faces beside the landmarks: speech of microphones and scenes of cameras, for the datasets of windows."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.planning.config import schema, with_defaults
from scripts.planning.room import Room

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

YUNET_WEIGHTS, SFD_WEIGHTS = "face_detection_yunet_2023mar.onnx", "s3fd-619a316812.pth"
# Weight files (names in config/models.yaml) that each landmark back end needs, in the order of its arguments.
LANDMARK_WEIGHTS: dict[str, tuple[str, ...]] = {
    "fan": (YUNET_WEIGHTS, "2DFAN4-11f355bf06.pth.tar"),
    "fan3d": (YUNET_WEIGHTS, "3DFAN4-7835d9f11d.pth.tar"),
    "openseeface": (YUNET_WEIGHTS, "lm_model0_opt.onnx"),
    "given": (),
}
# Crops that go through the network together, where the config leaves it open.
BATCHES = {"cpu": 16, "gpu": 64}
# What each back end heeds of the section `faces`, beside the method of smoothing, which heeds its own entries alone.
_OF_ALL = frozenset({"interpolate_frames"})
_OF_DETECTION = _OF_ALL | {"detect_every", "min_score", "detector"}
_OF_FAN = _OF_DETECTION | {"precision", "peaks", "flip"}
HEEDED = {"fan": _OF_FAN, "fan3d": _OF_FAN, "openseeface": _OF_DETECTION, "given": _OF_ALL}
OF_SMOOTHING = {"none": (), "savgol": ("window", "order"), "one_euro": ("min_cutoff_hz", "beta")}


def search_settings(faces: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """The settings of a search for landmarks, by the names of its function. faces: the section of the config.

    What the back end does not heed stands at its default, and so does the batch: a change of it makes nothing again.
    """
    default = with_defaults({}, schema("config")["properties"]["faces"])
    own = {name: (faces if name in HEEDED[backend] else default)[name] for name in _OF_FAN}
    smooth = faces["smooth"]
    heeded = ("method", *OF_SMOOTHING[smooth["method"]])
    return {
        **{name: own[name] for name in ("detect_every", "min_score", "detector", "interpolate_frames")},
        "smooth": {name: (smooth if name in heeded else default["smooth"])[name] for name in smooth},
        "batch": BATCHES["cpu"],
        "network": {"precision": own["precision"], "peaks": own["peaks"], "flipped": own["flip"]},
    }


class FacesRoom(Room):
    """Interval tables of each recording of a dataset of windows."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.folder = f"{plan.path.results}/faces/{{rig}}/{{recording}}"
        self.searches = {backend: search_settings(plan.config["faces"], backend) for backend in LANDMARK_WEIGHTS}
        model = plan.config["faces"]["sync"]["model"]
        if model and not os.path.isfile(model):
            raise ConfigError(f"faces.sync.model: {model} is no file")
        _check_smooth(plan.config["faces"]["smooth"])
        for dataset in plan.datasets.values():
            for name in self.weight_files(dataset.landmarks) if dataset.cut else []:
                if name not in plan.weights:
                    place = plan.config["weights"]
                    raise ConfigError(f"{place}: `{name}`, for the landmarks of {dataset.name}, is missing")

    @property
    def batch(self) -> int:
        """Crops that go through the network together. It changes no landmark: no record of a product may hold it."""
        config = self.plan.config
        return config["faces"]["batch"] or BATCHES["cpu" if config["accelerator"] == "cpu" else "gpu"]

    def weight_files(self, backend: str) -> list[str]:
        """The weight files of a back end: of the detector that the config names, then of its network."""
        files = list(LANDMARK_WEIGHTS[backend])
        if files and self.plan.config["faces"]["detector"] == "sfd":
            files[0] = SFD_WEIGHTS
        return files

    def speech(self) -> str:
        """Stretches of speech of a microphone."""
        return f"{self.folder}/{{microphone}}.speech.parquet"

    def speech_ledger(self) -> str:
        """The ledger of a microphone's speech."""
        return f"{self.folder}/{{microphone}}.speech.ledger.parquet"

    def scenes(self) -> str:
        """Scenes of a camera, between its cuts."""
        return f"{self.folder}/{{camera}}.scenes.parquet"

    def scenes_ledger(self) -> str:
        """The ledger of a camera's cuts."""
        return f"{self.folder}/{{camera}}.scenes.ledger.parquet"

    def sync(self, what: str = "sync.parquet") -> str:
        """Scores of lips against sound: sync.parquet or sync.ledger.parquet."""
        return f"{self.folder}/{{camera}}.{{landmarks}}.{{microphone}}.{what}"

    def _syncs(self, what: str) -> list[str]:
        """A file of the sync of every recording of a dataset, where the config asks for any."""
        wanted = self.plan.config["faces"]["sync"]
        if not (wanted["lag"] or wanted["model"]):
            return []
        chosen = {recording.name for recording in self.plan.chosen}
        found: dict[str, None] = {}
        for d in self.plan.datasets.values():
            facts = {"rig": d.rig, "camera": d.camera, "landmarks": d.landmarks, "microphone": d.microphone}
            found |= {self.sync(what).format(recording=name, **facts): None for name in d.cut if name in chosen}
        return list(found)

    def crops(self, what: str) -> str:
        """Of the tracks of a camera: `crops.tar`, `measures.parquet` or `crops.ledger.parquet`."""
        return f"{self.folder}/{{camera}}.{{landmarks}}.{what}"

    def _crops(self, what: str) -> list[str]:
        """A file of the crops of every camera of a dataset, where the config asks for any."""
        if not self.plan.config["faces"]["crops"]:
            return []
        chosen = {recording.name for recording in self.plan.chosen}
        found = {
            self.crops(what).format(rig=d.rig, recording=name, camera=d.camera, landmarks=d.landmarks): None
            for d in self.plan.datasets.values()
            for name in d.cut
            if name in chosen
        }
        return list(found)

    def wants_speech(self, dataset: str) -> bool:
        """Whether windows of a dataset are asked for speech at all."""
        return self.plan.datasets[dataset].limits["no_speech"] > 0

    def targets(self, stage: str) -> list[str]:
        """The tables of every dataset."""
        if stage != "faces":
            return []
        return [
            *self._tables(self.scenes(), self.speech()),
            *self._crops("measures.parquet"),
            *self._syncs("sync.parquet"),
        ]

    def ledgers(self) -> list[str]:
        """One ledger a table."""
        tables = self._tables(self.scenes_ledger(), self.speech_ledger())
        return [*tables, *self._crops("crops.ledger.parquet"), *self._syncs("sync.ledger.parquet")]

    @property
    def compared(self) -> list[tuple[str, str, list[str]]]:
        """Landmarks of two back ends of one camera: both files, and recording, camera and back ends."""
        chosen = {recording.name for recording in self.plan.chosen}
        found: dict[tuple[str, str, str], list[str]] = {}
        for dataset in self.plan.datasets.values():
            for name in (name for name in dataset.cut if name in chosen):
                known = found.setdefault((dataset.rig, name, dataset.camera), [])
                known += [] if dataset.landmarks in known else [dataset.landmarks]
        pattern = self.plan.path.landmarks()
        pairs: list[tuple[str, str, list[str]]] = []
        for (rig, name, camera), names in found.items():
            paths = [pattern.format(rig=rig, recording=name, camera=camera, landmarks=backend) for backend in names]
            for path, other in zip(paths[1:], names[1:], strict=True):
                pairs.append((paths[0], path, [name, camera, names[0], other]))
        return pairs

    def reports(self) -> list[str]:
        """How far back ends agree, where there are two of a camera."""
        return [self.plan.path.report("landmark_agreement.tsv")] if self.compared else []

    def _tables(self, of_camera: str, of_microphone: str) -> list[str]:
        chosen = {recording.name for recording in self.plan.chosen}
        found: dict[str, None] = {}
        for dataset in self.plan.datasets.values():
            for name in (name for name in dataset.cut if name in chosen):
                found[of_camera.format(rig=dataset.rig, recording=name, camera=dataset.camera)] = None
                if self.wants_speech(dataset.name):
                    found[of_microphone.format(rig=dataset.rig, recording=name, microphone=dataset.microphone)] = None
        return list(found)


def _check_smooth(smooth: dict[str, Any]) -> None:
    window, order = smooth["window"], smooth["order"]
    if smooth["method"] != "savgol":
        return
    # An even window has no middle frame: what is fitted to it stands half a frame aside.
    if window % 2 == 0:
        raise ConfigError(f"faces.smooth.window: {window} is even; write {window - 1} or {window + 1}")
    if order >= window:
        raise ConfigError(f"faces.smooth.order: {order} is not less than window, {window}: nothing would be smoothed")
