"""The scenes of a conformed video, as a table of intervals: each begins with a cut, the first with the video."""

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

from scripts.common import json_file, ledger
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.intervals import Intervals
from scripts.common.job import progress, run
from scripts.common.scene_cuts import scenes
from scripts.common.small_picture import SmallPictures
from scripts.common.timeline import Timeline
from scripts.common.video import VideoReader
from scripts.faces.scene_starts import SceneStarts

log = logging.getLogger("rushes")


def detect_cuts(
    video: Path,
    frames: Path,
    manifest: Path,
    out_scenes: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    fps: str,
    rule: dict[str, Any],
) -> None:
    """Write the scenes of the conformed `video`; see `scripts/faces/scene_starts.py`.

    rule: what is a cut, by the names of `SceneStarts`.
    Raises InputError if the picture failed in an earlier step.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}", "the picture failed")
    small, search = SmallPictures(), SceneStarts(**rule)
    with VideoReader(video) as reader:
        for count, picture in enumerate(reader):
            progress(count, len(table))
            search.see(small.bgr(picture))
    score = search.change
    pairs = scenes(len(score), search.found())
    start_ns = Timeline.of(json_file.read(manifest)).start_ns
    at_start = [float(score[first]) for first, _ in pairs]
    Intervals.make(pairs, at_start, origin_ns=start_ns, per_second=float(Fraction(fps))).write(out_scenes)
    message = f"{len(pairs) - 1} cuts in {len(score)} frames"
    log.info("%s, %s: %s", recording, camera, message)
    row = ledger.Row("detect_cuts", recording, camera, "written", value=len(pairs) - 1, message=message)
    ledger.write(out_ledger, [row])


if __name__ == "__main__":
    run(detect_cuts)
