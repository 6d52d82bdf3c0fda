"""The truth table: what was measured on the results of the demo, against what the recordings know about themselves."""

import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rushes.synthetic.cameras_truth import check_cameras
from rushes.synthetic.expected import expected_outcomes
from rushes.synthetic.exports_truth import check_exports
from rushes.synthetic.labels_truth import check_labels
from rushes.synthetic.measured import Results, Row, columns
from rushes.synthetic.player import Seen, hear_beeps, nearest_offset_ns, watch
from rushes.synthetic.shards_truth import check_shards

COLUMNS = ["measure", "value", "unit", "limit", "ok"]
DATASET = "visemes"
FPS = Fraction(25)
RATE_HZ = 16_000
# The rows of each further room, from its results and the whole truth.
CHECKS: list[Callable[[Results, dict[str, Any]], list[Row]]] = [
    check_exports,
    check_shards,
    check_labels,
    check_cameras,
]


def measure(truth: dict[str, Any], results: Path) -> list[Row]:
    """Every row of the table."""
    found = Results(results)
    rows: list[Row] = []
    for recording, known in truth.items():
        # A recording that belongs to a room is measured by that room alone.
        if "room" in known:
            continue
        exported: dict[str, np.ndarray] = {}
        for camera, facts in known["cameras"].items():
            seen = watch(found.folder("media", recording) / f"{camera}.mp4", facts["width"], facts["height"])
            rows += check_camera(found, recording, camera, facts, seen)
            times = found.frames("media", recording, camera)["time_ns"]
            exported[camera] = (times[0] + seen.pts_ns)[seen.flash_onsets()]
        for microphone, facts in known["microphones"].items():
            rows += check_microphone(found, recording, microphone, facts)
            beeps = exported_beeps(found, recording, microphone)
            for camera, flashes in exported.items():
                name = f"sources.{recording}.{camera}.flash_to_beep"
                rows.append(Row(name, _worst_ms(flashes, beeps), "ms", 1.0))
                rows += check_conformed(found, recording, camera, microphone, known["cameras"][camera])
    rows += check_windows(found, truth)
    rows += check_ledger(found, truth)
    return rows + [row for check in CHECKS for row in check(found, truth)]


def check_camera(found: Results, recording: str, camera: str, facts: dict[str, Any], seen: Seen) -> list[Row]:
    """Frames, times, gaps and damage of an exported video."""
    name = f"sources.{recording}.{camera}"
    table = found.frames("media", recording, camera)
    numbers, stamps = np.array(facts["numbers"]), np.array(facts["stamps_ns"])
    if len(seen.numbers) != len(numbers) or len(table["frame"]) != len(numbers):
        return [Row(f"{name}.frames_missing", abs(len(seen.numbers) - len(numbers)) or np.nan, "frames", 0)]
    # A damaged picture need not show its number.
    damaged = np.isin(numbers, facts["tainted"])
    gaps = np.rint(table["gap_before_ns"] * float(Fraction(facts["fps"])) / 1e9).astype(int)
    missing = [n - k for n, gap in zip(numbers, gaps, strict=True) for k in range(gap, 0, -1)]
    return [
        Row(f"{name}.frames_missing", 0, "frames", 0),
        Row(f"{name}.frames_wrong", int(((seen.numbers != numbers) & ~damaged).sum()), "frames", 0),
        Row(f"{name}.pts_error", float(np.abs(seen.pts_ns - (stamps - stamps[0])).max() / 1e3), "us", 1.0),
        Row(f"{name}.time_error", float(np.abs(table["time_ns"] - stamps).max() / 1e3), "us", 1.0),
        Row(f"{name}.drops_wrong", len(set(missing) ^ {*facts["dropped"], *facts["lost"]}), "frames", 0),
        Row(f"{name}.tainted_wrong", int((table["tainted"] != damaged).sum()), "frames", 0),
    ]


def check_microphone(found: Results, recording: str, microphone: str, facts: dict[str, Any]) -> list[Row]:
    """Start, drift and holes of an exported sound."""
    name = f"sources.{recording}.{microphone}"
    clock = found.clock(recording, microphone)
    drift = (clock["rate_hz"] / facts["true_rate_hz"] - 1) * 1e6
    holes = [gap for gap in clock["gaps"] if gap["reason"] == "hole"]
    rows = [
        Row(f"{name}.start_error", abs(clock["start_ns"] - facts["true_start_ns"]) / 1e6, "ms", 0.2),
        Row(f"{name}.drift_error", abs(drift), "ppm", 2.0),
        Row(f"{name}.holes_wrong", abs(len(holes) - len(facts["holes"])), "holes", 0),
    ]
    for hole, known in zip(holes, facts["holes"], strict=False):
        ends = (known["start_sample"], known["start_sample"] + known["samples"])
        error = max(abs(hole["start_sample"] - ends[0]), abs(hole["stop_sample"] - ends[1]))
        rows.append(Row(f"{name}.hole_error", error / facts["block_samples"], "blocks", 1.0))
    return rows


def exported_beeps(found: Results, recording: str, microphone: str) -> np.ndarray:
    """Instants of the beeps in an exported sound, by its clock; int64 (B,)."""
    clock = found.clock(recording, microphone)
    samples = hear_beeps(found.folder("media", recording) / f"{microphone}.wav")
    times = np.zeros(len(samples), np.int64)
    for segment in clock["segments"] or [{"start_sample": 0, "start_ns": clock["start_ns"]}]:
        inside = samples >= segment["start_sample"]
        since = (samples[inside] - segment["start_sample"]) / clock["rate_hz"]
        times[inside] = segment["start_ns"] + np.rint(since * 1e9).astype(np.int64)
    return times


def check_conformed(found: Results, recording: str, camera: str, microphone: str, facts: dict[str, Any]) -> list[Row]:
    """Sound and picture of the conformed streams, as they stand in the files."""
    name = f"media.{recording}.{camera}"
    folder = found.folder("conformed", recording)
    seen = watch(folder / f"{camera}.mp4", facts["width"], facts["height"])
    beeps = hear_beeps(folder / f"{microphone}.wav")
    samples = (folder / f"{microphone}.wav").stat().st_size // 2
    frames = len(seen.numbers)
    even = abs(frames - samples / (RATE_HZ / float(FPS)))
    return [
        Row(
            f"{name}.flash_to_beep",
            _worst_ms(seen.pts_ns[seen.flash_onsets()], _sample_ns(beeps)),
            "ms",
            20.0,
        ),
        # The header of a WAV is far smaller than a frame of sound.
        Row(f"{name}.sound_minus_picture", even, "frames", 0.1),
    ]


def check_windows(found: Results, truth: dict[str, Any]) -> list[Row]:
    """Sound against picture, and landmarks against the truth, in every window."""
    index = columns(found.root / "datasets" / DATASET / "index.parquet")
    offsets: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    watched: dict[str, Seen] = {}
    for recording, file, first in zip(index["recording"], index["file"], index["first_frame"], strict=True):
        facts = truth[recording]["cameras"]["front"]
        if recording not in watched:
            video = found.folder("conformed", recording) / "front.mp4"
            watched[recording] = watch(video, facts["width"], facts["height"])
        with np.load(found.root / "datasets" / DATASET / file, allow_pickle=False) as window:
            pose, audio = window["pose"], window["audio"][0]
        seen = Seen(*(part[first : first + len(pose)] for part in watched[recording]))
        known = np.load(_landmarks_file(found, truth[recording]))[seen.numbers]
        errors.setdefault(recording, []).append(float(np.abs(pose.transpose(0, 2, 1) - known).max()))
        offsets.setdefault(recording, []).extend(_window_offsets_ms(seen, audio))
    rows = [Row(f"datasets.{name}.pose_error", max(values), "px", 0.01) for name, values in errors.items()]
    return rows + [
        Row(f"datasets.{name}.flash_to_beep", max(values, default=np.nan), "ms", 20.0)
        for name, values in offsets.items()
    ]


def _window_offsets_ms(seen: Seen, audio: np.ndarray) -> list[float]:
    """Distance from each beep that begins inside of the window to the flash that belongs to it."""
    if np.abs(audio).max(initial=0.0) < 0.5:
        return []
    onsets = seen.flash_onsets()
    flashes = onsets[onsets > 0] * 10**9 // int(FPS)
    beeps = _sample_ns(np.array([beep for beep in _beeps_of(audio) if beep > RATE_HZ // 10]))
    inside = beeps[beeps < (len(seen.numbers) - 2) * 10**9 // int(FPS)]
    if not len(inside):
        return []
    return [_worst_ms(inside, flashes)] if len(flashes) else [np.inf]


def _beeps_of(audio: np.ndarray) -> np.ndarray:
    from rushes.synthetic.sounds import find_beeps

    return find_beeps(audio, RATE_HZ)


def check_ledger(found: Results, truth: dict[str, Any]) -> list[Row]:
    """Items by step, outcome and reason: as many as the recordings demand."""
    with (found.root / "reports" / "ledger.tsv").open(encoding="utf-8", newline="") as file:
        counted = {
            (row["step"], row["outcome"], row["reason"]): int(row["items"])
            for row in csv.DictReader(file, delimiter="\t")
        }
    expected = expected_outcomes(truth, FPS)
    rows = []
    for key in sorted({*counted, *expected}):
        name = ".".join(filter(None, ("ledger", *key)))
        rows.append(Row(f"{name}.wrong", abs(counted.get(key, 0) - expected.get(key, 0)), "items", 0))
    return rows


def _landmarks_file(found: Results, known: dict[str, Any]) -> Path:
    recordings = found.root.parent / "recordings"
    return recordings / Path(known["path"]).parent / known["landmarks"]


def _sample_ns(samples: np.ndarray) -> np.ndarray:
    times: np.ndarray = np.rint(samples * (1e9 / RATE_HZ)).astype(np.int64)
    return times


def _worst_ms(times_ns: np.ndarray, others_ns: np.ndarray) -> float:
    if not len(times_ns) or len(others_ns) == 0:
        return float("nan")
    return float(np.abs(nearest_offset_ns(times_ns, others_ns)).max() / 1e6)


def write(rows: list[Row], path: Path) -> None:
    """Write the table as TSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([row.measure, f"{row.value:.6g}", row.unit, f"{row.limit:g}", "yes" if row.ok else "NO"])
