"""From a sequence of labelled frames to their class, by an LSTM; one run of a model, as of `train_frame_classifier`."""

from pathlib import Path
from typing import Any

from scripts.common.job import run
from scripts.models.classifier_training import train_classifier


def train_clip_classifier(
    index: Path,
    out_checkpoints: Path,
    out_tf_logs: Path,
    out_metrics: Path,
    out_confusion: Path,
    out_ledger: Path,
    *,
    model: str,
    split_by: str,
    settings: dict[str, Any],
    of_weights: dict[str, Any],
    working: str,
    accelerator: str = "cpu",
    threads: int = 1,
) -> None:
    """Train on the dataset of `index`; split_by: whole, random, fold0, fold1, …; see `train_classifier`."""
    outputs = {
        "checkpoints": out_checkpoints,
        "tf_logs": out_tf_logs,
        "metrics": out_metrics,
        "confusion": out_confusion,
        "ledger": out_ledger,
    }
    train_classifier(
        "train_clip_classifier",
        index,
        outputs,
        model=model,
        run=split_by,
        settings=settings,
        of_weights=of_weights,
        working=Path(working),
        accelerator=accelerator,
        threads=threads,
    )


if __name__ == "__main__":
    run(train_clip_classifier)
