"""Where an adjustment begins: lenses from single cameras, places over a spanning tree of shared views."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from scripts.cameras import lens
from scripts.cameras.board import Turn
from scripts.cameras.bundle import POSE, Observations, Scene, matrices, residuals
from scripts.common.calibration_file import Camera, rotation_matrix
from scripts.common.errors import InputError

# A view with fewer corners places no camera, and a lens wants so many views.
MIN_CORNERS = 6
MIN_VIEWS = 3
# Views that a single camera's lens is found from: enough, and still quick.
LENS_VIEWS = 30
# At most this share of the views, so that every start is another one.
LENS_SHARE = 0.7
# A corner further off than so many medians is left out when a lens is found again; none nearer than the floor is.
WILD_MEDIANS = 4.0
WILD_FLOOR_PX = 1.0
AGAIN = 3
# When OpenCV may stop: the adjustment takes it from there.
ROUGH = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 15, 1e-4)
# No corner counts for more than so many pixels when places of the board are compared.
FAR_PX = 200.0


def first_lens(
    seen: Observations, size: tuple[int, int], *, fisheye: bool, square: bool, generator: np.random.Generator
) -> np.ndarray:
    """Intrinsics of one camera from its own views of the board, float64 (9,) or (8,).

    seen: the observations of this camera alone. A random part of the views is taken, at most LENS_VIEWS.
    """
    views = good_views(seen)
    if len(views) < MIN_VIEWS:
        raise InputError("too_few_views", f"{len(views)} pictures show the board well; {MIN_VIEWS} are wanted")
    most = min(LENS_VIEWS, max(int(LENS_SHARE * len(views)), 2 * MIN_VIEWS))
    if len(views) > most:
        views = np.sort(generator.choice(views, most, replace=False))
    points = [seen.points[seen.view == view].astype(np.float32) for view in views]
    pixels = [seen.pixels[seen.view == view].astype(np.float32) for view in views]
    # OpenCV adds up in another order with every run if it has threads: its guess is rounded to what is always so.
    cv2.setNumThreads(1)
    vector = _first_fisheye(points, pixels, size) if fisheye else _first_pinhole(points, pixels, size, square)
    return np.array([float(f"{value:.6g}") for value in vector])


def _first_pinhole(
    points: list[np.ndarray], pixels: list[np.ndarray], size: tuple[int, int], square: bool
) -> np.ndarray:
    flags = cv2.CALIB_FIX_K3 | (cv2.CALIB_FIX_ASPECT_RATIO if square else 0)
    guess: Any = np.eye(3) if square else None
    for _ in range(AGAIN):
        # k3 follows in the adjustment: few views tell it badly, and it may run away.
        found: Any = cv2.calibrateCamera(points, pixels, size, guess, None, flags=flags, criteria=ROUGH)  # type: ignore[call-overload,unused-ignore]
        matrix, bends = np.asarray(found[1]), np.asarray(found[2])
        seen = [
            cv2.projectPoints(p, turn, move, matrix, bends)[0].reshape(-1, 2)
            for p, turn, move in zip(points, found[3], found[4], strict=True)
        ]
        errors = [np.linalg.norm(a - b, axis=1) for a, b in zip(seen, pixels, strict=True)]
        limit = max(WILD_MEDIANS * float(np.median(np.concatenate(errors))), WILD_FLOOR_PX)
        kept = [error <= limit for error in errors]
        whole = [number for number, mine in enumerate(kept) if mine.sum() >= MIN_CORNERS]
        if len(whole) < MIN_VIEWS or all(mine.all() for mine in kept):
            break
        points, pixels = ([values[n][kept[n]] for n in whole] for values in (points, pixels))
    return np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *bends.ravel()[:5]])


def _first_fisheye(points: list[np.ndarray], pixels: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    flags = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW
    shaped = [p.reshape(-1, 1, 3).astype(np.float64) for p in points]
    seen = [p.reshape(-1, 1, 2).astype(np.float64) for p in pixels]
    guess = np.array([[size[0] / 2, 0, size[0] / 2], [0, size[0] / 2, size[1] / 2], [0, 0, 1]])
    try:
        _, matrix, bends, _, _ = cv2.fisheye.calibrate(shaped, seen, size, guess.copy(), np.zeros(4), flags=flags)
    except cv2.error:
        # It gives up on views that lie at the edge; the adjustment has more patience.
        matrix, bends = guess, np.zeros(4)
    return np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *np.ravel(bends)])


def good_views(seen: Observations) -> np.ndarray:
    """The views with enough corners, not all in a row, of one camera's observations."""
    views, counts = np.unique(seen.view, return_counts=True)
    good = []
    for view in views[counts >= MIN_CORNERS]:
        flat = seen.points[seen.view == view][:, :2]
        if np.linalg.matrix_rank(flat - flat.mean(axis=0), tol=1e-6) == 2:
            good.append(view)
    return np.array(good, int)


def board_places(seen: Observations, vector: np.ndarray) -> dict[int, np.ndarray]:
    """Place of the board in a camera's frame by view, 4x4 matrices, from that camera's observations."""
    fisheye = len(vector) == lens.FISHEYE
    camera = Camera("", (1, 1), _matrix(vector), vector[4:], np.zeros(3), np.zeros(3), fisheye)
    plane = lens.rays(camera, seen.pixels)
    places = {}
    for view in good_views(seen):
        rows = (seen.view == view) & np.isfinite(plane).all(axis=1)
        if rows.sum() < MIN_CORNERS:
            continue
        found, turn, move = cv2.solvePnP(seen.points[rows], plane[rows], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
        if found:
            places[int(view)] = pose_matrix(np.concatenate([turn.ravel(), move.ravel()]))
    return places


def _matrix(vector: np.ndarray) -> np.ndarray:
    return np.array([[vector[0], 0, vector[2]], [0, vector[1], vector[3]], [0, 0, 1]])


def pose_matrix(pose: np.ndarray) -> np.ndarray:
    """A Rodrigues vector and a translation as a matrix, float64 (6,) to (4, 4)."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation_matrix(pose[:3]), pose[3:]
    return out


def pose_vector(matrix: np.ndarray) -> np.ndarray:
    """The inverse of `pose_matrix`."""
    return np.concatenate([cv2.Rodrigues(matrix[:3, :3])[0].ravel(), matrix[:3, 3]])


def shared_views(places: Sequence[dict[int, np.ndarray]]) -> np.ndarray:
    """How many views each pair of cameras has in common, int (C, C); on the diagonal, how many each has."""
    return np.array([[len(a.keys() & b.keys()) for b in places] for a in places])


def spanning_tree(shared: np.ndarray, names: Sequence[str]) -> list[tuple[int, int]]:
    """(known, new) pairs that reach every camera from the first one, over the pairs with most views in common.

    Raises InputError with the table of shared views if a camera cannot be reached.
    """
    reached, tree = [0], []
    while len(reached) < len(names):
        pairs = [(shared[a, b], -a, -b) for a in reached for b in range(len(names)) if b not in reached]
        count, a, b = max(pairs)
        if not count:
            lost = ", ".join(name for i, name in enumerate(names) if i not in reached)
            table = "; ".join(
                f"{a}+{b} {shared[i, j]}" for i, a in enumerate(names) for j, b in enumerate(names) if i < j
            )
            raise InputError("not_connected", f"{lost}: it shares no view of the board with the others ({table})")
        tree.append((-a, -b))
        reached.append(-b)
    return tree


def first_scene(
    seen: Observations, lenses: list[np.ndarray], names: Sequence[str], turns: Sequence[Turn] = ()
) -> tuple[Scene, Observations]:
    """Places of cameras and boards, and the observations of the views that have one.

    turns: those after which the board looks the same. The cameras of a view are brought to number it from one end.
    """
    cameras = range(len(lenses))
    places = [board_places(seen.where(seen.camera == index), lenses[index]) for index in cameras]
    tree = spanning_tree(shared_views(places), names)
    homes = np.stack([np.eye(4), *(turn.home for turn in turns)])
    known: dict[int, np.ndarray] = {0: np.eye(4)}
    for a, b in tree:
        steps = [
            places[b][view] @ homes @ np.linalg.inv(places[a][view])
            for view in sorted(places[a].keys() & places[b].keys())
        ]
        known[b] = _middle(steps) @ known[a]
    if turns:
        seen, places = _one_end(seen, places, [known[c] for c in cameras], turns)
    views = sorted({view for of_camera in places for view in of_camera})
    kept = np.isin(seen.view, views)
    part = seen.where(kept)
    observations = Observations(part.camera, np.searchsorted(views, part.view), part.corner, part.pixels, part.points)
    cameras_found = np.array([pose_vector(known[c]) for c in cameras])
    proposals = [
        [pose_vector(np.linalg.inv(known[c]) @ places[c][view]) if view in places[c] else None for view in views]
        for c in cameras
    ]
    return Scene(lenses, cameras_found, _best_boards(lenses, cameras_found, proposals, observations)), observations


def _one_end(
    seen: Observations, places: list[dict[int, np.ndarray]], known: list[np.ndarray], turns: Sequence[Turn]
) -> tuple[Observations, list[dict[int, np.ndarray]]]:
    """The same with every view numbered as the first camera that sees it does: of all turns the nearest counts.

    They are at least 90 degrees apart, so a rough place of the cameras is enough.
    """
    corner, points = seen.corner.copy(), seen.points.copy()
    placed: list[dict[int, np.ndarray]] = [{} for _ in places]
    first: dict[int, np.ndarray] = {}
    for camera, of_camera in enumerate(places):
        for view, place in of_camera.items():
            ways = [np.eye(4), *(turn.home for turn in turns)]
            boards = [np.linalg.inv(known[camera]) @ place @ home for home in ways]
            like = first.setdefault(view, boards[0])
            best = int(np.argmax([np.trace(board[:3, :3].T @ like[:3, :3]) for board in boards]))
            placed[camera][view] = place @ ways[best]
            if best:
                rows = (seen.camera == camera) & (seen.view == view)
                corner[rows] = turns[best - 1].numbers[seen.corner[rows]]
                points[rows] = turns[best - 1].points_mm[seen.corner[rows]]
    return replace(seen, corner=corner, points=points), placed


def _best_boards(
    lenses: list[np.ndarray], cameras: np.ndarray, proposals: list[list[np.ndarray | None]], seen: Observations
) -> np.ndarray:
    """Place of the board in every view, float64 (V, 6): of what each camera says, the one that all cameras see best.

    A camera that sees few corners, or has a poor lens, would put the board where another sees it behind itself.
    """
    count = len(proposals[0])
    boards, costs = np.zeros((count, POSE)), np.full(count, np.inf)
    for proposal in proposals:
        told = np.array([place is not None for place in proposal])
        mine = np.array([np.zeros(POSE) if place is None else place for place in proposal])
        rows = seen.where(told[seen.view])
        error = np.linalg.norm(residuals(Scene(lenses, cameras, mine), rows), axis=1)
        far = np.minimum(np.nan_to_num(error, nan=FAR_PX), FAR_PX)
        total = np.bincount(rows.view, far, count)
        better = told & (total < costs)
        boards[better], costs[better] = mine[better], total[better]
    return boards


def _middle(found: list[np.ndarray]) -> np.ndarray:
    """The place that is nearest to all others: turns and moves each count in shares of their median distance.

    found: of every view its possible places, float64 (W, 4, 4). Of another view the nearest one counts.
    """
    ways = len(found[0])
    stack = np.concatenate(found)
    move = np.linalg.norm(stack[:, None, :3, 3] - stack[None, :, :3, 3], axis=2)
    cosine = (np.einsum("aij,bij->ab", stack[:, :3, :3], stack[:, :3, :3]) - 1) / 2
    turn = np.arccos(np.clip(cosine, -1, 1))
    distance = move / max(float(np.median(move)), 1e-9) + turn / max(float(np.median(turn)), 1e-9)
    nearest = distance.reshape(len(stack), -1, ways).min(axis=2)
    middle: np.ndarray = stack[int(np.argmin(np.median(nearest, axis=1)))]
    return middle


def board_distances(scene: Scene, seen: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Distances in mm between corners of one view as they are triangulated, and as they are printed; both (D,).

    Every corner that two cameras or more see is triangulated from its rays; neighbours are the next corners in order.
    """
    order = np.lexsort((seen.corner, seen.view))
    view, corner, points = seen.view[order], seen.corner[order], seen.points[order]
    directions, homes = _world_rays(scene, seen)
    directions, homes = directions[order], homes[order]
    first = np.flatnonzero(np.r_[True, (np.diff(view) != 0) | (np.diff(corner) != 0)])
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    total = np.add.reduceat(across, first)
    target = np.add.reduceat((across @ homes[:, :, None])[:, :, 0], first)
    count = np.add.reduceat(np.ones(len(order), int), first)
    good = count >= 2
    solid = np.linalg.solve(total[good], target[good][:, :, None])[:, :, 0]
    view, points = view[first][good], points[first][good]
    same = view[1:] == view[:-1]
    measured = np.linalg.norm(np.diff(solid, axis=0), axis=1)[same]
    printed = np.linalg.norm(np.diff(points, axis=0), axis=1)[same]
    return measured, printed


def _world_rays(scene: Scene, seen: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions of the observations in the world, and the places of their cameras; both (N, 3)."""
    turn = matrices(scene.cameras[:, :3])
    homes = -np.einsum("cji,cj->ci", turn, scene.cameras[:, 3:])
    directions = np.empty((len(seen), 3))
    for index, vector in enumerate(scene.lenses):
        rows = seen.camera == index
        camera = Camera("", (1, 1), _matrix(vector), vector[4:], np.zeros(3), np.zeros(3), len(vector) == lens.FISHEYE)
        plane = lens.rays(camera, seen.pixels[rows])
        ray = np.concatenate([plane, np.ones((len(plane), 1))], axis=1)
        directions[rows] = (ray / np.linalg.norm(ray, axis=1, keepdims=True)) @ turn[index]
    return directions, homes[seen.camera]
