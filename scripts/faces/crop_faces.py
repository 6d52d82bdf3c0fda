"""Pictures of faces for networks, and numbers of each face: what lip-reading and talking heads are trained on.

A crop is a similarity transform onto the mean face by the points that do not speak, averaged over 12 frames, so that it
follows the head and not the trembling of its landmarks (as auto_avsr does). A track gives `{track:04d}.face.mp4` of
256 px and `{track:04d}.mouth.mp4` of 96 px; picture k of a track is the k-th row of that track in the table.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa

from scripts.common import ledger, table_file
from scripts.common.bgr_picture import to_bgr
from scripts.common.errors import InputError, UpstreamError
from scripts.common.face_shape import (
    MEAN_MIDDLE,
    MEAN_MOUTH,
    eye_opening,
    lip_opening,
    to_crop,
)
from scripts.common.job import progress, run
from scripts.common.landmarks import Landmarks
from scripts.common.tar_file import TarWriter
from scripts.common.video import VideoReader, VideoWriter, as_yuv420p
from scripts.faces.head_pose import head_pose

# Side in pixels, side in distances of the eyes, and middle in the mean face, of each crop.
CROPS = {"face": (256, 2.5, MEAN_MIDDLE), "mouth": (96, 1.1, MEAN_MOUTH)}
AVERAGED_FRAMES = 12
CRF, PRESET = 14, "veryfast"

MEASURES = ("yaw_deg", "pitch_deg", "roll_deg", "eye_opening", "lip_opening")


def measures(landmarks: Landmarks) -> pa.Table:
    """One row a face and frame: frame, track, head pose, opening of eyes (a blink is low) and lips, interpolated."""
    points = landmarks.points.astype(np.float64)
    pose = head_pose(points, landmarks.width, landmarks.height)
    columns = [*pose.T, eye_opening(points), lip_opening(points)]
    return pa.table(
        {
            "frame": landmarks.frame,
            "track": landmarks.track,
            **{name: column.astype(np.float32) for name, column in zip(MEASURES, columns, strict=True)},
            "interpolated": landmarks.interpolated,
        }
    )


def crop_transforms(points: np.ndarray, crop: str) -> np.ndarray:
    """From the pixels of a picture to those of a crop, float64 (N, 2, 3), for one track. points: float (N, 68, 2)."""
    side, extent, middle = CROPS[crop]
    half = AVERAGED_FRAMES // 2
    padded = np.pad(points.astype(np.float64), ((half, half), (0, 0), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
    return to_crop(windows.mean(axis=-1), side, extent, middle)


def crop_faces(
    video: Path,
    landmarks: Path,
    out_crops: Path,
    out_measures: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    backend: str,
    crops: list[str],
    fps: str,
    tmpdir: Path,
) -> None:
    """Write the crops of every track of the conformed `video` into a tar, and the measures of each face and frame.

    crops: of CROPS; none for the measures alone.  Raises InputError if the face search failed in an earlier step.
    """
    found = Landmarks.read(landmarks)
    if not found.frames:
        raise UpstreamError(f"{recording}, {camera}", "the face search failed")
    known = np.isfinite(found.points).all(axis=(1, 2))
    rows = {int(track): np.flatnonzero((found.track == track) & known) for track in np.unique(found.track[known])}
    shapes = {
        (track, crop): dict(zip(found.frame[own].tolist(), crop_transforms(found.points[own], crop), strict=True))
        for track, own in rows.items()
        for crop in crops
    }
    table_file.write(out_measures, measures(found).filter(pa.array(known)))
    with VideoReader(video) as reader:
        files = _write_crops(reader, found.frames, shapes, Fraction(fps), tmpdir)
    with TarWriter(out_crops) as tar:
        for path in files:
            tar.copy(path.name, path)
    message = f"{len(rows)} tracks, {int(known.sum())} faces; {', '.join(crops) or 'no crops'}"
    item = f"{camera}.{backend}"
    ledger.write(out_ledger, [ledger.Row("crop_faces", recording, item, "written", value=len(rows), message=message)])


def _write_crops(
    reader: VideoReader, frames: int, shapes: dict[tuple[int, str], dict[int, np.ndarray]], fps: Fraction, folder: Path
) -> list[Path]:
    """One file a track and crop; those are open whose track goes on."""
    files = {key: folder / f"{key[0]:04d}.{key[1]}.mp4" for key in sorted(shapes)}
    open_now: dict[tuple[int, str], VideoWriter] = {}
    count = dict.fromkeys(files, 0)
    try:
        for number, picture in enumerate(reader if shapes else ()):
            progress(number + 1, frames)
            bgr = to_bgr(picture)
            for key, path in files.items():
                if number not in shapes[key]:
                    continue
                if key not in open_now:
                    open_now[key] = VideoWriter(path, rate=fps, time_base=1 / fps, crf=CRF, preset=PRESET)
                open_now[key].write(_cropped(bgr, shapes[key][number], CROPS[key[1]][0]), count[key])
                count[key] += 1
                if number == max(shapes[key]):
                    open_now.pop(key).__exit__(None, None, None)
    finally:
        for writer in open_now.values():
            writer.__exit__(None, None, None)
    missing = [path.name for key, path in files.items() if count[key] != len(shapes[key])]
    if missing:
        raise InputError("frame_count", f"the video ends before the landmarks of {', '.join(missing)}")
    return list(files.values())


def _cropped(bgr: np.ndarray, shape: np.ndarray, side: int) -> av.VideoFrame:
    # Where a crop is smaller than the face, its pixels are means of several.
    shrink = float(np.hypot(*shape[0, :2]))
    if shrink < 1:
        small = cv2.resize(bgr, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        factors = np.array([bgr.shape[1] / small.shape[1], bgr.shape[0] / small.shape[0]])
        # Middles of pixels: x of the picture is (x' + 1/2) f - 1/2.
        linear = shape[:, :2] * factors
        shape = np.column_stack([linear, shape[:, 2] + shape[:, :2] @ ((factors - 1) / 2)])
        bgr = small
    pixels: Any = cv2.warpAffine(bgr, shape, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return as_yuv420p(av.VideoFrame.from_ndarray(pixels, format="bgr24"))


if __name__ == "__main__":
    run(crop_faces)
