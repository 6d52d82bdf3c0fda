"""python -m benchmarks.bags: one pass over a bag beside transcoding, and beside what `rosbags` alone needs to read it.

60 s of four cameras of 1920x1200 at 40 fps (h264, about 11 Mb/s each) and 24 channels of S24 at 48 kHz. In process,
each pair is measured anew and the row is the median of the ratios. A bag of 10 GB, made by repetition, is exported
beside one of 1 GB, each in a fresh process. The row of the mosaic comes from benchmarks.bags_mosaic.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from benchmarks import bags_mosaic
from benchmarks.bags_made import CAMERA_TOPIC, SOUND_TOPIC, encode_cameras, write_bag
from benchmarks.bags_mosaic import CAMERAS, FFMPEG
from benchmarks.table import Row, publish
from scripts.sources.export_bag import export_bag

COMMAND = "make bench AREA=bags"
SECONDS = 60
PAIRS = 5
GB = 10**9
PAIRS_OF_LARGE = 3
TRANSCODE_GOAL, READ_GOAL, WRITE_GOAL = 25.0, 3.0, 1.6
# "The same" cost and memory of a bag ten times as large, measured on a machine that others use, too.
SAME_COST, SAME_MEMORY = 1.25, 1.25


@dataclass(frozen=True)
class Cost:
    """wall_s, cpu_s: of the work alone, without the start of Python; user_s: the part of cpu_s outside of the kernel;
    peak_mb: of the whole process."""

    wall_s: float
    cpu_s: float
    user_s: float = 0.0
    peak_mb: float = 0.0


def export(bag: Path, folder: Path) -> None:
    """All of a bag in one pass."""
    folder.mkdir(exist_ok=True)
    cameras = {f"cam{k}": {"topic": CAMERA_TOPIC.format(k), "time": "auto"} for k in range(CAMERAS)}
    export_bag(
        [bag],
        [folder / f"{name}.mp4" for name in cameras],
        [folder / f"{name}.frames.parquet" for name in cameras],
        [folder / "array.wav"],
        [folder / "array.clock.json"],
        folder / "manifest.json",
        folder / "export.ledger.parquet",
        recording="bench",
        cameras=cameras,
        microphones={"array": {"topic": SOUND_TOPIC, "stamp": "auto"}},
        crf=18,
    )


def read(bag: Path, folder: Path | None = None) -> None:
    """What rosbags alone needs to read and deserialise; with a folder, also to write the same bytes plainly."""
    with ExitStack() as stack:
        reader = stack.enter_context(AnyReader([bag]))
        files: dict[str, Any] = {}
        if folder is not None:
            folder.mkdir(exist_ok=True)
            for index, topic in enumerate(reader.topics):
                files[topic] = stack.enter_context((folder / f"{index}.raw").open("wb"))
        for connection, _, raw in reader.messages():
            message: Any = reader.deserialize(raw, connection.msgtype)
            if files:
                files[connection.topic].write(message.data)


def timed(work: Callable[[], None]) -> Cost:
    """Wall clock and processor time of something done in this process."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    user_s = after.ru_utime - before.ru_utime
    return Cost(time.perf_counter() - wall, user_s + after.ru_stime - before.ru_stime, user_s)


def in_process(bag: Path, folder: Path, pairs: int) -> list[Row]:
    """The export against reading, and against reading and writing, alternating; what was made is removed each time."""
    costs: dict[str, list[Cost]] = {"export": [], "read": [], "write": []}
    works = {
        "read": lambda: read(bag),
        "write": lambda: read(bag, folder / "plain"),
        "export": lambda: export(bag, folder / "out"),
    }
    for _ in range(pairs):
        for name, work in works.items():
            costs[name].append(timed(work))
        for made in ("plain", "out"):
            shutil.rmtree(folder / made)
    rows = []
    for name, against, goal in (
        ("read", "rosbags: read, deserialise", READ_GOAL),
        ("write", "the same, and write plainly", WRITE_GOAL),
    ):
        for clock in ("cpu_s", "wall_s"):
            own, other = ([getattr(cost, clock) for cost in costs[key]] for key in ("export", name))
            ratio = statistics.median(a / b for a, b in zip(own, other, strict=True))
            rows.append(
                _row(f"bags.against_{name}.{clock[:-2]}", statistics.median(own), "s", against, other, ratio, goal)
            )
    return rows


def _row(
    measure: str,
    value: float,
    unit: str,
    against: str,
    other: list[float],
    ratio: float,
    goal: float,
    *,
    least: bool = False,
) -> Row:
    ok = ratio >= goal if least else ratio <= goal
    sign = ">=" if least else "<="
    return Row(measure, value, unit, against, statistics.median(other), ratio, f"{sign} {goal:g}", ok, COMMAND)


def in_child(bag: Path, folder: Path, what: str = "export") -> Cost:
    """The same in a fresh process, as Snakemake runs it, with its peak memory. what: "export", "write"
    (read and write plainly), or only "open" the bag."""
    command = [sys.executable, "-m", "benchmarks.bags", "--child", what, str(bag), str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def child(what: str, bag: Path, folder: Path) -> None:
    """Do it and say what it cost."""
    if what == "open":
        with AnyReader([bag]):
            cost = Cost(0, 0)
    else:
        work = export if what == "export" else read
        cost = timed(lambda: work(bag, folder))
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**asdict(cost), "peak_mb": peak_kb / 1024}))


def transcode(folder: Path) -> list[Row]:
    """The export against x264 veryfast of the same cameras, as the old way has it; folder: with what was exported."""
    own = in_child(folder / "minute.bag", folder / "out")
    other = Cost(0, 0)
    for index in range(CAMERAS):
        source, made = folder / "out" / f"cam{index}.mp4", folder / f"transcoded{index}.mp4"
        command = [FFMPEG, "-v", "error", "-y", "-i", str(source), "-c:v", "libx264", "-preset", "veryfast", str(made)]
        cost = bags_mosaic.run(command)
        other = Cost(other.wall_s + cost.wall_s, other.cpu_s + cost.cpu_s)
        made.unlink()
    shutil.rmtree(folder / "out")
    return [
        _row(
            f"bags.faster_than_transcoding.{clock[:-2]}",
            getattr(own, clock),
            "s",
            "x264 veryfast, 4 cameras",
            [getattr(other, clock)],
            getattr(other, clock) / getattr(own, clock),
            TRANSCODE_GOAL,
            least=True,
        )
        for clock in ("wall_s", "cpu_s")
    ]


def growth(folder: Path, cameras: list[list[tuple[bytes, bool]]], gigabytes: float) -> list[Row]:
    """A bag of so many GB against one of a tenth: cost of a byte, peak memory, and that above the bag's index.

    The kernel's share of writing more than the page cache holds is the machine's: so the time outside of the kernel is
    compared, and the whole of it with what rosbags and a plain write of the same bag need.
    """
    small, large = (_cost_of(folder, cameras, size) for size in (gigabytes / 10, gigabytes))
    name, other = f"bags.{gigabytes:g}_gb", f"bag of {gigabytes / 10:g} GB"

    def row(measure: str, unit: str, key: str, goal: float) -> Row:
        return _row(f"{name}.{measure}", large[key], unit, other, [small[key]], large[key] / small[key], goal)

    return [
        row("user_a_gb", "s", "user", SAME_COST),
        row("cpu_a_gb", "s", "cpu", SAME_COST),
        _row(
            f"{name}.against_write",
            large["cpu"],
            "s",
            "rosbags and a plain write, same bag",
            [large["write"]],
            large["cpu"] / large["write"],
            WRITE_GOAL,
        ),
        row("memory_above_index", "MB", "above", SAME_MEMORY),
        Row(
            f"{name}.peak_memory",
            large["peak"],
            "MB",
            other,
            small["peak"],
            large["peak"] / small["peak"],
            "with rosbags' index",
            None,
            COMMAND,
        ),
    ]


def _cost_of(folder: Path, cameras: list[list[tuple[bytes, bool]]], size: float) -> dict[str, float]:
    """CPU seconds a GB of the export (user, cpu) and of the plain way (write); MB of memory (peak, above the index)."""
    bag = folder / "long.bag"
    gigabytes = write_bag(bag, round(SECONDS * size * GB / _payload_of_a_minute(cameras)), cameras) / GB
    read_once(bag)
    costs: dict[str, list[Cost]] = {"open": [], "write": [], "export": []}
    for _ in range(PAIRS_OF_LARGE):
        for what, found in costs.items():
            found.append(in_child(bag, folder / "out", what))
            shutil.rmtree(folder / "out", ignore_errors=True)
    bag.unlink()
    middle = {
        "user": statistics.median(cost.user_s for cost in costs["export"]) / gigabytes,
        "cpu": statistics.median(cost.cpu_s for cost in costs["export"]) / gigabytes,
        "write": statistics.median(cost.cpu_s for cost in costs["write"]) / gigabytes,
        "peak": statistics.median(cost.peak_mb for cost in costs["export"]),
        "above": statistics.median(
            export.peak_mb - opened.peak_mb for export, opened in zip(costs["export"], costs["open"], strict=True)
        ),
    }
    print(f"{gigabytes:.2f} GB: {middle}", flush=True)
    return middle


def read_once(bag: Path) -> None:
    """Bring a bag into the page cache, as far as it fits."""
    with bag.open("rb") as file:
        while file.read(1 << 24):
            pass


def _payload_of_a_minute(cameras: list[list[tuple[bytes, bool]]]) -> float:
    pictures = sum(sum(len(data) for data, _ in packets) / len(packets) for packets in cameras)
    return SECONDS * (pictures * bags_mosaic.FPS + 48_000 * 24 * 3)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bags", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="length of the bag")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="how often export and peers are run")
    parser.add_argument("--gigabytes", type=float, default=10, help="size of the large bag; 0: leave that out")
    parser.add_argument("--no-mosaic", action="store_true", help="leave out the row of benchmarks.bags_mosaic")
    parser.add_argument("--folder", type=Path, help="where the bags are made; default: a temporary folder")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        what, bag, folder = chosen.child
        child(what, Path(bag), Path(folder))
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        folder = Path(scratch)
        cameras = encode_cameras()
        bag = folder / "minute.bag"
        size = write_bag(bag, chosen.seconds, cameras)
        print(f"{chosen.seconds} s: {size / 1e6:.0f} MB of payload", flush=True)
        rows = in_process(bag, folder, chosen.pairs)
        rows += transcode(folder)
        bag.unlink()
        if chosen.gigabytes:
            rows += growth(folder, cameras, chosen.gigabytes)
        if not chosen.no_mosaic:
            rows += bags_mosaic.measure(folder)
    publish("bags", rows)


if __name__ == "__main__":
    main()
