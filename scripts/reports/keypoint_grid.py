"""The grid video of a recording of several cameras: rows are steps, columns are cameras and the view in space."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from scripts.common.bgr_picture import to_bgr
from scripts.common.calibration_file import rotation_matrix
from scripts.common.camera_pictures import CameraPictures
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress
from scripts.common.keypoints import Poses
from scripts.reports.keypoint_facts import Session, in_frames
from scripts.reports.overlay_writer import draw_disc, fixed, write_text

# As the old system's: a square around the subject.
CELL_PX = 320
HEAD_PX = 20
STEPS = ("detected", "triangulated", "smoothed")
# The cut is so much larger than the subject, and never smaller than this.
MARGIN = 1.6
LEAST_PX = 48
# From how high the view in space looks down.
ELEVATION = np.deg2rad(25)
AZIMUTH = np.deg2rad(35)
DARK, LIGHT, QUIET = (25, 25, 25), (235, 235, 235), (150, 150, 150)
BONE, WRONG = (200, 200, 200), (60, 60, 255)
RADIUS = 3

Colours = list[tuple[int, int, int]]


def keypoint_colours(count: int) -> Colours:
    """One a keypoint, blue first, around the wheel of hues."""
    wheel = np.stack([np.arange(count) * 180 // max(count, 1), np.full(count, 200), np.full(count, 255)], axis=1)
    bgr = cv2.cvtColor(wheel.astype(np.uint8)[None], cv2.COLOR_HSV2BGR)[0]
    return [(int(b), int(g), int(r)) for b, g, r in bgr]


def sight(projected: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Where a camera's cell looks: the middle of it in each frame, float64 (M, 2) px, and its side in px.

    projected: float (M, N, 2). Where nobody is seen, the cell stays between the places before and after.
    """
    known = np.isfinite(projected).all(axis=-1)
    seen = np.flatnonzero(known.any(axis=1))
    whole = float(max(size))
    if not len(seen):
        return np.tile(np.array(size) / 2, (len(projected), 1)), whole
    middles, extents = [], []
    for row in seen:
        points = projected[row][known[row]]
        middles.append((points.min(axis=0) + points.max(axis=0)) / 2)
        extents.append(float(np.ptp(points, axis=0).max()))
    side = min(max(MARGIN * float(np.percentile(extents, 95)), LEAST_PX), whole)
    frames = np.arange(len(projected))
    return np.stack([np.interp(frames, seen, np.array(middles)[:, axis]) for axis in (0, 1)], axis=1), side


def draw_grid(session: Session, videos: list[Path], frames: list[Path], until: int) -> Iterator[np.ndarray]:
    """The first `until` common frames, uint8 (3 CELL_PX + HEAD_PX, (C + 1) CELL_PX, 3), one a common frame."""
    points, smoothed = session.projected(session.points), session.projected(session.smoothed)
    used = session.used
    readers = [CameraPictures(video, FrameTable.read(table)) for video, table in zip(videos, frames, strict=True)]
    sights = [
        sight(smoothed[c].reshape(len(smoothed[c]), -1, 2)[:until], reader.size or (CELL_PX, CELL_PX))
        for c, reader in enumerate(readers)
    ]
    space = [SpaceView.of(poses, session) for poses in (session.points, session.smoothed)]
    colours, bones = keypoint_colours(len(session.points.skeleton.names)), session.points.skeleton.bones
    try:
        for number in range(until):
            canvas = np.full((3 * CELL_PX + HEAD_PX, (len(readers) + 1) * CELL_PX, 3), DARK, np.uint8)
            for c, reader in enumerate(readers):
                cells = _column(canvas, c)
                cut, move = _cut(reader, int(session.aligned.shown[number, c]), sights[c][0][number], sights[c][1])
                for cell in cells:
                    cell[:] = cut
                seen = _moved(session.uv[c, number].astype(np.float64), move)
                draw_detected(cells[0], seen, session.confidence[c, number])
                draw_projected(cells[1], _moved(points[c, number], move), seen, used[c, number], colours)
                draw_pose(cells[2], _moved(smoothed[c, number], move), bones, colours)
            cells = _column(canvas, len(readers))
            for view, cell in zip(space, cells[1:], strict=True):
                draw_pose(cell, view.seen(number), bones, colours)
            _write_heads(canvas, session, number)
            yield canvas
            progress(number + 1, until)
    finally:
        for reader in readers:
            reader.__exit__(None, None, None)


def draw_detected(cell: np.ndarray, uv: np.ndarray, sure: np.ndarray) -> None:
    """What a camera found, green where it is sure and red where it is not. uv: (P, K, 2) px of the cell."""
    for person, confidences in zip(uv, sure, strict=True):
        for point, confidence in zip(person, confidences, strict=True):
            if confidence > 0:
                part = float(np.clip(confidence, 0, 1))
                _dot(cell, point, (40, round(230 * part), round(230 * (1 - part))))


def draw_projected(cell: np.ndarray, uv: np.ndarray, seen: np.ndarray, used: np.ndarray, colours: Colours) -> None:
    """Points in space as the camera would see them, and a red line from each to what was used of what it did see."""
    for person in uv:
        for k, point in enumerate(person):
            if not np.isfinite(point).all():
                continue
            known = [
                other[k] for other, good in zip(seen, used, strict=True) if good[k] and np.isfinite(other[k]).all()
            ]
            if known:
                nearest = min(known, key=lambda other: float(np.linalg.norm(other - point)))
                cv2.polylines(cell, [fixed(np.stack([point, nearest]))], False, WRONG, 1, cv2.LINE_AA, 4)
            _dot(cell, point, colours[k])


def draw_pose(cell: np.ndarray, uv: np.ndarray, bones: tuple[tuple[int, int], ...], colours: Colours) -> None:
    """Bones and points of every person. uv: (Q, K, 2) px of the cell."""
    for person in uv:
        for a, b in bones:
            if np.isfinite(person[[a, b]]).all():
                cv2.polylines(cell, [fixed(person[[a, b]])], False, BONE, 1, cv2.LINE_AA, 4)
        for point, colour in zip(person, colours, strict=True):
            if np.isfinite(point).all():
                _dot(cell, point, colour)


class SpaceView:
    """Points in space from obliquely above, without perspective; up is what is up for the cameras together."""

    def __init__(self, space: np.ndarray, axes: np.ndarray) -> None:
        """space: float64 (M, Q, K, 3).  axes: float64 (2, 3), to the right and down."""
        self._flat = space @ axes.T
        known = self._flat[np.isfinite(self._flat).all(axis=-1)]
        low, high = (np.percentile(known, share, axis=0) for share in (1, 99)) if len(known) else (np.zeros(2),) * 2
        self._middle = (low + high) / 2
        self._scale = 0.8 * CELL_PX / max(float((high - low).max()), 1e-6)

    @classmethod
    def of(cls, poses: Poses, session: Session) -> "SpaceView":
        """The view of a recording's poses."""
        turns = [rotation_matrix(camera.rotation) for camera in session.calibration.cameras.values()]
        up = -np.mean([turn[1] for turn in turns], axis=0)
        up /= max(float(np.linalg.norm(up)), 1e-9)
        ahead = turns[0][2] - (turns[0][2] @ up) * up
        if np.linalg.norm(ahead) < 0.1:
            ahead = turns[0][1] - (turns[0][1] @ up) * up
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, up)
        ahead = np.cos(AZIMUTH) * ahead + np.sin(AZIMUTH) * right
        right = np.cross(ahead, up)
        down = -(np.cos(ELEVATION) * up + np.sin(ELEVATION) * ahead)
        return cls(in_frames(poses, len(session.aligned)), np.stack([right, down]))

    def seen(self, frame: int) -> np.ndarray:
        """Pixels of the cell, float64 (Q, K, 2)."""
        flat: np.ndarray = (self._flat[frame] - self._middle) * self._scale + CELL_PX / 2
        return flat


def _column(canvas: np.ndarray, column: int) -> list[np.ndarray]:
    left = column * CELL_PX
    tops = [HEAD_PX + row * CELL_PX for row in range(len(STEPS))]
    return [canvas[top : top + CELL_PX, left : left + CELL_PX] for top in tops]


def _cut(reader: CameraPictures, row: int, middle: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """A cell's picture, and the affine map from pixels of the camera to those of the cell, (2, 3)."""
    scale = CELL_PX / side
    move = np.array([[scale, 0, CELL_PX / 2 - scale * middle[0]], [0, scale, CELL_PX / 2 - scale * middle[1]]])
    shown = reader.at(row) if row >= 0 else None
    if shown is None or shown[0] != row:
        empty = np.full((CELL_PX, CELL_PX, 3), DARK, np.uint8)
        write_text(empty, "no frame", CELL_PX // 2 - 34, CELL_PX // 2, 16, QUIET)
        return empty, move
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(to_bgr(shown[1]), move, (CELL_PX, CELL_PX), flags=flags, borderValue=DARK), move


def _moved(uv: np.ndarray, move: np.ndarray) -> np.ndarray:
    moved: np.ndarray = uv @ move[:, :2].T + move[:, 2]
    return moved


def _dot(cell: np.ndarray, point: np.ndarray, colour: tuple[int, int, int]) -> None:
    if not np.isfinite(point).all():
        return
    place = fixed(point[None])[0].tolist()
    draw_disc(cell, place, RADIUS + 1, DARK)
    draw_disc(cell, place, RADIUS, colour)


def _write_heads(canvas: np.ndarray, session: Session, number: int) -> None:
    for column, name in enumerate((*session.cameras, "in space")):
        write_text(canvas, name, column * CELL_PX + 6, HEAD_PX - 6, 13, LIGHT)
    cells = _column(canvas, len(session.cameras))
    seconds = (session.aligned.time_ns[number] - session.aligned.time_ns[0]) / 1e9
    for row, text in enumerate((f"frame {number}", f"{seconds:.3f} s", "rows: " + ", ".join(STEPS))):
        write_text(cells[0], text, 12, 30 + 24 * row, 14, LIGHT)
    for cell, text in zip(_column(canvas, 0), STEPS, strict=True):
        write_text(cell, text, 6, CELL_PX - 8, 13, LIGHT)
