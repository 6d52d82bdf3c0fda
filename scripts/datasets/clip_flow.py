"""Optical flow of one clip, by one of three methods."""

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.common.annotation import ClipTask, sampled
from scripts.common.errors import RunError

# (before, after), uint8 (H, W, 3) each -> float32 (H, W, 2), pixels to the right and down.
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]
# RAFT halves its pictures three times and wants sides of at least this.
RAFT_STEP, RAFT_LEAST_PX = 8, 128


def dense_inverse_search() -> Method:
    """DIS of OpenCV (Kroeger et al., 2016), its medium preset."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return lambda before, after: flow.calc(_gray(before), _gray(after), None)  # type: ignore[call-overload]


def farneback() -> Method:
    """Farneback's method (2003), with the settings that OpenCV's own example has."""
    settings = {"pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2}
    return lambda before, after: cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
        _gray(before), _gray(after), None, **settings, flags=0
    )


def raft(weights: str) -> Method:
    """RAFT (Teed and Deng, 2020), torchvision's large one with `weights`. Raises RunError where either is missing."""
    try:
        torch: Any = importlib.import_module("torch")
        models: Any = importlib.import_module("torchvision.models.optical_flow")
    except ImportError as error:
        raise RunError(f"method raft needs torchvision in the env ({error}); install it, or choose dis") from error
    if not Path(weights).is_file():
        raise RunError(f"method raft: {weights or 'weights'} is no file; torchvision's raft_large_C_T_SKHT_V2 fits")
    model: Any = models.raft_large()
    model.eval().load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))

    def flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        height, width = before.shape[:2]
        sides = [max(RAFT_LEAST_PX, -(-side // RAFT_STEP) * RAFT_STEP) for side in (height, width)]
        margin = ((0, sides[0] - height), (0, sides[1] - width), (0, 0))
        pair = [np.pad(picture, margin, mode="edge").transpose(2, 0, 1) for picture in (before, after)]
        one, other = (torch.from_numpy(picture[None].astype(np.float32) / 127.5 - 1) for picture in pair)
        with torch.inference_mode():
            found: np.ndarray = model(one, other)[-1][0].numpy()
        return found.transpose(1, 2, 0)[:height, :width]

    return flow


@cache
def method_of(name: str, weights: str) -> Method:
    """The method by its name in the config."""
    if name == "raft":
        return raft(weights)
    return farneback() if name == "farneback" else dense_inverse_search()


def flow_of(task: ClipTask) -> dict[str, Any]:
    """Flow between the sampled pictures of a clip, each to the next; float (N - 1, H, W, 2) in pixels of those."""
    settings = task.settings
    method = method_of(settings["method"], settings["weights"])
    fields, magnitudes, before = [], [], None
    for picture in sampled(task.url, settings["fps"], height=settings["height"]):
        if before is not None:
            if before.shape != picture.shape:
                break
            field = method(before, picture)
            magnitudes.append(float(np.linalg.norm(field, axis=2).mean()))
            if settings["keep"] == "field":
                fields.append(field.astype(settings["dtype"]))
        before = picture
    mean = round(float(np.mean(magnitudes)), 4) if magnitudes else 0.0
    values = {f"{task.name}_mean_px": mean, f"{task.name}_px": [round(value, 4) for value in magnitudes]}
    if settings["keep"] != "field":
        return {"values": values, "files": []}
    assert before is not None
    stacked = np.stack(fields) if fields else np.zeros((0, *before.shape[:2], 2), settings["dtype"])
    np.save(task.file(f"{task.name}.npy"), stacked, allow_pickle=False)
    return {"values": values, "files": [f"{task.name}.npy"]}


def _gray(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
