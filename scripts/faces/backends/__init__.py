"""Back ends of landmarks behind one interface: pictures and face boxes in, points and scores out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from scripts.common.errors import RunError


class LandmarkNetwork(Protocol):
    """A network that finds the landmarks of faces.

    imputed: points that it does not measure but computes from others.
    least_score: below it, what the box shows is no face for this network.
    """

    imputed: tuple[int, ...]
    least_score: float

    def __call__(self, pictures: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks of one face in each picture, all in one go.

        pictures: N times uint8 (height, width, 3), blue first.  boxes: float (N, 4), as YuNet draws them.
        Returns points float32 (N, 68, 2) in pixels of the picture, and scores float32 (N,).
        """
        ...


def open_network(backend: str, weights: Path, *, accelerator: str, threads: int, precision: str) -> LandmarkNetwork:
    """The network of a back end. Raises RunError if the weights cannot be read or there is no such GPU.

    accelerator: "cpu", or "cuda…" for a GPU.  precision: "float32" or "bfloat16", heeded by `fan`.
    """
    # Each back end's libraries are imported where it is used: no run needs all of them.
    if backend == "openseeface":
        from scripts.faces.backends.openseeface import OpenSeeFace

        return OpenSeeFace(weights, accelerator=accelerator, threads=threads)
    if backend == "fan":
        from scripts.faces.backends.fan import Fan

        return Fan(weights, accelerator=accelerator, threads=threads, precision=precision)
    raise RunError(f"no landmark network is called `{backend}`; known: fan, openseeface")


def unreadable(weights: Path, what: str, error: Exception) -> RunError:
    """The error for a weight file that is missing or broken, with the first line of the library's words."""
    if not weights.is_file():
        return RunError(f"{weights}: the weights of {what} are missing; `models_dir` may name a folder with them")
    cause = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
    return RunError(f"{weights}: not the weights of {what}; remove the file and run again ({cause})")
