"""Bundle adjustment of cameras and boards: lenses, places of cameras and places of the board, all at once.

Two passes of Levenberg-Marquardt with an analytic, sparse Jacobian and the loss soft_l1; between them observations
that fit badly are dropped (as caliscope does). The first camera is the world: its place is fixed. The normal equations
are solved by SuperLU, which gives the same bits whatever the cores. (scipy's least_squares solves every sparse step by
iteration: it needed ten times as long for the same result.)
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from scripts.cameras import lens

# An observation further off than so many medians of all is dropped between the passes, but none below FLOOR_PX.
OUTLIER_MEDIANS = 4.0
FLOOR_PX = 1.0
# A picture of which less than this share of the corners fits is dropped as a whole.
WHOLE_VIEW = 2 / 3
POSE = 6
MAX_STEPS = 200
MOST_DAMPING = 1e8
# An adjustment is done when a step gains less than this share of the cost.
ENOUGH = 1e-9


@dataclass(frozen=True)
class Observations:
    """Corners in pictures, one row an observation: all (N,), pixels float64 (N, 2), points float64 (N, 3) in mm."""

    camera: np.ndarray
    view: np.ndarray
    corner: np.ndarray
    pixels: np.ndarray
    points: np.ndarray

    def __len__(self) -> int:
        return len(self.camera)

    def where(self, kept: np.ndarray) -> "Observations":
        """The rows that `kept`, bool (N,), names."""
        return Observations(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Scene:
    """lenses: one vector a camera (9,), fisheye (8,).  cameras: float64 (C, 6) world to camera, boards: (V, 6) board to
    world; each a Rodrigues vector and a translation in mm."""

    lenses: list[np.ndarray]
    cameras: np.ndarray
    boards: np.ndarray


@dataclass(frozen=True)
class Freedom:
    """What is adjusted. square: one focal length a camera.  lenses: whether these move."""

    lenses: bool = True
    square: bool = False


def turned(rotation: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points turned by Rodrigues vectors, both float64 (N, 3), and the derivative by the vectors, (N, 3, 3)."""
    angle = np.linalg.norm(rotation, axis=1)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    s = np.where(small, 1.0, np.sin(safe) / safe)
    c = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    d = np.where(small, 1 / 6, (safe - np.sin(safe)) / safe**3)
    once = np.cross(rotation, points)
    there = points + s[:, None] * once + c[:, None] * np.cross(rotation, once)
    cross = skew(rotation)
    left = np.eye(3) + c[:, None, None] * cross + d[:, None, None] * (cross @ cross)
    return there, -skew(there) @ left


def skew(vectors: np.ndarray) -> np.ndarray:
    """Matrices of the cross product, float64 (N, 3) to (N, 3, 3)."""
    out = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -z, y, -x
    out[:, 1, 0], out[:, 2, 0], out[:, 2, 1] = z, -y, x
    return out


def matrices(rotation: np.ndarray) -> np.ndarray:
    """Rotation matrices of Rodrigues vectors, float64 (N, 3) to (N, 3, 3)."""
    columns = [turned(rotation, np.broadcast_to(axis, rotation.shape))[0] for axis in np.eye(3)]
    return np.stack(columns, axis=2)


def residuals(scene: Scene, seen: Observations) -> np.ndarray:
    """Projected less observed, pixels, float64 (N, 2)."""
    return _project(scene, seen)[0] - seen.pixels


def _project(scene: Scene, seen: Observations) -> tuple[np.ndarray, ...]:
    """Pixels and derivatives by lens, camera's place and board's place."""
    board, eye = scene.boards[seen.view], scene.cameras[seen.camera]
    turned_board, by_board_turn = turned(board[:, :3], seen.points)
    world = turned_board + board[:, 3:]
    turned_eye, by_eye_turn = turned(eye[:, :3], world)
    place = turned_eye + eye[:, 3:]
    count = len(seen)
    pixels, by_point = np.empty((count, 2)), np.empty((count, 2, 3))
    by_lens = np.zeros((count, 2, lens.PINHOLE))
    for index, vector in enumerate(scene.lenses):
        rows = seen.camera == index
        pixels[rows], by_point[rows], of_lens = lens.project(place[rows], vector)
        by_lens[rows, :, : len(vector)] = of_lens
    by_eye = np.concatenate([by_point @ by_eye_turn, by_point], axis=2)
    by_world = by_point @ matrices(scene.cameras[:, :3])[seen.camera]
    by_board = np.concatenate([by_world @ by_board_turn, by_world], axis=2)
    return pixels, by_lens, by_eye, by_board


class _Layout:
    """Where each parameter stands in the vector that is adjusted; -1 for what is fixed."""

    def __init__(self, scene: Scene, freedom: Freedom) -> None:
        self.scene = scene
        count = 0
        self.lenses = np.full((len(scene.lenses), lens.PINHOLE), -1)
        for index, vector in enumerate(scene.lenses):
            wanted = np.full(len(vector), freedom.lenses)
            if freedom.square:
                wanted[1] = False
            self.lenses[index, : len(vector)][wanted] = count + np.arange(wanted.sum())
            count += int(wanted.sum())
            if freedom.square and freedom.lenses:
                self.lenses[index, 1] = self.lenses[index, 0]
        self.cameras = np.full(scene.cameras.shape, -1)
        self.cameras[1:] = count + np.arange(scene.cameras[1:].size).reshape(-1, POSE)
        count += scene.cameras[1:].size
        self.boards = count + np.arange(scene.boards.size).reshape(-1, POSE)
        self.size = count + scene.boards.size

    def pack(self, scene: Scene) -> np.ndarray:
        vector = np.empty(self.size)
        for places, values in ((self.cameras, scene.cameras), (self.boards, scene.boards)):
            vector[places[places >= 0]] = values[places >= 0]
        for places, values in zip(self.lenses, scene.lenses, strict=True):
            mine = places[: len(values)]
            vector[mine[mine >= 0]] = values[mine >= 0]
        return vector

    def unpack(self, vector: np.ndarray) -> Scene:
        def filled(places: np.ndarray, values: np.ndarray) -> np.ndarray:
            return np.where(places >= 0, vector[np.maximum(places, 0)], values)

        lenses = [filled(p[: len(v)], v) for p, v in zip(self.lenses, self.scene.lenses, strict=True)]
        return Scene(lenses, filled(self.cameras, self.scene.cameras), filled(self.boards, self.scene.boards))


def adjust(scene: Scene, seen: Observations, freedom: Freedom, *, robust: bool = True) -> Scene:
    """The scene in which the observations fit best, by Levenberg and Marquardt with sparse normal equations.

    robust: by the loss soft_l1, 2 (sqrt(1 + r²) - 1) of r in pixels, as weights that follow r; else by squares.
    """
    layout = _Layout(scene, freedom)
    columns = np.concatenate(
        [layout.lenses[seen.camera], layout.cameras[seen.camera], layout.boards[seen.view]], axis=1
    )
    columns = np.repeat(columns, 2, axis=0)
    rows = np.repeat(np.arange(len(columns)), columns.shape[1]).reshape(columns.shape)
    free = columns >= 0
    vector = layout.pack(scene)
    pixels, *parts = _project(scene, seen)
    cost, weights = _cost(pixels - seen.pixels, robust)
    damping = 1e-4
    for _ in range(MAX_STEPS):
        values = np.concatenate(parts, axis=2).reshape(columns.shape)
        slopes = csr_matrix((values[free], (rows[free], columns[free])), shape=(len(columns), layout.size))
        weighted = slopes.T.multiply(weights).tocsr()
        normal = (weighted @ slopes).tocsc()
        downhill = -(weighted @ (pixels - seen.pixels).ravel())
        while damping < MOST_DAMPING:
            step = splu((normal + diags(damping * normal.diagonal() + 1e-12)).tocsc()).solve(downhill)
            new_pixels, *new_parts = _project(layout.unpack(vector + step), seen)
            new_cost, new_weights = _cost(new_pixels - seen.pixels, robust)
            if new_cost < cost:
                break
            damping *= 8
        else:
            break
        gain, vector, cost, weights = cost - new_cost, vector + step, new_cost, new_weights
        pixels, parts = new_pixels, new_parts
        damping = max(damping / 8, 1e-12)
        if gain <= ENOUGH * cost:
            break
    return layout.unpack(vector)


def _cost(misses: np.ndarray, robust: bool) -> tuple[float, np.ndarray]:
    """The loss of residuals (N, 2), and the weight of each in the normal equations, (2 N,)."""
    square = misses.ravel() ** 2
    if not robust:
        return float(square.sum()), np.ones(len(square))
    root = np.sqrt(1 + square)
    return float(2 * (root - 1).sum()), 1 / root


def adjust_twice(scene: Scene, seen: Observations, freedom: Freedom) -> tuple[Scene, Observations]:
    """Adjust, drop what fits badly, adjust again. Returns the scene and the observations that were kept."""
    first = adjust(scene, seen, freedom)
    error = np.linalg.norm(residuals(first, seen), axis=1)
    kept = error <= max(OUTLIER_MEDIANS * float(np.median(error)), FLOOR_PX)
    # Where much of a picture fits badly, the rest fits by chance: a board numbered from another end, or that moved.
    picture = seen.camera * len(scene.boards) + seen.view
    share = np.bincount(picture, kept) / np.maximum(np.bincount(picture), 1)
    kept &= share[picture] >= WHOLE_VIEW
    # A view of which hardly anything is left would move freely.
    kept &= np.bincount(seen.view, kept, len(scene.boards))[seen.view] >= 4
    left, place = np.unique(seen.view[kept], return_inverse=True)
    inliers = replace(seen.where(kept), view=place)
    return adjust(replace(first, boards=first.boards[left]), inliers, freedom), inliers
