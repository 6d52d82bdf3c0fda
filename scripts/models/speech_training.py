"""One training of the network from speech to landmarks, and the validation samples that it leaves behind."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional

from scripts.common import atomic
from scripts.models.checkpoint import IDENTITY, Identity
from scripts.models.fitting import loader
from scripts.models.landmark_layout import in_pixels
from scripts.models.measures import from_nose
from scripts.models.speech_network import Discriminator, SpeechNetwork, motion_of
from scripts.models.window_samples import Windows, read_window

# Adam's first moment where two networks compete: Radford et al., "Unsupervised representation learning with deep
# convolutional generative adversarial networks" (2016).
CALM = (0.5, 0.999)


class SpeechTraining(lightning.LightningModule):
    """L1 on landmarks and on motion, with least squares against a discriminator where that is wanted.

    Least squares: Mao et al., "Least squares generative adversarial networks" (2017).
    """

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.identity, self.settings = identity, identity.settings
        self.network = SpeechNetwork(
            rate_hz=identity.rate_hz, frames=identity.frames, width=int(self.settings["width"])
        )
        competes = self.settings["adversarial"] > 0
        self.discriminator = Discriminator(int(self.settings["width"])) if competes else None

    def configure_optimizers(self) -> Any:
        """Adam for each of the networks."""
        rate = float(self.settings["learning_rate"])
        if self.discriminator is None:
            return torch.optim.Adam(self.network.parameters(), rate)
        return [torch.optim.Adam(part.parameters(), rate, CALM) for part in (self.network, self.discriminator)]

    def losses(self, predicted: Any, pose: Any) -> tuple[Any, Any]:
        """L1 of the landmarks, and of their motion."""
        return functional.l1_loss(predicted, pose), functional.l1_loss(motion_of(predicted), motion_of(pose))

    def training_step(self, batch: Any, number: int) -> None:
        """A step of each network."""
        pose = batch["pose"]
        predicted = self.network(batch["sound"], self._first(pose, number))
        of_pose, of_motion = self.losses(predicted, pose)
        loss = of_pose + float(self.settings["motion"]) * of_motion
        optimizers = self.optimizers()
        if self.discriminator is None:
            self._step(optimizers, loss)
        else:
            judged = self.discriminator(motion_of(predicted))
            self._step(optimizers[0], loss + float(self.settings["adversarial"]) * ((judged - 1) ** 2).mean())
            real = self.discriminator(motion_of(pose))
            made = self.discriminator(motion_of(predicted.detach()))
            against = ((real - 1) ** 2).mean() + (made**2).mean()
            self._step(optimizers[1], against)
            self.log("discriminator_loss", against.detach(), on_step=False, on_epoch=True)
        figures = {"train_l1": of_pose.detach(), "train_motion_l1": of_motion.detach()}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(pose))

    def validation_step(self, batch: Any, number: int) -> None:
        """The loss, and L1 alone, of windows that no weight has seen."""
        predicted = self.network(batch["sound"], batch["pose"][:, 0])
        of_pose, of_motion = self.losses(predicted, batch["pose"])
        figures = {"val_l1": of_pose, "val_loss": of_pose + float(self.settings["motion"]) * of_motion}
        self.log_dict(figures, batch_size=len(batch["pose"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What must fit to the weights goes with them."""
        checkpoint[IDENTITY] = self.identity.as_plain()

    def _first(self, pose: Any, number: int) -> Any:
        # Chosen by epoch and batch alone, so that a resumed training chooses the same.
        source = torch.Generator().manual_seed(int(self.settings["seed"]) + 7919 * self.current_epoch + number)
        shown = torch.rand(len(pose), generator=source) >= float(self.settings["sound_only"])
        return pose[:, 0] * shown.to(pose.device, pose.dtype)[:, None]

    def _step(self, optimizer: Any, loss: Any) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


def predict(network: Any, windows: Windows, identity: Identity, batch: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true landmarks of every window, float32 (N, T, 2, 68) px relative to the nose tip."""
    mean, std = np.array(identity.mean), np.array(identity.std)
    network.eval()
    device = next(network.parameters()).device
    found, true = [], []
    with torch.inference_mode():
        for part in loader(windows, batch):
            values = network(part["sound"].to(device), part["pose"][:, 0].to(device)).cpu().numpy()
            found.append(in_pixels(values, mean, std))
            true += [from_nose(read_window(windows.files[int(number)])[0]) for number in part["number"]]
    return np.concatenate(found), np.stack(true)


class Sampler(Callback):
    """Predictions of a few validation windows, every so many epochs: npz of pred, gt (px from the nose tip), audio."""

    def __init__(self, folder: Path, windows: Windows, *, every: int, count: int) -> None:
        self._folder, self._every = folder, every
        self._windows = Windows(spread(windows.files, count), *windows.statistics)

    def on_validation_epoch_end(self, trainer: Any, module: Any) -> None:
        """Write a folder, whole."""
        epoch = trainer.current_epoch + 1
        if epoch % self._every and epoch != trainer.max_epochs:
            return
        predicted, true = predict(module.network, self._windows, module.identity)
        module.train()
        target = self._folder / f"epoch_{epoch:05d}"
        part = atomic.part_path(target)
        part.mkdir(parents=True)
        for file, pred, gt in zip(self._windows.files, predicted, true, strict=True):
            np.savez(part / file.name, pred=pred, gt=gt, audio=read_window(file)[1][None])
        atomic.publish(part, target)


def spread(files: list[Path], count: int) -> list[Path]:
    """`count` of the files, evenly from all of them."""
    return [files[number * len(files) // count] for number in range(min(count, len(files)))]
