"""The networks, loaded once a module, and a picture of one face."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.faces.backends.openseeface import OpenSeeFace
from scripts.faces.backends.yunet import YuNet
from tests.unit.face_search.landmark_maker import weights_of


@pytest.fixture(scope="module")
def detector(data: Path) -> YuNet:
    return YuNet(weights_of(data)[0], min_score=0.6)


@pytest.fixture(scope="module")
def openseeface(data: Path) -> OpenSeeFace:
    return OpenSeeFace(weights_of(data)[1], accelerator="cpu", threads=1)


@pytest.fixture(scope="module")
def single_face(data: Path) -> np.ndarray:
    return cv2.imread(str(data / "faces" / "pyfeat" / "single_face.jpg"))
