"""python -m benchmarks.labels: labelled frames of 1080p video to 224x224 JPEG, beside a bare decode.

A minute of 1920x1080 at 30 frames a second (h264, a keyframe every two seconds) is decoded alone, extracted whole, and
extracted where 40 % of it is labelled, by turns; each in a process of its own, of which the CPU time counts. A million
small pictures then go through the split, the index and the shards, against a tenth of them, for their memory.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pyarrow as pa

from benchmarks.table import Row, publish
from scripts.common import frame_index, label_intervals, ledger
from scripts.common.label_intervals import LabelInterval
from scripts.common.tar_file import TarWriter
from scripts.common.video import VideoReader
from scripts.datasets.extract_labelled_frames import extract_labelled_frames
from scripts.datasets.index_frames import index_frames
from scripts.datasets.split_frames import split_frames
from scripts.datasets.write_frames import write_frames
from scripts.planning.config import schema, with_defaults
from scripts.sources.import_video import import_video

COMMAND = "make bench AREA=labels"
NS = 10**9
SECONDS, FPS, GOP_S = 60, 30, 2
# Twelve intervals of two seconds, off the keyframes, are 40 % of a minute.
RANGES = [(5.0 * k + 1.3, 5.0 * k + 3.3) for k in range(12)]
WHOLE = [(0.0, float(SECONDS))]
# How much noise the pictures have: so that a bare decode costs what that of a camera's video does.
NOISE = 4
SIDE = 224
LABELS = ("walk", "run", "rest", "jump")


def settings(**changes: Any) -> dict[str, Any]:
    """A dataset's settings with the schema's defaults."""
    found: dict[str, Any] = with_defaults(
        {"kind": "frames", "rig": "r", "overlaps": "first", "size": SIDE, **changes}, schema("datasets.frames")
    )
    return found


def make_video(folder: Path) -> None:
    """The video, imported."""
    source = f"testsrc2=s=1920x1080:r={FPS},noise=alls={NOISE}:allf=t"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source, "-t", str(SECONDS)]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", str(GOP_S * FPS), "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(folder / "source.mp4")], check=True)
    import_video(
        [folder / "source.mp4"],
        [folder / "c1.mp4"],
        [folder / "c1.frames.parquet"],
        [],
        [],
        folder / "manifest.json",
        folder / "ledger.parquet",
        recording="take",
        cameras={"c1": {"file": 0}},
        microphones={},
    )
    for name, spans in (("whole", WHOLE), ("ranges", RANGES)):
        found = [
            LabelInterval("take", "ann", "", "", LABELS[k % 4], round(a * NS), round(b * NS), k)
            for k, (a, b) in enumerate(spans)
        ]
        label_intervals.write(folder / f"{name}.labels.parquet", found)


def decode(folder: Path) -> dict[str, float]:
    """Every picture, and nothing done with it."""
    with VideoReader(folder / "c1.mp4") as reader:
        return {"frames": sum(1 for _ in reader)}


def extract(folder: Path, labels: str) -> dict[str, float]:
    """The labelled pictures."""
    out = [folder / f"{labels}.{what}" for what in ("tar", "pictures.parquet", "ledger.parquet")]
    extract_labelled_frames(
        folder / "c1.mp4",
        folder / "c1.frames.parquet",
        folder / f"{labels}.labels.parquet",
        folder / "manifest.json",
        *out,
        recording="take",
        camera="c1",
        fields={"recording": "take", "subject": "ann", "session": "take", "camera": "c1"},
        settings=settings(),
        excluded=[],
    )
    return {"frames": sum(1 for _ in frame_index.rows(out[1], ["frame"]))}


def write_tar(folder: Path) -> dict[str, float]:
    """The pictures of the whole extraction once more into a tar, with their sha256: seconds alone."""
    rows = list(frame_index.rows(folder / "whole.pictures.parquet"))
    payload = (folder / "whole.tar").read_bytes()
    pictures = [(f"{row['name']}.jpg", payload[row["offset"] : row["offset"] + row["size"]]) for row in rows]
    start = time.perf_counter()
    with TarWriter(folder / "again.tar") as tar:
        for name, picture in pictures:
            tar.add(name, picture)
    return {"frames": len(pictures), "seconds": time.perf_counter() - start}


def many(folder: Path, count: int) -> dict[str, float]:
    """`count` small pictures through the split, the index and the shards."""
    folder = folder / f"many{count}"
    pictures = folder / "pictures"
    paths = [pictures / f"take.c1.{what}" for what in ("tar", "pictures.parquet", "ledger.parquet")]
    outs = {name: folder / name for name in ("splits.tsv", "classes.json", "index.parquet", "card.json", "l.parquet")}
    split = with_defaults({"lists": {"train": ["take"]}}, schema("datasets.frames")["properties"]["split"])
    split_frames(
        [paths[1]],
        outs["splits.tsv"],
        outs["classes.json"],
        dataset="d",
        groups={"take": "take"},
        known={"take": "train"},
        fixed={},
        classes=[],
        cap=0,
        split=split,
    )
    index_frames(
        [paths[1]],
        [paths[2]],
        [paths[0]],
        *outs.values(),
        dataset="d",
        parts=[["take", "c1"]],
        settings=settings(),
    )
    decided = (outs["splits.tsv"], outs["classes.json"], folder / "webdataset", folder / "shards.json")
    write_frames(paths[1], paths[0], *decided, recording="take", camera="c1", shape="webdataset", rows=1000)
    return {"frames": float(count), "shards": float(len(list((folder / "webdataset").iterdir())))}


def make_many(folder: Path, count: int) -> dict[str, float]:
    """`count` pictures of half a kilobyte, as an extraction leaves them."""
    target = folder / f"many{count}" / "pictures"
    target.mkdir(parents=True)
    with (
        TarWriter(target / "take.c1.tar") as tar,
        frame_index.IndexWriter(target / "take.c1.pictures.parquet") as index,
    ):
        for frame in range(count):
            name = f"take_c1_{frame:07d}"
            member = tar.add(f"{name}.jpg", frame.to_bytes(8, "big") * 64)
            label = LABELS[frame // 100 % 4]
            index.add(
                {
                    "name": name,
                    "recording": "take",
                    "subject": "ann",
                    "camera": "c1",
                    "label": label,
                    "labels": [label],
                    "frame": frame,
                    "place": frame % 100,
                    "time_ns": frame * NS // FPS,
                    "interval": frame // 100,
                    "start_ns": frame // 100 * 100 * NS // FPS,
                    "stop_ns": (frame // 100 + 1) * 100 * NS // FPS,
                    "ending": "jpg",
                    "offset": member.offset,
                    "size": member.size,
                    "sha256": member.sha256,
                    "phash": hash(name) & (2**63 - 1),
                }
            )
    row = ledger.Row("extract_labelled_frames", "take", "c1/interval 0", "written", value=float(count))
    ledger.write(target / "take.c1.ledger.parquet", [row])
    return {"frames": float(count)}


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "decode": decode,
    "whole": lambda folder: extract(folder, "whole"),
    "ranges": lambda folder: extract(folder, "ranges"),
    "tar": write_tar,
}


def measured(part: str, folder: Path) -> dict[str, float]:
    """A part in a process of its own: CPU seconds and peak memory, its start apart."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.labels", "--part", part, "--folder", str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_part(part: str, folder: Path) -> None:
    """Do a part, and print what it took."""
    # The first array loads pandas, which is no part of the work.
    pa.array([0])
    before = resource.getrusage(resource.RUSAGE_SELF)
    name, _, number = part.partition(":")
    found = many(folder, int(number)) if name == "many" else PARTS[name](folder)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({**found, "cpu_s": cpu, "peak_mb": after.ru_maxrss / 1024, "start_mb": before.ru_maxrss / 1024}))


def compare(folder: Path, rounds: int) -> list[Row]:
    """Decode, whole and ranges by turns; the median of each."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in ("decode", "whole", "ranges")}
    for _ in range(rounds):
        for name, own in taken.items():
            own.append(measured(name, folder))
    cpu = {name: statistics.median(one["cpu_s"] for one in own) for name, own in taken.items()}
    tar = measured("tar", folder)
    frames = SECONDS * FPS
    every = cpu["whole"] / cpu["decode"]
    ranges = cpu["ranges"] / cpu["whole"]
    picture, a_tar = cpu["decode"] / frames * 1000, tar["seconds"] / tar["frames"] * 1000
    return [
        Row("every_frame", cpu["whole"], "CPU s", "bare decode", cpu["decode"], every, "<= 1.3", every <= 1.3, COMMAND),
        Row(
            "40_percent", cpu["ranges"], "CPU s", "every frame", cpu["whole"], ranges, "<= 0.6", ranges <= 0.6, COMMAND
        ),
        Row(
            "tar_a_picture",
            a_tar,
            "ms",
            "decode a picture",
            picture,
            a_tar / picture,
            "<= 1",
            a_tar <= picture,
            COMMAND,
        ),
    ]


def compare_memory(folder: Path, count: int) -> list[Row]:
    """Peak memory of a million pictures against a tenth of them."""
    peaks = {}
    for number in (count // 10, count):
        make_many(folder, number)
        peaks[number] = measured(f"many:{number}", folder)
    few, all_of = (peaks[number]["peak_mb"] for number in peaks)
    ratio = all_of / few
    against = f"{count // 10:,} pictures"
    return [Row(f"memory_of_{count}", all_of, "MB", against, few, ratio, "<= 1.2", ratio <= 1.2, COMMAND)]


def main() -> None:
    """Measure, or do one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    chosen = parser.parse_args()
    if chosen.part:
        run_part(chosen.part, chosen.folder)
        return
    with tempfile.TemporaryDirectory(prefix="rushes_labels_") as name:
        folder = Path(name)
        make_video(folder)
        rows = compare(folder, chosen.rounds)
        publish("labels", rows + compare_memory(folder, chosen.pictures))


if __name__ == "__main__":
    main()
