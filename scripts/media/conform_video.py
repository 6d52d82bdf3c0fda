"""Constant frame rate without losing time.

The output frame k stands at k / fps after the timeline's start and shows the source frame that is on screen
at its middle, (k + 0.5) / fps: so whatever happens in a picture is seen at most half an output frame early or
late. Where the source has a gap, the frame before it stands still; outside the source the picture is black,
and source_frame is -1.
"""

import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from scripts.common import ledger
from scripts.common import manifest as manifests
from scripts.common.camera_pictures import microseconds, row_at
from scripts.common.errors import InputError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.lost_frames import leaning_on
from scripts.common.timeline import NS, Timeline
from scripts.common.video import VideoReader, VideoWriter, pixel_shape, upright

# Times are rounded to microseconds; a frame this close to the middle of an output frame counts as not yet
# shown, so that a source of twice the rate gives every second frame, whatever the rounding.
TIE_NS = 1000
# Above this share of frames that do not decode there is nothing to be saved.
MOST_UNDECODED = 0.5

log = logging.getLogger("rushes")


def instants(count: int, fps: Fraction, phase: Fraction) -> np.ndarray:
    """floor((k + phase) / fps) for k = 0 … count - 1 in nanoseconds, exact. int64 (count,)."""
    step = NS * fps.denominator * phase.denominator
    unit = fps.numerator * phase.denominator
    # (k + phase) / fps = (k * phase.denominator + phase.numerator) * NS * fps.denominator / unit, split into
    # whole and rest so that no product overflows.
    times = np.arange(count, dtype=np.int64) * phase.denominator + phase.numerator
    whole, rest = divmod(step // phase.denominator, unit)
    return times * whole + times * rest // unit


def choose_frames(
    source_ns: np.ndarray, start_ns: int, stop_ns: int, fps: Fraction, end_ns: int | None = None
) -> np.ndarray:
    """Source frame shown by each output frame: the last that began before the middle of the output frame.

    source_ns: int64 (N,), strictly increasing, nanoseconds on the recording's clock.
    end_ns: when the last source frame goes off the screen; without it, one median period after it began.
    Returns int32 (M,), M = floor((stop_ns - start_ns) * fps / 1e9) but for rounding; -1 outside the source.
    """
    middles = start_ns + instants(Timeline(start_ns, stop_ns).frames(fps), fps, Fraction(1, 2))
    if not len(source_ns):
        return np.full(len(middles), -1, np.int32)
    if end_ns is None:
        period = int(np.median(np.diff(source_ns))) if len(source_ns) > 1 else round(NS / fps)
        end_ns = int(source_ns[-1]) + period
    shown = np.searchsorted(source_ns, middles - TIE_NS, side="right") - 1
    return np.where(middles - TIE_NS < end_ns, shown, -1).astype(np.int32)


def carried_gaps(gap_before_ns: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Time missing before each output frame: the gaps before the source frames that it newly shows or skips.

    gap_before_ns: int64 (N,) of the source.  shown: int32 (M,) from `choose_frames`.  Returns int64 (M,).
    """
    missing = np.concatenate([[0], np.cumsum(gap_before_ns)])
    reached = np.maximum.accumulate(np.maximum(shown, -1)) + 1
    before = np.concatenate([[0], reached[:-1]])
    return np.where(shown >= 0, missing[reached] - missing[before], 0)


def last_decoded(shown: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """The source frame really seen: where one does not decode, the last before it that does, else -1.

    shown: int32 (M,) from `choose_frames`.  decoded: bool (N,).  Returns int32 (M,).
    """
    rows = np.where(decoded, np.arange(len(decoded)), -1)
    seen = np.concatenate([np.maximum.accumulate(rows), [-1]])
    return seen[shown].astype(np.int32)


def conformed_table(
    source: FrameTable, shown: np.ndarray, decoded: np.ndarray, start_ns: int, fps: Fraction, keyframe: np.ndarray
) -> FrameTable:
    """The frame table of the conformed video; `keyframe` is that of the encoded file, bool (M,)."""
    seen = last_decoded(shown, decoded)
    inside = seen >= 0
    here = np.maximum(seen, 0)
    count = len(shown)
    # Half a unit more before the floor rounds to the nearest.
    pts_us = (instants(count, fps, Fraction(0)) + 500) // 1000
    return FrameTable.make(
        pts_us,
        np.where(inside, source.time_ns[here], start_ns + instants(count, fps, Fraction(0))),
        source_frame=np.where(inside, source.frame[here], -1),
        keyframe=keyframe,
        tainted=(shown >= 0) & source.tainted[np.maximum(shown, 0)],
        gap_before_ns=carried_gaps(source.gap_before_ns, shown),
    )


def conform_video(
    video: Path,
    frames: Path,
    manifest: Path,
    out_video: Path,
    out_frames: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    fps: str,
    crf: int,
    preset: str,
) -> None:
    """Re-time `video` to `fps` (a rational, "25" or "30000/1001") on the timeline of its recording.

    Where a frame does not decode, the one before it stands still; all that lean on it are tainted.
    Raises InputError if the import of the camera failed, if the timeline is shorter than a frame, if the table and
    the video disagree on the number of frames, or if most of them do not decode.
    """
    rate = Fraction(fps)
    source = FrameTable.read(frames)
    if not len(source):
        raise UpstreamError(f"{recording}, {camera}")
    facts = manifests.read(manifest)
    timeline = Timeline.of(facts)
    end_ns = facts["streams"].get(camera, {}).get("stop_ns", source.stop_ns)
    shown = choose_frames(source.time_ns, timeline.start_ns, timeline.stop_ns, rate, max(end_ns, source.stop_ns))
    if not len(shown):
        length_s = (timeline.stop_ns - timeline.start_ns) / NS
        raise InputError(
            "short",
            f"{recording}: it lasts {length_s:.3f} s, less than one frame at {fps} frames a second",
            value=length_s,
            limit=float(1 / rate),
        )
    writer = VideoWriter(out_video, rate=rate, time_base=1 / rate, crf=crf, preset=preset)
    with VideoReader(video) as reader, writer:
        decoded, strangers = write_shown(reader, writer, shown, source)
    # Some decoders give no picture at all until the keyframe after a lost packet.
    damaged = ~decoded & ~source.tainted
    missing = int(damaged.sum())
    in_file = reader.stream.frames or int(decoded.sum()) + strangers
    if strangers or (missing and in_file != len(source)):
        raise InputError(
            "frame_count",
            f"{recording}, {camera}: {int(decoded.sum()) + strangers} frames decode, but its frame table has "
            f"{len(source)}; import the recording again",
            value=int(decoded.sum()) + strangers,
            limit=len(source),
        )
    if missing > MOST_UNDECODED * len(source):
        raise InputError(
            "undecodable",
            f"{recording}, {camera}: {missing} of {len(source)} frames do not decode; see whether the source plays",
            value=missing,
            limit=MOST_UNDECODED * len(source),
        )
    message = ""
    if missing:
        source = replace(source, tainted=source.tainted | leaning_on(damaged, source.keyframe))
        message = f"{missing} frames do not decode: the one before stands still; all that lean on them are tainted"
        log.warning("%s, %s: %s", recording, camera, message)
    keyframe = np.isin(np.arange(len(shown)), list(writer.keyframe_pts))
    table = conformed_table(source, shown, decoded, timeline.start_ns, rate, keyframe)
    table.write(out_frames)
    row = ledger.Row("conform_video", recording, camera, "written", value=len(shown), message=message)
    ledger.write(out_ledger, [row])
    log.info("%s frames from %s, %s black", len(shown), int(decoded.sum()), int((shown < 0).sum()))


def write_shown(
    reader: VideoReader, writer: VideoWriter, shown: np.ndarray, source: FrameTable
) -> tuple[np.ndarray, int]:
    """Write the source pictures `shown`, int32 (M,), in one pass; a picture is known by its time.

    Returns which rows of `source` decode, bool (N,), and how many pictures belong to no row. Where a row does
    not decode, the picture before it stands still.
    """
    decoded = np.zeros(len(source), bool)
    # Never falling, also where the source has ended and `shown` is -1 again.
    reached = np.maximum.accumulate(shown)
    strangers = written = 0
    before: av.VideoFrame | None = None
    for count, picture in enumerate(reader, start=1):
        row = row_at(source.pts_us, microseconds(picture))
        if row is None:
            strangers += 1
            continue
        if before is None:
            writer.take_form(upright(picture), pixel_shape(reader, picture))
        decoded[row] = True
        written = _write_until(writer, shown, written, int(np.searchsorted(reached, row)), before)
        before = picture
        progress(count)
    if before is not None:
        _write_until(writer, shown, written, len(shown), before)
    return decoded, strangers


def _write_until(writer: VideoWriter, shown: np.ndarray, first: int, stop: int, picture: av.VideoFrame | None) -> int:
    """Write the output frames from `first` to `stop`: `picture`, or black outside the source. Returns `stop`."""
    if picture is not None and (shown[first:stop] >= 0).any():
        picture = upright(picture)
    for k in range(first, stop):
        if picture is None or shown[k] < 0:
            writer.write_black(k)
        else:
            writer.write(picture, k)
    return stop


if __name__ == "__main__":
    run(conform_video)
