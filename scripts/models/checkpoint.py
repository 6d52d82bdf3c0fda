"""Checkpoints: weights with all that must fit to what they are used on. They are read as tensors and plain values."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from scripts.common.checkpoint_names import REFUSED, is_tensorflow
from scripts.common.checksum import sha256_of
from scripts.common.errors import InputError

log = logging.getLogger("rushes")

# Where a checkpoint of lightning keeps what it says about itself.
IDENTITY = "rushes"


@dataclass(frozen=True)
class Identity:
    """What a checkpoint was trained on, and with what.

    card_sha256: of the dataset's card.  mean, std: the statistics, 136 floats each.  features, layout: see
    `sound_features.FEATURES`, `landmark_layout.LAYOUT`.  frames: of a window.  settings: of the model.
    """

    model: str
    kind: str
    card_sha256: str
    mean: list[float]
    std: list[float]
    rate_hz: int
    fps: str
    frames: int
    features: dict[str, Any]
    layout: dict[str, Any]
    settings: dict[str, Any]

    def as_plain(self) -> dict[str, Any]:
        """As it stands in a checkpoint."""
        return asdict(self)

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any], name: str) -> Self:
        """From a checkpoint that was read. Raises InputError if it lacks anything."""
        found = checkpoint.get(IDENTITY) if isinstance(checkpoint, Mapping) else None
        if not isinstance(found, Mapping) or {field.name for field in fields(cls)} - set(found):
            raise InputError(
                "bad_checkpoint", f"{name} does not say which dataset, features and landmarks it is for; train it here"
            )
        return cls(**{field.name: found[field.name] for field in fields(cls)})

    def refuse_others(self, wanted: Mapping[str, Any], name: str) -> None:
        """Raises InputError for the first of `wanted`, a part of these fields, that differs."""
        refuse_others(self.as_plain(), wanted, name)


def refuse_others(said: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> None:
    """Raises InputError for the first of `wanted` that is another in what `name` has said of itself, or is not said."""
    for field, value in wanted.items():
        if field not in said:
            raise InputError("checkpoint_differs", f"{name} does not say its {field}, which is to be {_short(value)}")
        if said[field] != value:
            raise InputError(
                "checkpoint_differs",
                f"{name} was trained with another {field}: {_difference(said[field], value)}",
            )


def identity_of(card: Path | None, mean: Path | None, std: Path | None) -> dict[str, Any]:
    """The fields of an identity that a dataset's files demand of a checkpoint."""
    wanted: dict[str, Any] = {"card_sha256": sha256_of(card)} if card else {}
    for name, file in (("mean", mean), ("std", std)):
        wanted |= {name: np.load(file, allow_pickle=False).tolist()} if file else {}
    return wanted


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running anything that stands in it. Raises InputError, also for TensorFlow's."""
    if is_tensorflow(str(path)):
        raise InputError("tf1_checkpoint", f"{path.name} {REFUSED}")
    if not path.is_file():
        raise InputError("no_checkpoint", f"there is no checkpoint {path}")
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken or foreign file raises whatever its first wrong byte leads to
        # torch's own words are long, and advise to run what stands in the file.
        log.info("%s: %s", path.name, error)
        raise InputError(
            "bad_checkpoint",
            f"{path.name} cannot be read as weights alone: it is damaged, or holds more than tensors and plain values",
        ) from error
    if not isinstance(read, dict):
        raise InputError("bad_checkpoint", f"{path.name} holds no weights by name")
    return read


def _difference(said: Any, given: Any) -> str:
    """How what a checkpoint says is another than what is given; of numbers in lists, whose beginnings may look alike,
    how many and how far."""
    if isinstance(said, list) and isinstance(given, list):
        if len(said) != len(given):
            return f"{len(said)} numbers, where {len(given)} are given"
        pairs = [(one, other) for one, other in zip(said, given, strict=True) if one != other]
        if all(isinstance(value, int | float) for pair in pairs for value in pair):
            apart = max(abs(one - other) for one, other in pairs)
            return f"{len(pairs)} of {len(said)} numbers are others than those that are given, by up to {apart:.3g}"
    return f"{_short(said)}, where {_short(given)} is given"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
