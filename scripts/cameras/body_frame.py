"""The usual shape of a body in its own frame, and how it is turned into each picture's: its heading."""

from dataclasses import dataclass

import numpy as np

# Fewer keypoints have no shape that a turn does not explain.
FEWEST = 4
ROUNDS = 3


@dataclass(frozen=True)
class Shape:
    """places: float64 (K, 3), NaN for a keypoint never seen.  spread: float64 (K,), variance by coordinate."""

    places: np.ndarray
    spread: np.ndarray

    def placed(self, points: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The shape turned and moved to each frame's points, float64 (T, K, 3), NaN where too few are there; spread."""
        turn, home, origin = headings(self, points, inside)
        return (np.nan_to_num(self.places) - origin[:, None]) @ turn + home[:, None], self.spread


def headings(shape: Shape, points: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns (T, 3, 3), so that (shape - origin) @ turn + home lies on the points; home and origin float64 (T, 3).

    Kabsch's method, keypoints weighted by how little they move in the body's frame. NaN with fewer than FEWEST.
    """
    known = np.isfinite(shape.places).all(axis=1)
    there = inside & known
    weight = np.where(there, 1 / np.where(known, shape.spread, 1), 0)
    enough = there.sum(axis=1) >= FEWEST
    weight = weight / np.where(enough, weight.sum(axis=1), 1)[:, None]
    places = np.nan_to_num(shape.places)
    home, origin = np.einsum("tk,tki->ti", weight, points), weight @ places
    crossed = np.einsum("tk,tki,tkj->tij", weight, places - origin[:, None], points - home[:, None], optimize=True)
    left, _, right = np.linalg.svd(crossed)
    left[:, :, 2] *= np.linalg.det(left @ right)[:, None]
    return np.where(enough[:, None, None], left @ right, np.nan), home, origin


def learn_shape(points: np.ndarray, inside: np.ndarray, known: Shape | None) -> Shape | None:
    """The shape whose keypoints are the medians in the body's frame; None for a body of too few keypoints.

    points: float64 (T, K, 3).  inside: bool (T, K).  known: the shape of before, to begin with.
    """
    count = inside.sum(axis=1)
    if not len(count) or count.max() < FEWEST:
        return None
    if known is None:
        best = int(count.argmax())
        first = np.where(inside[best][:, None], points[best], np.nan)
        known = Shape(first - np.nanmean(first, axis=0), np.ones(inside.shape[1]))
    for _ in range(ROUNDS):
        turn, home, origin = headings(known, points, inside)
        body = np.einsum("tkj,tij->tki", points - home[:, None], turn) + origin[:, None]
        body = np.where(inside[..., None], body, np.nan)
        seen = np.isfinite(body).any(axis=(0, 2))
        places, spread = known.places.copy(), known.spread.copy()
        places[seen] = np.nanmedian(body[:, seen], axis=0)
        square = ((body[:, seen] - places[seen]) ** 2).sum(axis=-1)
        # Of three normal numbers the median of the sum of squares is 2.366.
        spread[seen] = np.nanmedian(square, axis=0) / 2.366
        size = float(np.nanmean((places - np.nanmean(places, axis=0)) ** 2))
        known = Shape(places, np.maximum(spread, 1e-4 * size + 1e-12))
    return known
