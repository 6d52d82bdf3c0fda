"""Windows of landmarks and sound: 64 frames of 25 fps with exactly 640 samples each, unless the config says otherwise.

Every candidate window ends in the ledger: written, or filtered with the first reason that applies. A recording
that is shorter than one window is one candidate, filtered as `short`.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from scripts.common import ledger, sample_index
from scripts.common.clock import Clock
from scripts.common.errors import RunError, UpstreamError
from scripts.common.face_shape import relative_to_nose
from scripts.common.frame_table import FrameTable
from scripts.common.intervals import Intervals
from scripts.common.job import run
from scripts.common.landmarks import POINTS, Landmarks
from scripts.common.sound_features import MAKERS
from scripts.common.statistics import Moments
from scripts.common.sync_scores import SyncScores
from scripts.datasets.speakers import Faces
from scripts.datasets.window_checks import Exclusion, Recorded, Reject, check_sync, check_window, spoken_for

# Samples from here on count as clipped: a resampled plateau is not quite flat.
CLIPPED = 0.985
BLOCK_FRAMES = 1500

STEP = "extract_windows"


def window_starts(frames: int, window_frames: int, hop: int) -> range:
    """First frame of each candidate: floor((frames - window_frames) / hop) + 1 of them, none if it is too short."""
    return range(0, frames - window_frames + 1, hop)


def extract_windows(
    frames: Path,
    sound: Path,
    clock: Path,
    landmarks: Path,
    out_windows: Path,
    out_index: Path,
    out_stats: Path,
    out_ledger: Path,
    *,
    recording: str,
    fps: str,
    window_frames: int,
    hop: int,
    limits: dict[str, float],
    start_s: float,
    excluded: Sequence[Sequence[object]],
    scenes: Path | None = None,
    speech: Path | None = None,
    sync: Path | None = None,
    speaker: str = "only",
    features: Sequence[str] = ("raw",),
) -> None:
    """Write one npz a window: `pose` float32 (W, 2, 68) pixels, and what `features` names of its sound.

    features: raw is `audio` float32 (1, W x samples a frame); the others stand in `scripts.common.sound_features`.
    start_s: where in the recording its import began.
    excluded: (start_s, stop_s, reason) of stretches that a person has ruled out, seconds of the recording or None.
    scenes, speech: interval tables of camera and microphone; without them there are no cuts, and all is speech.
    sync: scores of lips against sound; without them nobody asks.
    speaker: whose landmarks, see `Faces.rows`.
    Raises InputError if picture, sound or landmarks of the recording failed in an earlier step.
    """
    table, times, faces = FrameTable.read(frames), Clock.read(clock), Landmarks.read(landmarks)
    samples_per_frame = Fraction(times.nominal_rate_hz) / Fraction(fps)
    check_lengths(recording, table, times, faces, samples_per_frame)
    recorded = Recorded.of(
        table,
        times,
        Fraction(fps),
        scenes=Intervals.read(scenes) if scenes else None,
        speech=Intervals.read(speech) if speech else None,
        clipped=clipped_share(sound, len(table), int(samples_per_frame)),
    )
    people = Faces.of(faces, len(table), speaker)
    ruled_out = [Exclusion.of(entry, times.start_ns - start_s * 1e9) for entry in excluded]
    fit = SyncScores.read(sync) if sync else None
    out_windows.mkdir()
    rows, samples, moments = [], [], Moments.empty(2 * POINTS)
    with soundfile.SoundFile(sound) as audio:
        for first in window_starts(len(table), window_frames, hop):
            name = f"{recording}_{first:06d}"
            start_ns, stop_ns = recorded.span_ns(first, window_frames)
            reject = (
                spoken_for(ruled_out, start_ns, stop_ns)
                or check_window(recorded, people, first, window_frames, limits)
                or check_sync(fit, people, first, window_frames, limits)
            )
            if reject is not None:
                rows.append(ledger.Row(STEP, recording, name, "filtered", *reject, start_ns, stop_ns))
                continue
            chosen = people.rows(first, window_frames)
            assert chosen is not None  # else the check has said so
            pose = people.pose(chosen)
            audio.seek(int(first * samples_per_frame))
            signal = audio.read(int(window_frames * samples_per_frame), dtype="float32", always_2d=True)
            arrays: dict[str, Any] = {"pose": pose, **heard(signal[:, 0], int(times.nominal_rate_hz), features)}
            np.savez(out_windows / f"{name}.npz", **arrays)
            moments = moments.merge(Moments.of(relative_to_nose(pose)))
            rows.append(ledger.Row(STEP, recording, name, "written", start_ns=start_ns, stop_ns=stop_ns))
            track, interpolated = int(faces.track[chosen[0]]), int(faces.interpolated[chosen].sum())
            samples.append(sample_index.Window(name, recording, start_ns, stop_ns, first, track, interpolated))
    if not rows:
        rows = [_too_short(recording, recorded, len(table), window_frames)]
    sample_index.write(out_index, samples)
    moments.write(out_stats)
    ledger.write(out_ledger, rows)


def check_lengths(
    recording: str, table: FrameTable, clock: Clock, faces: Landmarks, samples_per_frame: Fraction
) -> None:
    """Raise InputError for what failed in an earlier step, RunError for what was made of other frames."""
    for what, length in (("picture", len(table)), ("sound", clock.samples), ("face search", faces.frames)):
        if not length:
            raise UpstreamError(recording, f"the {what} failed")
    if faces.frames != len(table) or clock.samples != len(table) * samples_per_frame:
        raise RunError(
            f"{recording}: {len(table)} frames, but landmarks of {faces.frames} and {clock.samples} samples; "
            "they are not of one run: remove its conformed files, then give the same command again"
        )


def heard(signal: np.ndarray, rate_hz: int, features: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of a window's sound, float32 (N,), by their key."""
    raw = {"audio": signal[None]} if "raw" in features else {}
    return raw | {name: MAKERS[name](signal, rate_hz) for name in features if name != "raw"}


def clipped_share(sound: Path, frames: int, samples: int) -> np.ndarray:
    """Share of the samples of each frame that stand at the end of the scale; float (frames,)."""
    share = np.zeros(frames)
    with soundfile.SoundFile(sound) as audio:
        for number, block in enumerate(audio.blocks(BLOCK_FRAMES * samples, dtype="float32", always_2d=True)):
            full = np.abs(block[:, 0]) >= CLIPPED
            whole = len(full) // samples
            first = number * BLOCK_FRAMES
            share[first : first + whole] = full[: whole * samples].reshape(whole, samples).mean(axis=1)
    return share


def _too_short(recording: str, recorded: Recorded, frames: int, window_frames: int) -> ledger.Row:
    start_ns, stop_ns = recorded.span_ns(0, frames)
    message = f"{frames} frames are fewer than one window of {window_frames}"
    reject = Reject("short", frames, window_frames, message)
    return ledger.Row(STEP, recording, recording, "filtered", *reject, start_ns, stop_ns)


if __name__ == "__main__":
    run(extract_windows)
