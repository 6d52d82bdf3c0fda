"""Windows that stand in a folder already, as the seed and others write them: npz of `pose`, `audio` and features.

They are linked, not written anew; what is no such window fails with its reason. When they were recorded is not known:
each begins at 0.
"""

from collections.abc import Container, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from scripts.common import ledger, sample_index
from scripts.common.adopted_folders import npz_below
from scripts.common.errors import InputError, is_machine_fault
from scripts.common.face_shape import relative_to_nose
from scripts.common.job import progress, run
from scripts.common.landmarks import POINTS
from scripts.common.links import link_or_copy
from scripts.common.names import instead_of, is_recording_name
from scripts.common.sound_features import shape_of
from scripts.common.statistics import Moments

STEP = "adopt_windows"


def shapes_of(window_frames: int, fps: str, rate_hz: int, features: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The arrays that each window must hold: the sound is always one of them, whatever `features` leaves out."""
    samples = int(window_frames * Fraction(rate_hz) / Fraction(fps))
    heard = {name: shape_of(name, samples, rate_hz) for name in features if name != "raw"}
    return {"pose": (window_frames, 2, POINTS), "audio": (1, samples), **heard}


def read_pose(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    """The landmarks of a window, float32 (W, 2, 68). Raises InputError if the file holds no window of these arrays."""
    arrays = read_arrays(file)
    for name, shape in shapes.items():
        if name not in arrays:
            raise InputError("bad_window", f"{file.name} has no `{name}`")
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            found = f"{arrays[name].dtype} {arrays[name].shape}"
            raise InputError("bad_window", f"{file.name}: `{name}` is {found}, not floats {shape}")
        if not np.isfinite(arrays[name]).all():
            raise InputError("bad_window", f"{file.name}: `{name}` holds values that are no numbers")
    return np.asarray(arrays["pose"], np.float32)


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Every array of an npz, as whoever loads the dataset reads it. Raises InputError for one that cannot be read."""
    what = "the file is no npz"
    try:
        with np.load(file, allow_pickle=False) as npz:
            found = {}
            for name in npz.files:
                what = f"`{name}` is damaged, or holds objects of Python"
                found[name] = npz[name]
            return found
    except Exception as error:  # numpy and zipfile raise whatever a damaged archive makes them
        if is_machine_fault(error):
            raise
        message = f"{file.name}: {what}; write it anew by numpy.savez, of arrays of numbers and text alone"
        raise InputError("bad_window", message) from error


def adopt_windows(
    folder: Path,
    out_windows: Path,
    out_index: Path,
    out_stats: Path,
    out_ledger: Path,
    *,
    recording: str,
    fps: str,
    rate_hz: int,
    window_frames: int,
    features: Sequence[str] = ("raw",),
    others: Sequence[str] = (),
) -> None:
    """Link every window of `folder`, in the order of their names, and index them as the recording's.

    features: what of the sound each window must hold beside its samples, see `scripts.common.sound_features`.
    others: recordings whose names begin with this one's and `_`; a window that may be called as one of theirs fails.
    Raises InputError if there is none.
    """
    files = list(npz_below(folder))
    if not files:
        raise InputError("no_windows", f"{folder} has no npz")
    shapes = shapes_of(window_frames, fps, rate_hz, features)
    length_ns = int(window_frames * 10**9 / Fraction(fps))
    out_windows.mkdir()
    rows, found, moments = [], [], Moments.empty(2 * POINTS)
    taken: set[str] = set()
    for number, file in enumerate(files):
        progress(number + 1, len(files))
        name = f"{recording}_{file.stem}"
        try:
            if file.parent != folder:
                raise InputError(
                    "bad_place", f"{file.relative_to(folder)} lies too deep: move it into the folder {folder}"
                )
            if not is_recording_name(name):
                raise InputError("bad_name", f"{file.name!r} becomes the name {name!r}; {instead_of(name, '._+=@-')}")
            _check_alone(file.name, name, others, taken)
            pose = read_pose(file, shapes)
        except InputError as error:
            rows.append(ledger.Row(STEP, recording, f"file {number}", "failed", error.reason, message=error.message))
            continue
        taken.add(name)
        link_or_copy(file, out_windows / f"{name}.npz")
        moments = moments.merge(Moments.of(relative_to_nose(pose)))
        rows.append(ledger.Row(STEP, recording, name, "written", start_ns=0, stop_ns=length_ns))
        found.append(sample_index.Window(name, recording, 0, length_ns))
    sample_index.write(out_index, found)
    moments.write(out_stats)
    ledger.write(out_ledger, rows)


def _check_alone(file: str, name: str, others: Sequence[str], taken: Container[str]) -> None:
    """Raises InputError where another window is called `name`, or another recording's windows may be."""
    if name in taken:
        raise InputError("same_name", f"{file} becomes {name}, as another file of this folder does; rename it")
    for other in others:
        if name.startswith(f"{other}_"):
            raise InputError("same_name", f"{file} becomes {name}, as a window of {other} may be called; rename it")


if __name__ == "__main__":
    run(adopt_windows)
