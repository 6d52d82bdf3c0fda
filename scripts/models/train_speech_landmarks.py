"""From sound, and the landmarks of the first frame, to the landmarks of every frame of a window.

Training goes on in a working folder, which outlives a kill; what it has made becomes the rule's outputs at the end.
"""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import figure, json_file, ledger
from scripts.common.checksum import sha256_of
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.sound_features import features_at
from scripts.models import fitting
from scripts.models.checkpoint import Identity, read_checkpoint
from scripts.models.face_pictures import write_epochs_plot
from scripts.models.landmark_layout import COORDINATES, LAYOUT, without_statistics
from scripts.models.measures import figures
from scripts.models.speech_training import Sampler, SpeechTraining, predict
from scripts.models.window_samples import Windows, files_of, read_window

VERSION = 1


def identity_of(
    model: str, card: Path, mean: np.ndarray, std: np.ndarray, window: Path, *, rate_hz: int, fps: str, settings: Any
) -> Identity:
    """What a checkpoint of this training says about itself."""
    pose, _ = read_window(window)
    return Identity(
        model=model,
        kind="speech_landmarks",
        card_sha256=sha256_of(card),
        mean=mean.tolist(),
        std=std.tolist(),
        rate_hz=rate_hz,
        fps=fps,
        frames=len(pose),
        features=features_at(rate_hz),
        layout=LAYOUT,
        settings=dict(settings),
    )


def train_speech_landmarks(
    index: Path,
    card: Path,
    mean: Path,
    std: Path,
    windows: list[Path],
    out_checkpoints: Path,
    out_tf_logs: Path,
    out_val_samples: Path,
    out_metrics: Path,
    out_plot: Path,
    out_ledger: Path,
    *,
    model: str,
    fps: str,
    rate_hz: int,
    settings: dict[str, Any],
    of_weights: dict[str, Any],
    working: str,
    accelerator: str = "cpu",
    threads: int = 2,
) -> None:
    """Train on the split `train`, choose by `val`, and measure both, and `test`, with the best weights.

    windows: the folders that `index` names files in.  of_weights: the settings that decide which weights an epoch
    leads to.  working: what outlives a kill.
    Raises InputError if there is nothing to train or to validate on.
    """
    statistics = np.load(mean, allow_pickle=False), np.load(std, allow_pickle=False)
    splits = {split: Windows(files_of(index, split), *statistics) for split in ("train", "val", "test")}
    _check(splits, statistics)
    identity = identity_of(
        model, card, *statistics, splits["train"].files[0], rate_hz=rate_hz, fps=fps, settings=settings
    )
    own = Path(working)
    facts: dict[str, Any] = {"version": VERSION, "card": identity.card_sha256, "index": sha256_of(index)}
    facts |= {"mean": sha256_of(mean), "settings": of_weights}
    fitting.open_working(own, facts, epochs=int(settings["epochs"]))
    fitting.seed_all(int(settings["seed"]))
    sampler = Sampler(
        own / fitting.SAMPLES, splits["val"], every=int(settings["sample_every"]), count=int(settings["samples"])
    )
    curve = fitting.fit(
        SpeechTraining(identity),
        splits["train"],
        splits["val"],
        own,
        epochs=int(settings["epochs"]),
        batch=int(settings["batch"]),
        seed=int(settings["seed"]),
        checkpoint_every=int(settings["checkpoint_every"]),
        accelerator=accelerator,
        threads=threads,
        callbacks=[sampler],
    )
    for name, target in (
        (fitting.CHECKPOINTS, out_checkpoints),
        (fitting.LOGS, out_tf_logs),
        (fitting.SAMPLES, out_val_samples),
    ):
        fitting.hand_over(own / name, target)
    write_epochs_plot(out_val_samples, out_val_samples / "epochs_plot", rate_hz, fps)
    found = measure(out_checkpoints / fitting.BEST, splits)
    json_file.write(out_metrics, {"model": model, **found})
    plot_training(out_plot, curve, found)
    ledger.write(out_ledger, [ledger.Row("train_speech_landmarks", "", model, "written")])


def measure(checkpoint: Path, splits: dict[str, Windows]) -> dict[str, Any]:
    """L1 and PCK of the best weights, and of the baselines, on the splits that they did not learn from."""
    read = read_checkpoint(checkpoint)
    identity = Identity.of(read, checkpoint.name)
    training = SpeechTraining(identity)
    training.load_state_dict(read["state_dict"])
    mean_face = np.array(identity.mean).reshape(2, -1)
    found: dict[str, Any] = {"epoch": int(read["epoch"]) + 1, "windows": {}}
    for split, windows in splits.items():
        found["windows"][split] = len(windows)
        if split != "train" and len(windows):
            found[split] = figures(*predict(training.network, windows, identity), mean_face)
    return found


def plot_training(path: Path, curve: list[dict[str, float]], found: dict[str, Any]) -> None:
    """Losses by epoch, and the errors in pixels beside those of the baselines."""
    with figure.svg_figure(path, 8, 3) as canvas:
        left, right = canvas.subplots(1, 2)
        epochs = [row["epoch"] for row in curve]
        for name, colour in (("train_l1", figure.GREY), ("val_l1", figure.BLUE)):
            left.plot(epochs, [row[name] for row in curve], color=colour, label=name)
        left.set(xlabel="epoch", ylabel="L1, normalised", title="Training")
        left.legend(frameon=False)
        names = {"l1_px": "model", "l1_px_mean_face": "mean face", "l1_px_first_frame": "first frame"}
        values = [found["val"][name] for name in names]
        bars = right.barh(list(names.values())[::-1], values[::-1], color=[figure.PALE, figure.PALE, figure.BLUE])
        right.bar_label(bars, fmt="%.2f", padding=2)
        right.set(xlabel="L1 in pixels", title=f"Validation; PCK at 0.2: {found['val']['pck']:.1%}")


def _check(splits: dict[str, Windows], statistics: tuple[np.ndarray, np.ndarray]) -> None:
    for split in ("train", "val"):
        if not splits[split].files:
            raise InputError(
                "no_windows", f"no window of the dataset stands in split {split}: its card counts what was filtered"
            )
    for array in statistics:
        if array.shape != (COORDINATES,) or not np.isfinite(array).all():
            raise InputError("bad_statistics", f"the dataset's statistics are no {COORDINATES} numbers")
    if points := without_statistics(*statistics):
        raise InputError(
            "bad_statistics",
            f"the dataset has no statistics of the points {points}: it is of an earlier version; make it again",
        )


if __name__ == "__main__":
    run(train_speech_landmarks)
