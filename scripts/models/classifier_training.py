"""One training of a classifier, and its figures beside those of the majority class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch.nn import functional
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_recall,
)

from scripts.common import figure, json_file, ledger
from scripts.common.checksum import sha256_of
from scripts.common.splits import SPLITS
from scripts.models import fitting, short_bouts
from scripts.models.checkpoint import read_checkpoint
from scripts.models.classifier_network import Classifier
from scripts.models.labelled_samples import Labelled, classes_of, read_sequences, span_of, split_for

VERSION = 3
ABOUT = "rushes_classifier"


class ClassifierTraining(lightning.LightningModule):
    """Cross entropy, with classes weighed by how rare they are where that is wanted."""

    def __init__(self, about: dict[str, Any]) -> None:
        super().__init__()
        self.about, settings = about, about["settings"]
        self.network = Classifier(
            len(about["classes"]),
            sequences=about["frames"] > 1,
            backbone=settings["backbone"],
            weights=settings["weights"],
        )
        self.register_buffer("weight", torch.tensor(about["class_weights"], dtype=torch.float32))

    def configure_optimizers(self) -> Any:
        """Adam."""
        return torch.optim.Adam(self.parameters(), float(self.about["settings"]["learning_rate"]))

    def training_step(self, batch: Any, number: int) -> Any:
        """The loss of a batch."""
        loss = functional.cross_entropy(self.network(batch["pictures"]), batch["label"], self.weight)
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Any, number: int) -> None:
        """The loss of what was not learned from; unweighted, for a class may be missing from it."""
        loss = functional.cross_entropy(self.network(batch["pictures"]), batch["label"])
        self.log("val_loss", loss, batch_size=len(batch["label"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What must fit to the weights goes with them."""
        checkpoint[ABOUT] = self.about


def class_weights(labels: Sequence[int], count: int, *, balanced: bool) -> list[float]:
    """One a class: its share were all equal, over its share; 1 for all, or where a class never occurs."""
    seen = Counter(labels)
    return [len(labels) / (len(seen) * seen[c]) if balanced and seen[c] else 1.0 for c in range(count)]


def scores(predicted: Sequence[int], true: Sequence[int], classes: int) -> dict[str, float]:
    """Accuracy; balanced accuracy and macro F1 over the classes that occur in `true` (F1: or in `predicted`)."""
    said, given = torch.tensor(predicted), torch.tensor(true)
    recall = multiclass_recall(said, given, classes, average="none")
    return {
        "accuracy": float(multiclass_accuracy(said, given, classes, average="micro")),
        "balanced_accuracy": float(recall[given.unique()].mean()),
        "macro_f1": float(multiclass_f1_score(said, given, classes, average="macro")),
    }


def train_classifier(
    step: str,
    index: Path,
    outputs: dict[str, Path],
    *,
    model: str,
    run: str,
    settings: dict[str, Any],
    of_weights: dict[str, Any],
    working: Path,
    accelerator: str,
    threads: int,
) -> None:
    """Train one run of a model; outputs: checkpoints, tf_logs, metrics, confusion, ledger.

    Raises InputError where a split has no sample, or the training shows a single class.
    """
    frames, step_frames = int(settings.get("frames", 1)), int(settings.get("step", 1))
    samples, rests = read_sequences(index, frames, step_frames)
    span = span_of(frames, step_frames)
    splits = split_for(samples, run, int(settings["folds"]), int(settings["seed"]))
    # One index of the classes for all splits and runs, which is the dataset's.
    classes = classes_of(index)
    sets = {
        name: Labelled(
            [s for s, split in zip(samples, splits, strict=True) if split == name], classes, int(settings["size"])
        )
        for name in SPLITS
    }
    of_split = {name: [sample.label for sample in part.samples] for name, part in sets.items()}
    short_bouts.check_samples(model, run, of_split, rests, span)
    weights = class_weights(sets["train"].labels, len(classes), balanced=bool(settings["balanced"]))
    about = {
        "model": model,
        "run": run,
        "classes": classes,
        "frames": frames,
        "settings": dict(settings),
        "class_weights": weights,
    }
    facts = {"version": VERSION, "index": sha256_of(index), "run": run, "settings": of_weights}
    fitting.open_working(working, facts, epochs=int(settings["epochs"]))
    fitting.seed_all(int(settings["seed"]))
    fitting.fit(
        ClassifierTraining(about),
        sets["train"],
        sets["val"],
        working,
        epochs=int(settings["epochs"]),
        batch=int(settings["batch"]),
        seed=int(settings["seed"]),
        checkpoint_every=int(settings["checkpoint_every"]),
        accelerator=accelerator,
        threads=threads,
    )
    fitting.hand_over(working / fitting.CHECKPOINTS, outputs["checkpoints"])
    fitting.hand_over(working / fitting.LOGS, outputs["tf_logs"])
    found, matrix = measure(outputs["checkpoints"] / fitting.BEST, sets)
    if frames > 1:
        found["in_no_sequence"] = short_bouts.frames_of(rests)
    json_file.write(outputs["metrics"], {"model": model, "run": run, **found})
    plot_confusion(outputs["confusion"], matrix, classes, f"{model}, {run}: test")
    item = f"{model}.{run}"
    left_out = short_bouts.rows_of(step, item, rests, span)
    ledger.write(outputs["ledger"], [ledger.Row(step, "", item, "written"), *left_out])


def measure(checkpoint: Path, sets: dict[str, Labelled]) -> tuple[dict[str, Any], np.ndarray]:
    """The figures of val and test beside the majority class of the training, and the confusion matrix of test."""
    read = read_checkpoint(checkpoint)
    about = read[ABOUT]
    training = ClassifierTraining(about)
    training.load_state_dict(read["state_dict"])
    training.eval()
    count = len(about["classes"])
    majority = Counter(sets["train"].labels).most_common(1)[0][0]
    found: dict[str, Any] = {
        "classes": about["classes"],
        "epoch": int(read["epoch"]) + 1,
        "samples": {name: len(part) for name, part in sets.items()},
        **{
            f"missing_in_{name}": [about["classes"][c] for c in range(count) if c not in part.labels]
            for name, part in sets.items()
        },
    }
    said: list[int] = []
    for name in ("val", "test"):
        with torch.inference_mode():
            batches = fitting.loader(sets[name], int(about["settings"]["batch"]))
            said = [int(c) for part in batches for c in training.network(part["pictures"]).argmax(dim=1)]
        true = sets[name].labels
        found[name] = {**scores(said, true, count), "majority": scores([majority] * len(true), true, count)}
    matrix = multiclass_confusion_matrix(torch.tensor(said), torch.tensor(sets["test"].labels), count)
    return found, np.asarray(matrix)


def plot_confusion(path: Path, matrix: np.ndarray, classes: Sequence[str], title: str) -> None:
    """Rows are true classes, columns what was said; shaded by the share of the row."""
    side = 1.5 + 0.5 * len(classes)
    with figure.svg_figure(path, side + 1, side) as canvas:
        axes = canvas.add_subplot()
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            colour = "white" if share[row, column] > 0.5 else figure.BLACK
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=7)
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="said", ylabel="true", title=title)
