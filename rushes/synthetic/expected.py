"""What the ledger of the demo must say: derived from the recordings alone, by other means than the pipeline's."""

from collections import Counter
from fractions import Fraction
from typing import Any

Outcomes = Counter[tuple[str, str, str]]

WINDOW, HOP = 64, 32
# Exports of the demo by recording. Of the stills, one every 4 s, six each: at the first one cam1 and cam2 have not
# begun, at the last one cam0 has ended.
EXPORTS = {
    "aviary": {
        ("render_mosaic", "written", ""): 2,
        ("merge_video_audio", "written", ""): 1,
        ("extract_raw_audio", "written", ""): 1,
        ("compress_audio", "written", ""): 2,
        ("extract_stills", "written", ""): 3 * 6 - 3,
        ("extract_stills", "filtered", "no_frame"): 3,
        ("cut_clips", "written", ""): 3,
        ("link_aviary_names", "written", ""): 1,
        ("render_spectrogram", "written", ""): 1,
        ("measure_latency", "written", ""): 1,
    }
}
# Of the table of shards: two videos with two clips each, one of them shorter than its limit.
SHARDS = {
    ("fetch_shard", "written", ""): 2,
    ("scan_shard", "written", ""): 2,
    ("cut_shard", "written", ""): 3,
    ("cut_shard", "filtered", "min_s"): 1,
    ("write_shard", "written", ""): 2,
}
# Frames without picture at the start that a window may have.
START_LIMIT = 2


def expected_outcomes(truth: dict[str, Any], fps: Fraction) -> Outcomes:
    """Items by (step, outcome, reason) for the whole demo."""
    counts: Outcomes = Counter(SHARDS)
    for name, known in truth.items():
        counts.update(EXPORTS.get(name, {}))
        if known.get("room") == "labels":
            counts.update(expected_labels(known))
            continue
        if known.get("room") == "arena":
            counts.update(expected_cameras(known))
            continue
        if known["kind"] == "garbage":
            counts["import_video", "failed", "unreadable"] += 2
            for step in ("conform_video", "conform_audio", "extract_landmarks", "detect_cuts", "extract_windows"):
                counts[step, "failed", "upstream"] += 1
            continue
        step = "export_bag" if known["kind"] == "bag" else "import_video"
        counts[step, "written", ""] += len(known["cameras"]) + len(known["microphones"])
        counts["conform_video", "written", ""] += len(known["cameras"])
        counts["conform_audio", "written", ""] += len(known["microphones"])
        if known["kind"] == "file":
            counts["extract_landmarks", "written", ""] += 1
            counts["detect_cuts", "written", ""] += 1
            for reason, windows in expected_windows(known["cameras"]["front"], fps).items():
                counts["extract_windows", "filtered" if reason else "written", reason] += windows
    return counts


def expected_labels(known: dict[str, Any]) -> Outcomes:
    """Of a labelled recording: CLAP is no class, and an act without length labels nothing."""
    acts = [(start, stop) for _, start, stop in known["intervals"]]
    whole = sum(start < stop for start, stop in acts)
    counts: Outcomes = Counter()
    for step in ("join_chunks", "conform_video", "import_labels", "index_frames"):
        counts[step, "written", ""] = 1
    counts["clean_labels", "written", ""] = whole
    counts["clean_labels", "filtered", "zero_length"] = len(acts) - whole
    counts["clean_labels", "filtered", "ignored"] = 1
    counts["extract_labelled_frames", "written", ""] = whole
    counts["extract_labelled_frames", "filtered", "unlabelled"] = 1
    return counts


def expected_cameras(known: dict[str, Any]) -> Outcomes:
    """Of a recording of the arena: each camera is an item of what is done with its pictures."""
    cameras = len(known["cameras"])
    counts: Outcomes = Counter()
    for step in ("import_video", "conform_video"):
        counts[step, "written", ""] = cameras
    counts["align_cameras", "written", ""] = 1
    if known["shows"] == "board":
        counts["detect_boards", "written", ""] = cameras
        counts["calibrate_cameras", "written", ""] = 1
    else:
        counts["detect_keypoints", "written", ""] = cameras
        for step in ("triangulate_keypoints", "smooth_poses", "export_poses"):
            counts[step, "written", ""] = 1
    return counts


def expected_windows(camera: dict[str, Any], fps: Fraction) -> Counter[str]:
    """Windows by reason, "" for those that are written; times count from the container's zero, where sound starts."""
    period_s = 1 / Fraction(camera["fps"])
    stamps_s = [Fraction(stamp, 10**9) for stamp in camera["stamps_ns"]]
    # A hundredth of a frame, because stamps are rounded to nanoseconds.
    frames = int((stamps_s[-1] + period_s) * fps + Fraction(1, 100))
    if frames < WINDOW:
        return Counter({"short": 1})
    middles_s = [(k + Fraction(1, 2)) / fps for k in range(frames)]
    without_picture = sum(middle < stamps_s[0] for middle in middles_s)
    first, stop = camera["faceless_frames"]
    faceless = {
        k
        for k, middle in enumerate(middles_s)
        if first < stop and stamps_s[first] <= middle < stamps_s[stop - 1] + period_s
    }
    reasons: Counter[str] = Counter()
    for start in range(0, frames - WINDOW + 1, HOP):
        if without_picture - start > START_LIMIT:
            reasons["av_start"] += 1
        elif faceless & set(range(start, start + WINDOW)):
            reasons["no_face"] += 1
        else:
            reasons[""] += 1
    return reasons
