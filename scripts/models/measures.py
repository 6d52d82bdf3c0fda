"""How far predicted landmarks are from the true ones, and how far those are that need no training."""

import numpy as np

from scripts.common.face_shape import NOSE_TIP

PCK_AT = 0.2


def l1_px(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean absolute error of a coordinate; both float (…, 2, 68) px."""
    return float(np.abs(predicted.astype(np.float64) - true).mean())


def pck(predicted: np.ndarray, true: np.ndarray, share: float = PCK_AT) -> float:
    """Share of the points within `share` of the longer side of their face's box; both float (…, 2, 68) px.

    Percentage of correct keypoints, Yang and Ramanan, "Articulated human detection with flexible mixtures of parts"
    (2013).
    """
    distance = np.linalg.norm(predicted.astype(np.float64) - true, axis=-2)
    sides = true.max(axis=-1) - true.min(axis=-1)
    return float((distance <= share * sides.max(axis=-1)[..., None]).mean())


def baselines(true: np.ndarray, mean_face: np.ndarray) -> dict[str, np.ndarray]:
    """What needs no training: the mean face of the train windows, and the first frame held.

    true: float (N, T, 2, 68) px relative to the nose tip; mean_face: float (2, 68).  Returns the shape of `true`.
    """
    return {
        "mean_face": np.broadcast_to(mean_face, true.shape),
        "first_frame": np.broadcast_to(true[:, :1], true.shape),
    }


def figures(predicted: np.ndarray, true: np.ndarray, mean_face: np.ndarray) -> dict[str, float]:
    """L1 and PCK of the prediction and of the baselines; `ratio` is L1 over that of the better baseline.

    predicted, true: float (N, T, 2, 68) px relative to the nose tip.
    """
    found = {"l1_px": l1_px(predicted, true), "pck": pck(predicted, true)}
    best = np.inf
    for name, held in baselines(true, mean_face).items():
        found[f"l1_px_{name}"] = l1_px(held, true)
        found[f"pck_{name}"] = pck(held, true)
        best = min(best, found[f"l1_px_{name}"])
    return {**found, "ratio": found["l1_px"] / best if best else float("nan")}


def from_nose(pose: np.ndarray) -> np.ndarray:
    """float (…, 2, 68) px, the nose tip of each frame subtracted; float32."""
    return np.asarray(pose - pose[..., NOSE_TIP : NOSE_TIP + 1], np.float32)
