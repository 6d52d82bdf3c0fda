"""The exports once more under the names of the old system, with its `.aux` and `_ts.txt` files, for its later tools.

Files are hard links where the disk can, so they cost no space. Times are those of the recording's clock: what the old
files said of the sound (arrival of its first and last block) is here the true instant of its first sample and its end.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from scripts.common import ledger
from scripts.common import manifest as manifests
from scripts.common.clock import Clock
from scripts.common.errors import RunError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.links import link_or_copy
from scripts.common.synchronised import Synchronised
from scripts.common.timeline import NS, Timeline

SLICE = re.compile(r"(aviary_\d{4}-\d\d-\d\d_\d+(?:\.\d+)?-\d+(?:\.\d+)?)(?:_slice)?")


def link_aviary_names(
    files: list[Path],
    frames: list[Path],
    clocks: list[Path],
    raws: list[Path],
    instants: list[Path],
    manifest: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    names: list[str],
    source: str,
    microphones: list[str],
) -> None:
    """Link `files` as `names` ("{base}" is filled in), and write the text files that went with them.

    A folder's files are linked under its name. frames: of the views in their order; clocks and raws: of `microphones`;
    instants: of the full grid, or nothing. What failed is left out and named in the ledger. Raises
    InputError if the import of the whole recording failed.
    """
    facts = manifests.read(manifest)
    if "timeline" not in facts:
        raise UpstreamError(recording)
    base = base_name(source, Timeline.of(facts))
    folder = out_folder / f"{base}_files"
    folder.mkdir(parents=True)
    missing = []
    for file, name in zip(files, names, strict=True):
        target = folder / name.format(base=base)
        if file.is_dir():
            link_all(file, target)
        elif file.stat().st_size:
            link(file, target)
        else:
            missing.append(target.name)
    for number, path in enumerate(frames):
        table = FrameTable.read(path)
        if len(table):
            (folder / f"{base}_view{number}_ts.txt").write_text(time_stamps(table), encoding="utf-8")
    for number, (clock, raw) in enumerate(zip(clocks, raws, strict=True)):
        heard = Clock.read(clock)
        if heard.samples:
            ending = "" if len(microphones) == 1 else f"_{microphones[number]}"
            text = sound_aux(heard, raw.stat().st_size)
            (folder / f"{base}_audio{ending}.aux").write_text(text, encoding="utf-8")
    for path in instants:
        grid = Synchronised.read(path)
        if len(grid):
            (folder / "video_full.aux").write_text(picture_aux(grid), encoding="utf-8")
    message = f"left out, because it failed: {', '.join(missing)}" if missing else ""
    ledger.write(out_ledger, [ledger.Row("link_aviary_names", recording, product, "written", message=message)])


def base_name(source: str, timeline: Timeline) -> str:
    """aviary_<date>_<start>-<end>: that of a slice, else from the recording's clock (the date is UTC)."""
    match = SLICE.fullmatch(Path(source).stem)
    if match:
        return match[1]
    start_s, stop_s = timeline.start_ns / NS, timeline.stop_ns / NS
    return f"aviary_{datetime.fromtimestamp(timeline.start_ns // NS, UTC):%Y-%m-%d}_{start_s:.3f}-{stop_s:.3f}"


def time_stamps(table: FrameTable) -> str:
    """Frame index and ROS time of every frame, a line each."""
    seconds = (divmod(time_ns, NS) for time_ns in table.time_ns.tolist())
    return "".join(f"{frame} {second}.{rest:09d}\n" for frame, (second, rest) in enumerate(seconds))


def sound_aux(clock: Clock, raw_bytes: int) -> str:
    """What the old system said of a raw sound."""
    filled = sum(gap.stop_sample - gap.start_sample for gap in clock.gaps if gap.reason == "hole")
    samples = clock.samples - filled
    depth = raw_bytes * 8 // (samples * clock.channels) if samples else 0
    return _aux(clock.start_ns, clock.stop_ns, samples, f"channels {clock.channels}\ndepth {depth}\n", clock.rate_hz)


def picture_aux(grid: Synchronised) -> str:
    """What the old system said of the full grid."""
    rate = NS / grid.period_ns if grid.period_ns else 0.0
    return _aux(int(grid.time_ns[0]), int(grid.time_ns[-1]), len(grid), "", rate)


def _aux(start_ns: int, stop_ns: int, frames: int, form: str, rate_hz: float) -> str:
    return f"ros_start_time {start_ns}\nros_end_time {stop_ns}\nnumber_of_frames {frames}\n{form}rate {rate_hz:f}\n"


def link_all(folder: Path, target: Path) -> None:
    """Link the pictures and sounds of a folder: into `target`, or with its name before their endings.

    Of a frame that two exports hold the first stays.
    """
    for file in sorted(folder.iterdir()):
        if file.suffix == ".jpg" and not (target / file.name).exists():
            link(file, target / file.name)
        elif file.suffix in (".wv", ".flac"):
            _, _, rest = file.name.partition(".")
            link(file, target.with_name(f"{target.name}.{rest}"))


def link(file: Path, target: Path) -> None:
    """A hard link, or a copy where there can be none. Raises RunError if another file has the name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise RunError(f"{target.name}: {file.name} would have this name, and another file has it already")
    link_or_copy(file, target)


if __name__ == "__main__":
    run(link_aviary_names)
