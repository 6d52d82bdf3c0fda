"""An arena: four cameras around a cube of ArUco markers on a known path, and a recording of a ChArUco board.

Every picture is drawn through a lens with distortion, so that a calibration has something to find.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

FPS = 30
SIZE = (640, 480)
FOCAL_PX = 850.0
BENDS = np.array([-0.12, 0.03, 0.001, -0.0005, 0.0])
CAMERAS = ("top", "side1", "side2", "side3")
BOARD: dict[str, Any] = {"columns": 6, "rows": 5, "square_mm": 40.0, "marker_mm": 30.0, "dictionary": "DICT_4X4_50"}
CUBE_MM = 120.0
MARKER_MM = 90.0
FACES = 6
# Markers of the cube have numbers that the board does not use.
FIRST_MARKER = 30
PIXELS_PER_MM = 4
# Pictures are drawn larger, and made smaller by the mean: edges are then where they are, finer than a pixel.
OVERSAMPLING = 2
DROPPED = {"side2": (11, 12, 30)}
BACKGROUND = 110


@dataclass(frozen=True)
class View:
    """A camera of the arena. turn: float64 (3, 3), world to camera; move: float64 (3,), mm; focal_px."""

    name: str
    turn: np.ndarray
    move: np.ndarray
    focal_px: float

    @property
    def matrix(self) -> np.ndarray:
        """The matrix of its lens."""
        centre = [(side - 1) / 2 + shift for side, shift in zip(SIZE, (4.0, -3.0), strict=True)]
        return np.array([[self.focal_px, 0, centre[0]], [0, self.focal_px, centre[1]], [0, 0, 1]])

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Pixels of points of the world, float64 (N, 3) mm to (N, 2)."""
        seen, _ = cv2.projectPoints(points, cv2.Rodrigues(self.turn)[0], self.move, self.matrix, BENDS)
        return seen.reshape(-1, 2)


def views() -> list[View]:
    """The four cameras: one from above, three from the side, all looking at the middle."""
    homes = [(0, -250, 1150), (-850, -750, 500), (0, -1050, 420), (850, -750, 560)]
    found = []
    for index, (name, home) in enumerate(zip(CAMERAS, np.array(homes, np.float64), strict=True)):
        ahead = -home / np.linalg.norm(home)
        right = np.cross(ahead, [0, 0.1, 1.0])
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead])
        found.append(View(name, turn, -turn @ home, FOCAL_PX + 15 * index))
    return found


def charuco_picture() -> np.ndarray:
    """The board as it is printed, uint8, with a white margin of half a square."""
    alphabet = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, BOARD["dictionary"]))
    size = (BOARD["columns"], BOARD["rows"])
    board = cv2.aruco.CharucoBoard(size, BOARD["square_mm"], BOARD["marker_mm"], alphabet)
    step = round(BOARD["square_mm"] * PIXELS_PER_MM)
    drawn = board.generateImage((size[0] * step, size[1] * step), marginSize=0)
    return np.pad(drawn, step // 2, constant_values=255)


def cube_corners() -> np.ndarray:
    """Corners of the cube's markers in its own frame, float64 (6, 4, 3) mm, clockwise as a marker's are."""
    half, side = MARKER_MM / 2, CUBE_MM / 2
    flat = np.array([[-half, half, side], [half, half, side], [half, -half, side], [-half, -half, side]])
    turns = [(0, 0, 0), (np.pi / 2, 0, 0), (-np.pi / 2, 0, 0), (np.pi, 0, 0), (0, np.pi / 2, 0), (0, -np.pi / 2, 0)]
    return np.stack([flat @ cv2.Rodrigues(np.array(turn, np.float64))[0].T for turn in turns])


def cube_poses(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn and place of the cube in every frame: float64 (T, 3, 3), (T, 3) mm; smooth, never the same twice."""
    time = np.arange(count) / FPS
    place = np.stack([120 * np.sin(1.9 * time), 90 * np.sin(2.7 * time + 1), 60 * np.sin(1.3 * time)], axis=1)
    turns = np.stack([0.5 * np.sin(1.1 * time), 0.4 * np.sin(1.7 * time), 0.9 * time], axis=1)
    return np.stack([cv2.Rodrigues(turn)[0] for turn in turns]), place


def cube_points(count: int) -> np.ndarray:
    """Corners of the cube's markers in the world, float64 (T, 24, 3) mm."""
    turn, place = cube_poses(count)
    corners = cube_corners().reshape(-1, 3)
    return np.einsum("tij,kj->tki", turn, corners) + place[:, None]


def board_poses(count: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Turn and place of the board in every frame: tilted to all sides, within the cameras' sight."""
    generator = np.random.default_rng(seed)
    normals = np.array([0, -0.75, 0.66]) + generator.uniform(-0.45, 0.45, (count, 3))
    turns = []
    for normal in normals:
        away = -normal / np.linalg.norm(normal)
        right = np.cross([0, -0.3, -1.0], away)
        right /= np.linalg.norm(right)
        spin = cv2.Rodrigues(away * generator.uniform(-0.6, 0.6))[0]
        turns.append(spin @ np.stack([right, np.cross(away, right), away], axis=1))
    return np.array(turns), generator.uniform([-150, -120, -60], [150, 120, 120], (count, 3))


class Painter:
    """Draws flat pictures that stand in the world, through the lens of one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._matrix = view.matrix.copy()
        self._matrix[:2] *= OVERSAMPLING
        self._matrix[:2, 2] += (OVERSAMPLING - 1) / 2
        size = tuple(side * OVERSAMPLING for side in SIZE)
        grid = (
            np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1).reshape(-1, 1, 2).astype(np.float64)
        )
        ideal = cv2.undistortPoints(grid, self._matrix, BENDS, P=self._matrix).reshape(size[1], size[0], 2)
        self._from = ideal.astype(np.float32)

    def paint(self, sheets: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """A picture, uint8 (480, 640, 3). sheets: texture, and places of its corners; far ones first."""
        size = tuple(side * OVERSAMPLING for side in SIZE)
        canvas = np.full((size[1], size[0]), BACKGROUND, np.uint8)
        for texture, corners in sheets:
            seen = corners @ self._view.turn.T + self._view.move
            pixels = (seen / seen[:, 2:]) @ self._matrix.T
            height, width = texture.shape
            # Corners of the sheet are outer corners of pixels.
            flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
            home = cv2.getPerspectiveTransform(flat, pixels[:, :2].astype(np.float32))
            drawn = cv2.warpPerspective(texture, home, size, flags=cv2.INTER_AREA)
            covered = cv2.warpPerspective(np.full_like(texture, 255), home, size)
            canvas = np.where(covered > 127, drawn, canvas)
        bent = cv2.remap(canvas, self._from[..., 0], self._from[..., 1], cv2.INTER_LINEAR, borderValue=BACKGROUND)
        small = cv2.resize(bent, SIZE, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(cv2.GaussianBlur(small, (3, 3), 0.5), cv2.COLOR_GRAY2BGR)


def board_sheets(turn: np.ndarray, place: np.ndarray, texture: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The board at a pose, as a sheet."""
    step = BOARD["square_mm"]
    wide, high = (BOARD["columns"] + 1) * step, (BOARD["rows"] + 1) * step
    flat = np.array([[-wide, -high, 0], [wide, -high, 0], [wide, high, 0], [-wide, high, 0]]) / 2
    return [(texture, flat @ turn.T + place)]


def cube_sheets(view: View, turn: np.ndarray, place: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The faces of the cube that a view sees."""
    home = -view.turn.T @ view.move
    found = []
    for face, corners in enumerate(cube_corners() * (CUBE_MM / MARKER_MM)):
        # The whole face is larger than its marker, in its plane alone.
        middle = corners.mean(axis=0) * (MARKER_MM / CUBE_MM)
        whole = (corners - corners.mean(axis=0) + middle) @ turn.T + place
        normal = turn @ middle
        if (home - whole.mean(axis=0)) @ normal > 0:
            found.append((marker_picture(face), whole))
    return found


def marker_picture(face: int) -> np.ndarray:
    """A face of the cube: its marker with a white margin."""
    alphabet = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    inner, margin = round(MARKER_MM * PIXELS_PER_MM), round((CUBE_MM - MARKER_MM) / 2 * PIXELS_PER_MM)
    drawn = cv2.aruco.generateImageMarker(alphabet, FIRST_MARKER + face, inner)
    return np.pad(drawn, margin, constant_values=255)


def write_arena(folder: Path, session: str, kind: str, count: int) -> dict[str, Any]:
    """Write one video a camera, `{session}.{camera}.mp4`, and return the truth. kind: board or cube.

    The cube's recording lacks the frames DROPPED: neither a picture nor a time stands there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texture = charuco_picture()
    turns, places = board_poses(count) if kind == "board" else cube_poses(count)
    dropped = {} if kind == "board" else DROPPED
    cameras = {}
    for view in views():
        painter = Painter(view)
        kept = [number for number in range(count) if number not in dropped.get(view.name, ())]

        def drawn(number: int, painter: Painter = painter, view: View = view) -> np.ndarray:
            turn, place = turns[number], places[number]
            return painter.paint(
                board_sheets(turn, place, texture) if kind == "board" else cube_sheets(view, turn, place)
            )

        _write_video(folder / f"{session}.{view.name}.mp4", kept, drawn)
        cameras[view.name] = {"numbers": kept, "dropped": list(dropped.get(view.name, ()))}
    return {"kind": "file", "room": "arena", "shows": kind, "frames": count, "cameras": cameras, "microphones": {}}


def _write_video(path: Path, numbers: list[int], drawn: Any) -> None:
    """h264 whose pictures stand at number / FPS; nearly lossless, one thread."""
    tick = Fraction(1, FPS)
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "14", "preset": "veryfast", "threads": "1", "bf": "0"}
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = tick
        for number in numbers:
            picture = av.VideoFrame.from_ndarray(drawn(number), format="bgr24").reformat(format="yuv420p")
            picture.pts, picture.time_base = number, tick
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
