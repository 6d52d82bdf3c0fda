"""Poses of a body with bones from what all cameras see of it: the most probable ones (MAP), all frames at once.

After GIMBAL (L. Zhang et al., 2021, "Animal pose estimation from video data with a hierarchical von Mises-Fisher-
Gaussian model"): sightings, lengths of bones, the body's heading and motion are weighed against each other. Here the
mixture of good and wild sightings is Student's distribution, the states of the pose are one usual shape that is turned
into each frame, and instead of sampling, the most probable poses are found by Gauss-Newton steps with changing weights.
All that the model knows it learns from the recording itself.
"""

from dataclasses import dataclass, replace

import numpy as np

from scripts.cameras import kalman
from scripts.cameras.bands import Bands
from scripts.cameras.body_frame import Shape, learn_shape
from scripts.cameras.series import Series, bridge, chunks, stretches
from scripts.cameras.triangulation import Rig

# Frames that are solved at a time, and of the neighbours.
CHUNK, OVERLAP = 512, 64
LEARNED_ROWS, LEARNED_STRETCHES, LEARNING_PASSES = 128, 4, 20
PASSES = 12
# Steps end when points move by less than this part of the bones' usual length.
ENOUGH = 2e-4
# Of Student's distribution.
FREEDOM = 4
# Errors of a body stay from frame to frame, so frames do not count as so many proofs of its lengths and its shape.
PERSISTENCE = 16
# No camera sees a keypoint better than so much of the usual.
BEST = 0.5


@dataclass(frozen=True)
class Body:
    """What is learned. Variances; squares of px or of the points' unit.

    sight: float64 (C, K), of sightings.  offset_px: float64 (2,), by which the detector is off in all cameras.  motion:
    float64 (K,), of second differences of places.  lengths, length_spread: float64 (B,).  shape: of the whole body.
    """

    sight: np.ndarray
    offset_px: np.ndarray
    motion: np.ndarray
    lengths: np.ndarray
    length_spread: np.ndarray
    shape: Shape | None


@dataclass(frozen=True)
class View:
    """Some frames: sightings (C, 2, T, K), px a unit of them (C, 2, 2, T, K), where a point is wanted (T, K), and where
    motion binds (T - 2, K)."""

    rays: np.ndarray
    slopes: np.ndarray
    inside: np.ndarray
    bound: np.ndarray


def smooth(
    series: Series, rays: np.ndarray, rig: Rig, bones: np.ndarray, offset_px: float
) -> tuple[np.ndarray, np.ndarray, Body]:
    """Points float64 (T, K, 3), their covariance (T, K, 3, 3), NaN outside of segments, and the body.

    rays: float64 (C, 2, T, K), normalised coordinates, NaN where unseen.  bones: int (B, 2).  offset_px: how far off
    the detector may be in all cameras alike (standard deviation); 0: not at all.
    """
    xyz, covariance = np.full(series.xyz.shape, np.nan), np.full(series.covariance.shape, np.nan)
    begins, inside = series.begins(), series.bridged()
    whole = View(rays, rig.slopes(rays), inside, _bound(inside, begins))
    first = _first(series)
    body = learn(series, first, whole, rig, bones, offset_px)
    for read, keep, inner in chunks(len(series), CHUNK, OVERLAP):
        points, view = first[read], part(whole, read)
        for _ in range(PASSES):
            before = points
            points = equations(points, view, rig, bones, body)[0].solve()[0]
            if _moved(points - before, view.inside) < ENOUGH * np.median(body.lengths):
                break
        bands = equations(points, view, rig, bones, body)[0]
        xyz[keep], covariance[keep] = points[inner], bands.covariance()[inner]
    xyz[~inside], covariance[~inside] = np.nan, np.nan
    return xyz, covariance, body


def part(view: View, rows: slice) -> View:
    """Some frames of a view."""
    bound = view.bound[rows.start : max(rows.stop - 2, rows.start)]
    return View(view.rays[:, :, rows], view.slopes[:, :, :, rows], view.inside[rows], bound)


def _bound(inside: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Where three frames are of one segment, bool (T - 2, K)."""
    out: np.ndarray = inside[:-2] & inside[1:-1] & inside[2:] & ~begins[1:-1] & ~begins[2:]
    return out


def _first(series: Series) -> np.ndarray:
    """The triangulated points, gaps bridged; 0 outside of segments."""
    out = np.zeros_like(series.xyz)
    for keypoint in range(out.shape[1]):
        for rows in series.segments(keypoint):
            out[rows, keypoint] = bridge(series.xyz[rows, keypoint])
    return out


def learn(series: Series, first: np.ndarray, whole: View, rig: Rig, bones: np.ndarray, offset_px: float) -> Body:
    """The body, by turns with the points of a few stretches of frames."""
    rows = stretches(len(series), LEARNED_ROWS, LEARNED_STRETCHES)
    views = [part(whole, some) for some in rows]
    states = [first[some] for some in rows]
    inside = np.concatenate([view.inside for view in views])
    motion = kalman.learn(series, 0.0).acceleration * series.step_s**2
    body = Body(np.empty((0, 0)), np.zeros(2), motion**2, np.empty(0), np.empty(0), None)
    body = updated(body, np.concatenate(states), states, views, inside, rig, bones)
    for _ in range(LEARNING_PASSES):
        normal, right = np.eye(2) * len(inside) / max(offset_px, 1e-9) ** 2, np.zeros(2)
        moved = []
        for place, view in enumerate(views):
            bands, weight, slope, target = equations(states[place], view, rig, bones, body)
            columns = np.einsum("ctk,cdtki->dtki", weight, slope)
            points, answers = bands.solve(columns)
            # `target` and the right side hold the offset of before; both are linear in it.
            normal += np.eye(2) * weight.sum() - np.einsum("dtki,etki->de", columns, answers)
            alone = points + np.einsum("d,dtki->tki", body.offset_px, answers)
            right += np.einsum("ctk,cdtk->d", weight, target) - np.einsum("dtki,tki->d", columns, alone)
            moved.append(_moved(points - states[place], view.inside))
            states[place] = points
        if offset_px:
            body = replace(body, offset_px=np.linalg.solve(normal, right))
        body = updated(body, np.concatenate(states), states, views, inside, rig, bones)
        if max(moved) < ENOUGH * np.median(body.lengths):
            break
    return body


def updated(
    body: Body,
    points: np.ndarray,
    states: list[np.ndarray],
    views: list[View],
    inside: np.ndarray,
    rig: Rig,
    bones: np.ndarray,
) -> Body:
    """The body as the points of all stretches show it."""
    sight = body.sight
    pairs = [sighted(state, view, rig) for state, view in zip(states, views, strict=True)]
    miss = np.concatenate([pair[0] for pair in pairs], axis=2) - body.offset_px[:, None, None]
    seen = np.concatenate([pair[2] for pair in pairs], axis=1)
    square = np.where(seen, (miss**2).sum(axis=1), 0)
    if not sight.size:
        # Of two normal numbers the median of the sum of squares is 1.386.
        usual = float(np.median(square[seen])) / 1.386 if seen.any() else 1.0
        sight = np.full((len(seen), seen.shape[2]), max(usual, 1e-6))
    weight = (FREEDOM + 2) / (FREEDOM + square / sight[:, None])
    squares, counts = (weight * square).sum(axis=1), 2 * seen.sum(axis=1)
    sight = np.where(counts > 0, squares / np.maximum(counts, 1), sight)
    usual = float(np.median(sight[counts > 0])) if (counts > 0).any() else 1.0
    sight = np.maximum(sight, max(BEST**2 * usual, 1e-6))
    one, other = bones.T
    both = inside[:, one] & inside[:, other]
    length = np.where(both, np.linalg.norm(points[:, other] - points[:, one], axis=-1), np.nan)
    lengths, spread = _usual(length)
    shape = learn_shape(points, inside, body.shape)
    return replace(body, sight=sight, lengths=lengths, length_spread=spread**2, shape=shape)


def _usual(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and 1.4826 MAD, at least a hundredth, by column of (T, B); of a bone never seen the mean of the others."""
    known = np.isfinite(lengths).any(axis=0)
    middle = np.full(lengths.shape[1], np.nan)
    middle[known] = np.nanmedian(lengths[:, known], axis=0)
    middle[~known] = np.nanmean(middle) if known.any() else 1.0
    spread = np.zeros(lengths.shape[1])
    spread[known] = 1.4826 * np.nanmedian(np.abs(lengths[:, known] - middle[known]), axis=0)
    return middle, np.maximum(spread, np.maximum(middle / 100, 1e-6))


def sighted(points: np.ndarray, view: View, rig: Rig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Misses in px (C, 2, T, K), px a unit that a point moves (C, 2, T, K, 3), and where a sighting is (C, T, K)."""
    place = np.einsum("cij,tkj->citk", rig.poses[:, :, :3], points) + rig.poses[:, :, 3][:, :, None, None]
    depth = place[:, 2]
    seen = np.isfinite(view.rays).all(axis=1) & view.inside & (depth > 1e-9)
    depth = np.where(seen, depth, 1)
    uv = place[:, :2] / depth[:, None]
    miss = np.where(seen[:, None], np.einsum("cdetk,cetk->cdtk", view.slopes, view.rays - uv), 0)
    turn = rig.poses[:, :, None, None, :3]
    plane = (turn[:, :2] - uv[..., None] * turn[:, 2:3]) / depth[:, None, ..., None]
    slope = np.einsum("cdetk,cetki->cdtki", view.slopes, plane)
    return miss, np.where(seen[:, None, ..., None], slope, 0), seen


def equations(
    points: np.ndarray, view: View, rig: Rig, bones: np.ndarray, body: Body
) -> tuple[Bands, np.ndarray, np.ndarray, np.ndarray]:
    """The system of the next step, and of the sightings weights (C, T, K), slopes (C, 2, T, K, 3) and targets
    (C, 2, T, K): the misses if all points were 0, with the detector's offset still in them."""
    bands = Bands(*points.shape[:2])
    miss, slope, seen = sighted(points, view, rig)
    square = ((miss - body.offset_px[:, None, None]) ** 2).sum(axis=1) / body.sight[:, None]
    weight = np.where(seen, (FREEDOM + 2) / (FREEDOM + square) / body.sight[:, None], 0)
    target = miss + np.einsum("cdtki,tki->cdtk", slope, points)
    pulled = weight[:, None] * (target - body.offset_px[:, None, None])
    leaning = weight[:, None, ..., None] * slope
    bands.add_points(
        np.einsum("cdtki,cdtkj->tkij", leaning, slope, optimize=True), np.einsum("cdtk,cdtki->tki", pulled, slope)
    )
    if body.shape is not None:
        wanted, spread = body.shape.placed(points, view.inside)
        far = ((points - wanted) ** 2).sum(axis=-1) / spread
        firm = np.where(view.inside & np.isfinite(far), (FREEDOM + 3) / (FREEDOM + far) / spread, 0) / PERSISTENCE
        bands.add_points(firm[..., None, None] * np.eye(3), firm[..., None] * np.where(firm[..., None] > 0, wanted, 0))
    # What nothing holds stays where it is.
    hold = np.where(view.inside, 1e-9, 1.0)
    bands.add_points(hold[..., None, None] * np.eye(3), hold[..., None] * points)
    one, other = bones.T
    along = points[:, other] - points[:, one]
    length = np.maximum(np.linalg.norm(along, axis=-1), 1e-9)
    along = along / length[..., None]
    far = (length - body.lengths) ** 2 / body.length_spread
    firm = np.where(view.inside[:, one] & view.inside[:, other], (FREEDOM + 1) / (FREEDOM + far), 0)
    firm = firm / body.length_spread / PERSISTENCE
    pulled = firm[..., None] * along
    bands.add_bones(bones, pulled[..., :, None] * along[..., None, :], body.lengths[:, None] * pulled)
    bands.add_motion(view.bound / body.motion)
    return bands, weight, slope, target


def _moved(step: np.ndarray, inside: np.ndarray) -> float:
    """How far nearly all points moved."""
    far = np.linalg.norm(step, axis=-1)[inside]
    return float(np.percentile(far, 95)) if len(far) else 0.0
