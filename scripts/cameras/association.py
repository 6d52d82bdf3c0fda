"""Which person in one camera is which in another, and which in the frame before."""

from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from scripts.cameras.triangulation import Rig, triangulate

# A pair of detections wants so many keypoints in common to be compared.
COMMON = 3
# A body moves by at most so many of its own lengths from a frame to the next.
LENGTHS = 2
# What a place costs that nobody had, and more than it one out of reach. In the points' unit, beyond any distance.
UNUSED = 1e9


def associate(rays: np.ndarray, sure: np.ndarray, rig: Rig, limit_px: float) -> tuple[np.ndarray, np.ndarray]:
    """The same detections with the same person in the same place in every camera and frame.

    rays: float64 (C, 2, M, P, K).  sure: float (C, M, P, K), 0 where nothing is seen. Within a frame, detections of two
    cameras belong together where their triangulated points fit both; the best fits are joined first, one detection a
    camera and person. Over time persons keep their places by the least distance of their keypoints; who is further off
    than a body moves is somebody else while there is a place that nobody had.
    """
    cameras, _, frames, persons, count = rays.shape
    cost = _pair_costs(rays, sure, rig)
    new_rays, new_sure = np.full_like(rays, np.nan), np.zeros_like(sure)
    last, unseen = np.full((persons, count, 3), np.nan), np.zeros(persons, int)
    for frame in range(frames):
        groups = _groups(cost, frame, np.asarray(sure[:, frame].any(axis=2)), limit_px)[:persons]
        slots = np.full((len(groups), cameras), -1)
        for row, group in enumerate(groups):
            for camera, person in group.items():
                slots[row, camera] = person
        unseen += 1
        if not len(groups):
            continue
        mine, weight = _gathered(rays[:, :, frame], sure[:, frame], slots)
        solid = triangulate(
            mine.reshape(cameras, 2, -1), weight.reshape(cameras, -1), rig, limit_px=limit_px
        ).xyz.reshape(len(groups), count, 3)
        places = _placed(solid, last, unseen)
        unseen[places] = 0
        for row, place in enumerate(places):
            new_rays[:, :, frame, place], new_sure[:, frame, place] = mine[:, :, row], weight[:, row]
            last[place] = np.where(np.isfinite(solid[row]), solid[row], last[place])
    return new_rays, new_sure


def _gathered(rays: np.ndarray, sure: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays (C, 2, G, K) and weights (C, G, K) of the groups: which person of each camera, -1 for none."""
    cameras = np.arange(len(rays))[:, None]
    chosen = np.maximum(slots.T, 0)
    there = slots.T[..., None] >= 0
    weight = np.where(there, sure[cameras, chosen], 0)
    mine = np.moveaxis(rays[cameras, :, chosen], 2, 1)
    return np.where(there[:, None], mine, np.nan), weight


def _pair_costs(rays: np.ndarray, sure: np.ndarray, rig: Rig) -> dict[tuple[int, int], np.ndarray]:
    """Median error in px of every pair of persons of two cameras, (M, P, P); inf with too little in common."""
    cameras, _, frames, persons, count = rays.shape
    costs = {}
    for one, other in combinations(range(cameras), 2):
        pair = rig.of_cameras((one, other))
        shape = (2, 2, frames, persons, persons, count)
        both = np.empty(shape)
        both[0], both[1] = rays[one][:, :, :, None], rays[other][:, :, None]
        weight = np.empty((2, *shape[2:]))
        weight[0], weight[1] = sure[one][:, :, None], sure[other][:, None]
        points = triangulate(both.reshape(2, 2, -1), weight.reshape(2, -1), pair, robust=False)
        error = points.error_px.reshape(frames, persons, persons, count)
        known = np.isfinite(error)
        enough = known.sum(axis=-1) >= min(COMMON, count)
        middle = np.median(np.where(known, error, np.inf), axis=-1)
        share = np.where(known, error, 0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
        costs[one, other] = np.where(enough, np.where(np.isfinite(middle), middle, share), np.inf)
    return costs


def _groups(
    cost: dict[tuple[int, int], np.ndarray], frame: int, seen: np.ndarray, limit_px: float
) -> list[dict[int, int]]:
    """Detections of one frame that belong together, {camera: person}; the largest groups first."""
    links = [
        (float(values[frame, a, b]), one, int(a), other, int(b))
        for (one, other), values in cost.items()
        for a, b in np.argwhere(values[frame] <= limit_px)
    ]
    group_of = {(c, int(p)): {c: int(p)} for c in range(len(seen)) for p in np.flatnonzero(seen[c])}
    for _, one, a, other, b in sorted(links):
        first, second = group_of[one, a], group_of[other, b]
        if first is second or first.keys() & second.keys():
            continue
        first.update(second)
        for key in second.items():
            group_of[key] = first
    unique = {id(group): group for group in group_of.values() if len(group) > 1}
    return sorted(unique.values(), key=lambda group: (-len(group), sorted(group.items())))


def _placed(solid: np.ndarray, last: np.ndarray, unseen: np.ndarray) -> list[int]:
    """A place for each group (G, K, 3), by the median distance to where each person (P, K, 3) was last seen.

    unseen: int (P,), frames since then. Of a single keypoint no length is known, and all is in reach.
    """
    distance = np.linalg.norm(solid[:, None] - last[None], axis=-1)
    known = np.isfinite(distance)
    cost = np.full(distance.shape[:2], UNUSED)
    some = known.any(axis=-1)
    cost[some] = np.nanmedian(np.where(known, distance, np.nan)[some], axis=-1)
    there = np.isfinite(last)
    low, high = np.where(there, last, np.inf).min(axis=1), np.where(there, last, -np.inf).max(axis=1)
    length = np.linalg.norm(np.where(there.any(axis=1), high - low, 0), axis=-1)
    reach = np.where(length > 0, LENGTHS * length * unseen, np.inf)
    cost[some & (cost > reach)] += UNUSED
    rows, columns = linear_sum_assignment(cost)
    return [int(columns[list(rows).index(row)]) for row in range(len(solid))]
