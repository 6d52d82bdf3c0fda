"""Back ends of landmarks behind one interface: pictures and face boxes in, points and scores out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scripts.common.bgr_picture import Picture
from scripts.common.errors import RunError


class LandmarkNetwork(Protocol):
    """A network that finds the landmarks of faces.

    imputed: points that it does not measure but computes from others.
    least_score: below it, what the box shows is no face for this network.
    at_once: how many calls, each by a thread of its own, make it busy.
    """

    imputed: tuple[int, ...]
    least_score: float
    at_once: int

    def __call__(self, pictures: Sequence[Picture], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks of one face in each picture, all in one go.

        pictures: N of them, of any sizes.  boxes: float (N, 4), as YuNet draws them.
        Returns points float32 (N, 68, 2) in pixels of the picture, and scores float32 (N,).
        """
        ...


class FaceDetector(Protocol):
    """Finds the faces in a picture. parallel: whether several threads may ask, and gain by it."""

    parallel: bool

    def __call__(self, picture: Picture) -> np.ndarray:
        """Boxes float64 (N, 4), surest first, of the picture."""
        ...


def open_network(
    backend: str, weights: Path, *, accelerator: str, threads: int, precision: str = "float32", **of_fan: Any
) -> LandmarkNetwork:
    """The network of a back end. Raises RunError if the weights cannot be read or there is no such GPU.

    accelerator: "cpu", or "cuda…" for a GPU.  precision: "float32" or "bfloat16", heeded by `fan` and `fan3d`, as are
    `detector`, `peaks` and `flipped`, see `Fan`.
    """
    # Each back end's libraries are imported where it is used: no run needs all of them.
    if backend == "openseeface":
        from scripts.faces.backends.openseeface import OpenSeeFace

        return OpenSeeFace(weights, accelerator=accelerator, threads=threads)
    if backend in ("fan", "fan3d"):
        from scripts.faces.backends.fan import Fan

        return Fan(weights, accelerator=accelerator, threads=threads, precision=precision, **of_fan)
    raise RunError(f"no landmark network is called `{backend}`; known: fan, fan3d, openseeface")


def open_detector(detector: str, weights: Path, *, min_score: float, accelerator: str) -> FaceDetector:
    """The detector of faces. Raises RunError if its weights cannot be read or there is no such detector."""
    if detector == "yunet":
        from scripts.faces.backends.yunet import YuNet

        return YuNet(weights, min_score=min_score)
    if detector == "sfd":
        from scripts.faces.backends.sfd import Sfd

        return Sfd(weights, min_score=min_score, accelerator=accelerator)
    raise RunError(f"no detector is called `{detector}`; known: yunet, sfd")


def unreadable(weights: Path, what: str, error: Exception) -> RunError:
    """The error for a weight file that is missing or broken, with the first line of the library's words."""
    if not weights.is_file():
        return RunError(f"{weights}: the weights of {what} are missing; `models_dir` may name a folder with them")
    cause = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
    return RunError(f"{weights}: not the weights of {what}; remove the file and run again ({cause})")
