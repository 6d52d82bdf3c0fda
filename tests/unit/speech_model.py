"""Trainings of the network from speech to landmarks, as the rule calls them; as a program, one that can be killed."""

import json
import sys
from pathlib import Path
from typing import Any

from scripts.common.told_to_end import say_when_told_to_end
from scripts.models.train_speech_landmarks import train_speech_landmarks
from scripts.planning.config import checked, schema
from scripts.planning.models_plan import NOT_OF_THE_WEIGHTS

OUTPUTS = {
    "checkpoints": "checkpoints",
    "tf_logs": "tf_logs",
    "val_samples": "val_samples",
    "metrics": "metrics.json",
    "plot": "training.svg",
    "ledger": "ledger.parquet",
}


def settings_of(**changes: Any) -> dict[str, Any]:
    """A small model's settings, as the config's schema completes them."""
    given = {"kind": "speech_landmarks", "dataset": "talking", "batch": 16, "width": 32, "learning_rate": 0.003}
    return checked({**given, **changes}, schema("models.speech_landmarks"), "models.lips")


def train(
    inputs: dict[str, Any], target: Path, working: Path, *, accelerator: str = "cpu", **changes: Any
) -> dict[str, Any]:
    """Train into `target`; returns the figures."""
    target.mkdir(parents=True)
    settings = settings_of(**changes)
    train_speech_landmarks(
        **inputs,
        **{f"out_{name}": target / file for name, file in OUTPUTS.items()},
        model="lips",
        fps="25",
        rate_hz=16_000,
        settings=settings,
        of_weights={name: value for name, value in settings.items() if name not in NOT_OF_THE_WEIGHTS},
        working=str(working),
        accelerator=accelerator,
        threads=1,
    )
    return json.loads((target / "metrics.json").read_text())


def main(folder: str, target: str, working: str, changes: str) -> None:
    """Train on the dataset of a folder, in a process that listens to signals as that of a job does."""
    say_when_told_to_end(lambda words: f"the job itself said: {words}", None)
    root = Path(folder)
    names = {"index": "index.parquet", "card": "card.json", "mean": "lm_mean.npy", "std": "lm_std.npy"}
    inputs = {name: root / file for name, file in names.items()}
    train({**inputs, "windows": []}, Path(target), Path(working), **json.loads(changes))


if __name__ == "__main__":
    main(*sys.argv[1:])
