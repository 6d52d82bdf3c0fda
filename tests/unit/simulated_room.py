"""A room with echoes, an array of microphones on its walls, cameras in its corners, and a source on a known path."""

from dataclasses import dataclass

import numpy as np
from scipy import signal

from scripts.common.calibration_file import Calibration, Camera

ROOM_M = np.array([4.0, 3.0, 2.5])
RATE_HZ = 48_000
SPEED_M_S = 343.0
ECHO = 0.6
UPSAMPLED = 8
SIZE = (1280, 800)


@dataclass(frozen=True)
class Scene:
    """microphones_m: float64 (C, 3).  sound: float64 (N, C).  path_m: float64 (N, 3), at the instant of each sample."""

    microphones_m: np.ndarray
    sound: np.ndarray
    path_m: np.ndarray


def on_walls(count: int, rng: np.random.Generator) -> np.ndarray:
    """Microphones 3 cm before the walls, float64 (count, 3)."""
    places = rng.uniform(0.1, ROOM_M - 0.1, (count, 3))
    for index, place in enumerate(places):
        axis = index % 3
        place[axis] = 0.03 if (index // 3) % 2 else ROOM_M[axis] - 0.03
    return places


def moving_source(seconds: float, *, microphones: int = 24, noise: float = 0.02, silent_s=(), seed: int = 1) -> Scene:
    """A source of noise between 5 and 11 kHz that wanders through the room; the walls answer once.

    silent_s: (start, stop) of a stretch without sound.
    """
    rng = np.random.default_rng(seed)
    places = on_walls(microphones, rng)
    count = round(seconds * RATE_HZ)
    at_s = np.arange(count) / RATE_HZ
    path = np.stack([1 + 1.5 * at_s / seconds, 0.7 + 1.2 * np.sin(2 * at_s) ** 2, 1.2 + 0.5 * np.cos(3 * at_s)], axis=1)
    band = signal.butter(4, [5000, 11_000], "bandpass", fs=RATE_HZ, output="sos")
    source = signal.sosfilt(band, rng.standard_normal(count + RATE_HZ))
    if silent_s:
        source[round((silent_s[0] + 0.5) * RATE_HZ) : round((silent_s[1] + 0.5) * RATE_HZ)] = 0
    fine = signal.resample_poly(source, UPSAMPLED, 1)
    sound = np.zeros((count, microphones))
    for image, gain in images(path):
        for index, place in enumerate(places):
            away = np.linalg.norm(image - place, axis=1)
            heard_at = (at_s - away / SPEED_M_S + 0.5) * RATE_HZ * UPSAMPLED
            sound[:, index] += gain / away * np.interp(heard_at, np.arange(len(fine)), fine)
    sound *= 0.6 / np.abs(sound).max()
    return Scene(places, sound + rng.normal(0, noise, sound.shape), path)


def images(path: np.ndarray):
    """The source and its mirror images in the six walls, each with its strength."""
    yield path, 1.0
    for axis in range(3):
        for wall in (0.0, ROOM_M[axis]):
            mirrored = path.copy()
            mirrored[:, axis] = 2 * wall - mirrored[:, axis]
            yield mirrored, ECHO


def looking_at(name: str, eye_m, target_m=tuple(ROOM_M / 2), *, focal_px: float = 560.0) -> Camera:
    """A camera with some distortion at `eye_m`, upright, in a world of millimetres."""
    ahead = np.subtract(target_m, eye_m)
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, [0, 0, 1])
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    from scipy.spatial.transform import Rotation

    return Camera(
        name=name,
        size=SIZE,
        matrix=np.array([[focal_px, 0, SIZE[0] / 2], [0, focal_px, SIZE[1] / 2], [0, 0, 1]]),
        distortions=np.array([-0.05, 0.01, 0.001, -0.001, 0.0]),
        rotation=Rotation.from_matrix(rotation).as_rotvec(),
        translation=-rotation @ (np.array(eye_m) * 1000),
    )


def cameras() -> Calibration:
    """Three cameras that see the middle of the room."""
    eyes = {"left": (0.1, 0.1, 2.3), "right": (3.9, 0.2, 2.2), "far": (2.0, 2.9, 0.2)}
    return Calibration({name: looking_at(name, eye) for name, eye in eyes.items()}, {"unit": "mm"})
