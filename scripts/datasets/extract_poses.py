"""Windows of keypoints in space, of every person alone.

Every candidate ends in the ledger: written, or filtered with the first reason that applies. Where nobody is seen, the
window is one candidate without a person; a recording that is shorter than one window is one candidate, `short`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.common import ledger, sample_index
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.keypoints import Poses
from scripts.common.statistics import Moments
from scripts.datasets.extract_windows import window_starts
from scripts.datasets.pose_shape import middle_of
from scripts.datasets.window_checks import Exclusion, Reject, spoken_for

STEP = "extract_poses"


class Candidate(NamedTuple):
    """A person in a window that begins at the common frame `first`.

    rows: of the poses, in the order of time; none where nobody is seen.
    """

    first: int
    person: int
    rows: np.ndarray


def extract_poses(
    poses: Path,
    aligned: Path,
    frames: list[Path],
    out_windows: Path,
    out_index: Path,
    out_stats: Path,
    out_ledger: Path,
    *,
    recording: str,
    window_frames: int,
    hop: int,
    limits: dict[str, float],
    start_s: float,
    excluded: Sequence[Sequence[object]],
) -> None:
    """Write one npz a window and person.

    `pose` float32 (W, 3, K), the world's unit, NaN where a keypoint has no place; `time_ns` int64 (W,), on the
    recording's clock; `names` (K,), text. Moments are those of the points relative to the middle of their frame's.

    frames: frame tables of the cameras' imports, the first of whose times is start_s after the recording's start.
    excluded: (start_s, stop_s, reason) of stretches that a person has ruled out.
    Raises InputError if the recording has no poses.
    """
    found, common = Poses.read(poses), AlignedFrames.read(aligned)
    if not found.skeleton.names:
        raise UpstreamError(recording, "it has no poses")
    begun = [table.time_ns[0] for table in map(FrameTable.read, frames) if len(table)]
    ruled_out = [Exclusion.of(entry, min(begun, default=0) - start_s * 1e9) for entry in excluded]
    several = len(np.unique(found.person)) > 1
    out_windows.mkdir()
    rows, samples, moments = [], [], Moments.empty(3 * len(found.skeleton.names))
    for candidate in candidates(found, len(common), window_frames, hop):
        name = f"{recording}_{candidate.first:06d}" + (f"_{candidate.person}" if several else "")
        times = common.time_ns[candidate.first : candidate.first + window_frames]
        start_ns, stop_ns = int(times[0]), int(times[-1])
        pose = pose_of(found, candidate, window_frames)
        reject = spoken_for(ruled_out, start_ns, stop_ns) or check(found, candidate, pose, times, limits)
        if reject is not None:
            rows.append(ledger.Row(STEP, recording, name, "filtered", *reject, start_ns, stop_ns))
            continue
        arrays = {"pose": pose.astype(np.float32), "time_ns": times, "names": np.array(found.skeleton.names)}
        np.savez(out_windows / f"{name}.npz", allow_pickle=False, **arrays)
        moments = moments.merge(Moments.of((pose - middle_of(pose)).reshape(window_frames, -1)))
        rows.append(ledger.Row(STEP, recording, name, "written", start_ns=start_ns, stop_ns=stop_ns))
        filled = filled_frames(found, candidate)
        samples.append(
            sample_index.Window(name, recording, start_ns, stop_ns, candidate.first, candidate.person, filled)
        )
    sample_index.write(out_index, samples)
    moments.write(out_stats)
    ledger.write(out_ledger, rows or [_too_short(recording, len(common), window_frames)])


def candidates(poses: Poses, frames: int, window_frames: int, hop: int) -> list[Candidate]:
    """Every window of the common frames, for every person that is seen in it, or for nobody."""
    people = {int(person): poses.of_person(int(person)) for person in np.unique(poses.person)}
    made = []
    for first in window_starts(frames, window_frames, hop):
        here = []
        for person, rows in people.items():
            low, high = np.searchsorted(poses.frame[rows], (first, first + window_frames))
            if np.isfinite(poses.xyz[rows[low:high]]).any():
                here.append(Candidate(first, person, rows[low:high]))
        made += here or [Candidate(first, 0, np.empty(0, np.int64))]
    return made


def pose_of(poses: Poses, candidate: Candidate, window_frames: int) -> np.ndarray:
    """Points of a window, float64 (W, 3, K); NaN where there is none."""
    pose = np.full((window_frames, 3, len(poses.skeleton.names)), np.nan)
    pose[poses.frame[candidate.rows] - candidate.first] = poses.xyz[candidate.rows].transpose(0, 2, 1)
    return pose


def check(
    poses: Poses, candidate: Candidate, pose: np.ndarray, times: np.ndarray, limits: dict[str, float]
) -> Reject | None:
    """The first reason for which a window is left out: no_pose, missing, gap, error_px."""
    if not len(candidate.rows):
        return Reject("no_pose", 0, 1, "nobody is seen")
    missing = float(np.isnan(pose).any(axis=1).mean())
    if missing > limits["missing"]:
        return Reject("missing", missing, limits["missing"], f"{missing:.0%} of the keypoints have no place")
    gap = float(np.diff(times).max()) / 1e9
    if gap > limits["gap"]:
        return Reject("gap", gap, limits["gap"], f"{gap:.3f} s between two frames")
    errors = poses.error_px[candidate.rows]
    error = float(np.median(errors[np.isfinite(errors)])) if np.isfinite(errors).any() else 0.0
    if error > limits["error_px"]:
        return Reject("error_px", error, limits["error_px"], f"half of the keypoints are {error:.1f} px off or more")
    return None


def filled_frames(poses: Poses, candidate: Candidate) -> int:
    """Frames of a window with a point that no camera bears out, but its neighbours in time."""
    placed = np.isfinite(poses.xyz[candidate.rows]).all(axis=2)
    return int((placed & (poses.inliers[candidate.rows] == 0)).any(axis=1).sum())


def _too_short(recording: str, frames: int, window_frames: int) -> ledger.Row:
    message = f"{frames} common frames are fewer than one window of {window_frames}"
    return ledger.Row(STEP, recording, recording, "filtered", *Reject("short", frames, window_frames, message))


if __name__ == "__main__":
    run(extract_poses)
