"""The room of models: what is trained on which dataset, and where it stands. Runs are named, and stand side by side."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.names import instead_of, is_stream_name, nearest, one_of
from scripts.planning.frames_plan import FramesRoom
from scripts.planning.inference_plan import make_inference
from scripts.planning.room import Room

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

# The kind of dataset that each kind of model learns from.
LEARNS_FROM = {"speech_landmarks": "windows", "frame_classifier": "frames", "clip_classifier": "frames"}
# The libraries of backbones, before the name of one.
BACKBONES = ("timm", "torchvision")
CLASSIFIERS = ("frame_classifier", "clip_classifier")
# The table of labelled frames: of a dataset, or one that the config names by its path.
INDEX = "index.parquet"
# What no weight changes by: more of it goes on where the last run ended.
NOT_OF_THE_WEIGHTS = ("epochs", "checkpoint_every", "sample_every", "samples", "folds", "random_split")


@dataclass(frozen=True)
class Model:
    """A model of the config. settings: its checked entry."""

    name: str
    kind: str
    dataset: str
    settings: dict[str, Any]

    @property
    def runs(self) -> list[str]:
        """The trainings of a classifier: on the dataset's split, on a random one, and on each fold."""
        drawn = ["random"] if self.settings["random_split"] else []
        return ["whole", *drawn, *(f"fold{number}" for number in range(self.settings["folds"]))]

    @property
    def of_weights(self) -> dict[str, Any]:
        """The settings that decide which weights a given number of epochs leads to."""
        return {name: value for name, value in self.settings.items() if name not in NOT_OF_THE_WEIGHTS}


class ModelsRoom(Room):
    """Every model of the config: settings, paths, targets."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self.models = {name: self._model(name, entry) for name, entry in plan.config["models"].items()}
        self.folder = f"{plan.path.results}/models/{{model}}"
        self.inference = make_inference(plan)

    def _model(self, name: str, entry: dict[str, Any]) -> Model:
        place, datasets = f"models.{name}", self.plan.config["datasets"]
        if not is_stream_name(name):
            raise ConfigError(f"{place}: a model's name becomes a folder; {instead_of(name, '_+=@-')}")
        kind = LEARNS_FROM[entry["kind"]]
        _check_backbone(entry.get("backbone", ""), f"{place}.backbone")
        if entry.get("backbone") and not entry["weights"]:
            raise ConfigError(f"{place}.weights: the backbone {entry['backbone']} needs a file of weights")
        if entry.get("weights") and not os.path.isfile(entry["weights"]):
            raise ConfigError(f"{place}.weights: {entry['weights']} is no file")
        if entry.get("folds") in (1, 2):
            raise ConfigError(f"{place}.folds: {entry['folds']}; to train, choose and test, at least 3 are needed")
        if kind == "frames" and entry["dataset"].endswith(INDEX) and os.path.isfile(entry["dataset"]):
            return Model(name, entry["kind"], entry["dataset"], entry)
        fitting = [other for other, settings in datasets.items() if settings["kind"] == kind]
        if entry["dataset"] not in fitting:
            raise ConfigError(
                f"{place}.dataset: there is no dataset `{entry['dataset']}` of kind {kind}"
                f"{nearest(entry['dataset'], fitting)}"
            )
        if kind == "windows":
            self._check_sound(entry["dataset"], place)
        if entry["kind"] == "clip_classifier" and datasets[entry["dataset"]]["cap"]:
            raise ConfigError(
                f"{place}.dataset: a clip is of frames in a row, and datasets.{entry['dataset']}.cap draws single ones;"
                f" name a dataset without a cap ({place}.balanced weighs its classes)"
            )
        return Model(name, entry["kind"], entry["dataset"], entry)

    def _check_sound(self, name: str, place: str) -> None:
        """A model from sound takes its samples; datasets whose `features` leave them out have none."""
        # Without recordings (`snakemake scan`, sounds alone) no dataset is resolved.
        resolved = self.plan.datasets.get(name)
        for maker in dict.fromkeys(resolved.makers.values()) if resolved else ():
            features = self.plan.datasets[maker].features
            # What is adopted has its samples, whatever else is asked for.
            if "raw" not in features and not self.plan.datasets[maker].adopted:
                wanted = ", ".join(["raw", *features])
                raise ConfigError(
                    f"{place}.dataset: the windows of {name} hold no samples of the sound; "
                    f"set datasets.{maker}.features: [{wanted}]"
                )

    def names(self, kind: str) -> str:
        """The models of a kind as a wildcard's pattern."""
        return one_of(model.name for model in self.models.values() if model.kind == kind)

    def file(self, name: str) -> str:
        """A file or folder of a model."""
        return f"{self.folder}/{name}"

    def run_file(self, name: str) -> str:
        """A file or folder of one run of a classifier."""
        return f"{self.folder}/{{split_by}}/{name}"

    def inferred(self, name: str, *, engine: bool = False) -> str:
        """A result of `snakemake infer`; of an engine that is asked, or of a checkpoint."""
        folder = self.inference.folder if self.inference else f"{self.plan.path.results}/inference/none"
        return f"{folder}/{name}" if not engine else f"{folder}.by_engine/{name}"

    def engine(self) -> str:
        """Where an engine that is started for the run writes its URL."""
        return self.inferred("engine.url", engine=True)

    def inference_targets(self) -> list[str]:
        """What `snakemake infer` makes; without sounds, a job that says what is missing."""
        asked = bool(self.inference and self.inference.endpoint)
        return [self.inferred("ledger.checked", engine=asked)]

    def again(self, targets: Collection[str]) -> list[str]:
        """The ledger of an inference with requests that failed; with `retry=failed`, with sounds that failed, too."""
        (checked,) = self.inference_targets()
        ledger = checked.removesuffix(".checked") + ".parquet"
        if {"infer", checked}.isdisjoint(targets) or os.path.exists(checked) or not os.path.exists(ledger):
            return []
        # Only where an inference has ended badly: any other plan does without libraries for tables.
        from scripts.common.inference_rows import failed_requests, failed_sounds

        failed = failed_requests(Path(ledger))
        if self.plan.config["retry"] == "failed":
            failed += failed_sounds(Path(ledger))
        return [ledger] if failed else []

    def targets(self, stage: str) -> list[str]:
        """The figures of every model; none for a few recordings, which no model is trained on."""
        return self._of_each(self._figures) if stage == "models" else []

    def notices(self) -> list[str]:
        """The models that cannot be trained; of sounds alone nobody expects it."""
        if self.plan.config["folder"] or self.plan.config["audio_dir"]:
            return []
        empty = [model for model in self.models.values() if not self._has_samples(model)]
        return [f"models.{model.name} is not trained: {model.dataset} has no recordings" for model in empty]

    def ledgers(self) -> list[str]:
        """One ledger a model."""
        return self._of_each(self._ledgers)

    def reports(self) -> list[str]:
        """A plot of each training."""
        return self._of_each(self._plots)

    def _of_each(self, what: Callable[[Model], list[str]]) -> list[str]:
        trained = [] if self.plan.only else [model for model in self.models.values() if self._has_samples(model)]
        return [path.format(model=model.name) for model in trained for path in what(model)]

    def _has_samples(self, model: Model) -> bool:
        """Whether anything is in the model's dataset, wherever that comes from: recordings, folders, other projects."""
        if model.dataset.endswith(INDEX):
            return True
        frames = self.plan.rooms["frames"]
        assert isinstance(frames, FramesRoom)
        dataset = self.plan.datasets.get(model.dataset) or frames.datasets.get(model.dataset)
        return bool(dataset and dataset.recordings)

    def _figures(self, model: Model) -> list[str]:
        return [self.file("metrics.json")]

    def _ledgers(self, model: Model) -> list[str]:
        return self._of_runs(model, "ledger.parquet") or [self.file("ledger.parquet")]

    def _plots(self, model: Model) -> list[str]:
        if model.kind in CLASSIFIERS:
            return [self.file("splits.tsv"), self.file("splits.svg"), *self._of_runs(model, "confusion.svg")]
        return [self.file("training.svg")]

    def _of_runs(self, model: Model, name: str) -> list[str]:
        runs = model.runs if model.kind in CLASSIFIERS else []
        return [self.run_file(name).replace("{split_by}", run) for run in runs]


def _check_backbone(backbone: str, place: str) -> None:
    """Which networks a library has, it alone knows: planning does without it."""
    library, _, name = backbone.partition("/")
    if backbone and not (library in BACKBONES and name):
        hint = nearest(library, BACKBONES) if name else f"; write {' or '.join(f'{known}/NAME' for known in BACKBONES)}"
        raise ConfigError(f"{place}: `{backbone}` names no network of {' or '.join(BACKBONES)}{hint}")
