"""A user's own Python function: `module.py` by its path, a function in it by name, with arguments from the config."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.detectors.interface import Found
from scripts.common.errors import RunError
from scripts.common.keypoints import Skeleton


class Function:
    """Calls `function(pictures, **arguments)`: pictures uint8 (B, height, width, 3) BGR; it returns uv (B, K, 2) or
    (B, I, K, 2) in px, and confidence (B, K) or (B, I, K).

    settings: names, skeleton, function (its name), arguments.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.skeleton = Skeleton.of(settings["names"], settings["skeleton"])
        self._arguments, self._name = settings["arguments"], f"{path.name}: {settings['function']}"
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise RunError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            self._function = getattr(module, settings["function"])
        except Exception as error:
            raise RunError(f"{self._name}: {type(error).__name__}: {error}") from error

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. Raises RunError with what the function raised, or if its shapes are not as they must be."""
        try:
            uv, confidence = self._function(np.stack(pictures), **self._arguments)
        except Exception as error:
            raise RunError(f"{self._name}: {type(error).__name__}: {error}") from error
        uv, confidence = np.asarray(uv, np.float64), np.asarray(confidence, np.float64)
        if uv.ndim == 3:
            uv, confidence = uv[:, None], confidence[:, None]
        wanted = (len(pictures), uv.shape[1] if uv.ndim == 4 else 1, len(self.skeleton.names), 2)
        if uv.shape != wanted or confidence.shape != wanted[:3]:
            raise RunError(f"{self._name} gave {uv.shape} and {confidence.shape}; {wanted} and {wanted[:3]} are wanted")
        return list(zip(uv, confidence, strict=True))
