"""Training that can be killed at any moment: what is on the disk is whole, and the next start goes on from it."""

import logging
import shutil
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import tensorboard  # noqa: F401 - what the logger writes with
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader, Dataset, Sampler

from scripts.common import atomic, json_file
from scripts.common.errors import RunError
from scripts.common.job import progress
from scripts.common.links import link_or_copy
from scripts.common.told_to_end import left_to_others
from scripts.models.checkpoint import read_checkpoint

log = logging.getLogger("rushes")

CHECKPOINTS, LOGS, SAMPLES = "checkpoints", "tf_logs", "val_samples"
LAST, BEST = "last.ckpt", "best.ckpt"


class SeededOrder(Sampler):
    """An order of the samples for each epoch, from the seed and the epoch alone: a resumed one is the same."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed, self._epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by lightning before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        source = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        yield from torch.randperm(self._count, generator=source).tolist()


def loader(samples: Dataset, batch: int, *, seed: int | None = None) -> Any:
    """Batches in a new order each epoch, or without a seed in the samples' own order."""
    sampler = None if seed is None else SeededOrder(len(samples), seed)
    return DataLoader(samples, batch_size=batch, sampler=sampler)


class Keeper(Checkpoint):
    """Keeps the last, the best and every N-th epoch's checkpoint, each whole under its name.

    The best has the lowest `val_loss`. The step in a name counts batches.
    """

    def __init__(self, folder: Path, *, every: int, batches: int) -> None:
        self._folder, self._every, self._batches = folder, every, batches
        self.best = float("inf")
        self.curve: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Write what this epoch has earned."""
        epoch = trainer.current_epoch + 1
        loss = float(trainer.callback_metrics["val_loss"])
        figures = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.curve = [*self.curve, {"epoch": float(epoch), **figures}]
        names = [f"epoch_{epoch:05d}.step_{epoch * self._batches:07d}.ckpt"] if epoch % self._every == 0 else []
        if loss < self.best:
            self.best = loss
            names.append(BEST)
        part = atomic.part_path(self._folder / LAST)
        trainer.save_checkpoint(part)
        for name in names:
            other = atomic.part_path(self._folder / name)
            link_or_copy(part, other)
            atomic.publish(other, self._folder / name)
        # Last: a kill before it repeats the epoch, and writes the others again.
        atomic.publish(part, self._folder / LAST)
        progress(epoch, trainer.max_epochs, "epochs")

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs to know."""
        return {"best": self.best, "curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.best, self.curve = state_dict["best"], list(state_dict["curve"])


def fit(
    module: Any,
    train: Dataset,
    val: Dataset,
    working: Path,
    *,
    epochs: int,
    batch: int,
    seed: int,
    checkpoint_every: int,
    accelerator: str,
    threads: int,
    callbacks: Sequence[Callback] = (),
) -> list[dict[str, float]]:
    """Train `module` for `epochs` in all, from its last checkpoint in `working` on; returns the curve by epoch.

    Raises RunError where there is no GPU although one was asked for, the training left the numbers, or it got SIGTERM.
    """
    if accelerator != "cpu" and not torch.cuda.is_available():
        raise RunError(
            "there is no GPU that this build of torch can use; set accelerator: cpu, or ask for another node"
        )
    torch.set_num_threads(threads)
    # Filling what is about to be overwritten anyway costs more than the network does.
    torch.utils.deterministic.fill_uninitialized_memory = False
    folder = working / CHECKPOINTS
    folder.mkdir(parents=True, exist_ok=True)
    batches = -(-len(train) // batch)
    keeper = Keeper(folder, every=checkpoint_every, batches=batches)
    with warnings.catch_warnings():
        # Advice about workers of loaders and the like: nothing that a user could act on.
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = lightning.Trainer(
            accelerator="cpu" if accelerator == "cpu" else "gpu",
            devices=1,
            max_epochs=epochs,
            logger=TensorBoardLogger(working, name=LOGS, version=""),
            callbacks=[*callbacks, keeper],
            deterministic=accelerator == "cpu",
            log_every_n_steps=max(1, min(50, batches)),
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        last = folder / LAST
        try:
            # lightning ends an epoch's work in order when it is told to end, but only where nobody else listens.
            with left_to_others(signal.SIGTERM):
                trainer.fit(
                    module,
                    loader(train, batch, seed=seed),
                    loader(val, batch),
                    ckpt_path=str(last) if last.exists() else None,
                    weights_only=True,
                )
        except SIGTERMException:
            done = _epochs_of(last)
            raise RunError(
                f"it was told to end (SIGTERM) after {done} of {epochs} epochs; the same command goes on from there"
            ) from None
    if not (folder / BEST).exists():
        raise RunError("the training left the numbers (its loss is not finite): lower learning_rate")
    return keeper.curve


def seed_all(seed: int) -> None:
    """First weights that depend on the seed alone."""
    lightning.seed_everything(seed, verbose=False)


def open_working(working: Path, facts: Mapping[str, Any], *, epochs: int) -> None:
    """The folder in which a training goes on; one of another training, or beyond `epochs`, is emptied.

    facts: all that decides what the training leads to; plain values.
    """
    mark = working / "training.json"
    text = json_file.text(facts, indent=None)
    if working.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == text):
        log.info("the working folder is of another training; it begins anew")
        shutil.rmtree(working)
    # Its best weights may be of an epoch that no longer is: what fewer epochs lead to, only those can tell.
    elif (reached := _epochs_of(working / CHECKPOINTS / LAST)) > epochs:
        log.info("the working folder is of %d epochs, %d are wanted; it begins anew", reached, epochs)
        shutil.rmtree(working)
    working.mkdir(parents=True, exist_ok=True)
    # What a killed training was writing: checkpoints, samples, the mark itself.
    for part in list(working.rglob(f"{atomic.PART}*")):
        atomic.remove(part)
    atomic.write_text(mark, text)


def _epochs_of(last: Path) -> int:
    """How many epochs a checkpoint was trained for; 0 where there is none."""
    return int(read_checkpoint(last)["epoch"]) + 1 if last.exists() else 0


def hand_over(source: Path, target: Path) -> None:
    """A folder of the working folder as an output, but for parts; it stays there, for a training that goes on."""
    parts = shutil.ignore_patterns(f"{atomic.PART}*")
    shutil.copytree(source, target, ignore=parts, copy_function=lambda a, b: link_or_copy(Path(a), Path(b)))
