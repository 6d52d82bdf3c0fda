"""Networks from frames to classes: three convolutions, any backbone with weights, and an LSTM over frames."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scripts.common.errors import RunError
from scripts.models.checkpoint import read_checkpoint

CHANNELS = (16, 32, 64)
DENSE = 64
# torchvision and timm were trained on pictures of this mean and deviation.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SmallFeatures(nn.Module):
    """(B, 3, H, W) to (B, 64): convolutions of 16, 32 and 64 channels, each halved, and a dense layer."""

    features = DENSE

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.dense = nn.Sequential(nn.Linear(CHANNELS[-1] * 16, DENSE), nn.ReLU())

    def forward(self, pictures: Any) -> Any:
        """What is seen in each picture."""
        return self.dense(self.layers(pictures))


class Backbone(nn.Module):
    """A network of timm or torchvision without its last layer, with weights from a file."""

    def __init__(self, named: str, weights: Path) -> None:
        super().__init__()
        library, _, name = named.partition("/")
        if library not in ("timm", "torchvision") or not name:
            raise RunError(f"backbone: `{named}` is neither timm/NAME nor torchvision/NAME")
        try:
            module = importlib.import_module("timm" if library == "timm" else "torchvision.models")
        except ImportError:
            raise RunError(f"backbone: {named} needs {library}, which is not installed in this env") from None
        if library == "timm":
            self.network = module.create_model(name, num_classes=0)
        else:
            self.network = module.get_model(name)
            last = [part for part, layer in self.network.named_modules() if isinstance(layer, nn.Linear)][-1]
            self.network.set_submodule(last, nn.Identity())
        missing = self.network.load_state_dict(read_checkpoint(weights), strict=False).missing_keys
        if missing:
            raise RunError(f"weights: {weights.name} lacks {len(missing)} weights of {named}, e.g. {missing[0]}")
        with torch.inference_mode():
            self.features = int(self.network.eval()(torch.zeros(1, 3, 224, 224)).shape[1])

    def forward(self, pictures: Any) -> Any:
        """What is seen in each picture."""
        mean = pictures.new_tensor(MEAN)[:, None, None]
        return self.network((pictures - mean) / pictures.new_tensor(DEVIATION)[:, None, None])


class Classifier(nn.Module):
    """(B, T, 3, H, W) to (B, classes); sequences go through an LSTM, whose last state decides."""

    def __init__(self, classes: int, *, sequences: bool, backbone: str = "", weights: str = "") -> None:
        super().__init__()
        self.features: Any = Backbone(backbone, Path(weights)) if backbone else SmallFeatures()
        self.memory = nn.LSTM(self.features.features, DENSE, batch_first=True) if sequences else None
        self.out = nn.Linear(DENSE if sequences else self.features.features, classes)

    def forward(self, pictures: Any) -> Any:
        """Scores of the classes, before softmax."""
        count, frames = pictures.shape[:2]
        seen = self.features(pictures.flatten(0, 1)).unflatten(0, (count, frames))
        return self.out(seen[:, 0] if self.memory is None else self.memory(seen)[1][0][-1])
