"""The truth about exports: each file is decoded by the ffmpeg program, and what it shows and plays is measured."""

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.highlevel import AnyReader

from rushes.synthetic.aviary import MICROPHONE_TOPIC
from rushes.synthetic.bars import read_number
from rushes.synthetic.measured import Results, Row, columns
from rushes.synthetic.player import Seen, hear_all, hear_sides, nearest_offset_ns, watch, watch_cells
from rushes.synthetic.sounds import find_beeps

RECORDING = "aviary"
# Cells of the demo's grids, in pixels, and what of them a camera of 4:3 fills.
CELL = (320, 180)
NARROW = (240, 180)
GRIDS = {"full": ("cam0", "cam1", "cam2"), "mosaic.top": ("cam0", "cam1")}
# Height of the strip below the spectrogram's cells.
STRIP = 120
NS = 10**9
# The ranges of config/demo_clips.csv on the recording's clock; the first counts from its start, which is the sound's.
SOUND_START_NS = 1_700_000_000_113_000_000
CLIPS = {
    "relative": (SOUND_START_NS + 2_500_000_000, SOUND_START_NS + 4_000_000_000),
    "by_the_clock": (1_700_000_006_100_000_000, 1_700_000_006_900_000_000),
    "in_utc": (1_700_000_008_000_000_000, 1_700_000_008_400_000_000),
}


def check_exports(found: Results, truth: dict[str, Any]) -> list[Row]:
    """The rows of the exports, from the results and the whole truth."""
    known = truth[RECORDING]
    folder = found.root / "exports" / "aviary" / RECORDING
    rows: list[Row] = []
    for product, cameras in GRIDS.items():
        instants = columns(folder / f"{product}.instants.parquet")
        seen = _watch(folder / f"{product}.mp4", cameras)
        for camera in cameras:
            rows += check_cell(
                f"exports.{RECORDING}.{product}.{camera}", known["cameras"][camera], instants, camera, seen
            )
        if product != "full":
            rows.append(check_sound(f"exports.{RECORDING}.{product}", folder / f"{product}.mp4", seen[cameras[0]]))
    merged = _watch(folder / "merge.mp4", GRIDS["full"])
    rows.append(check_sound(f"exports.{RECORDING}.merge", folder / "merge.mp4", merged["cam0"]))
    rows += check_spectrogram(folder)
    rows.append(check_latency(folder / "latency.tsv"))
    rows += check_stills(folder / "frame", known["cameras"])
    rows += check_clips(folder / "clips", known["cameras"])
    rows.append(check_raw(folder / "audio" / "array.raw", found.root.parent / "recordings" / known["path"]))
    return rows + check_packed(folder / "audio", found.folder("media", RECORDING) / "array.wav")


def check_spectrogram(folder: Path) -> list[Row]:
    """The mosaic with its sound's strip: the same pictures and sound as the mosaic, and a beep at the playhead."""
    name = f"exports.{RECORDING}.spectrogram.top"
    cameras = GRIDS["mosaic.top"]
    seen = _watch(folder / "spectrogram.top.mp4", cameras, STRIP)
    mosaic = _watch(folder / "mosaic.top.mp4", cameras)
    wrong = len(seen["cam0"].numbers) != len(mosaic["cam0"].numbers) or max(
        int((seen[camera].numbers != mosaic[camera].numbers).sum()) for camera in cameras
    )
    return [
        Row(f"{name}.frames_wrong", int(wrong), "frames", 0),
        check_sound(name, folder / "spectrogram.top.mp4", seen["cam0"]),
    ]


def check_latency(table: Path) -> Row:
    """The latency of the array, which has none: how far 0 lies outside of what most events say."""
    with table.open(encoding="utf-8", newline="") as file:
        events = [(float(row["least_ms"]), float(row["most_ms"])) for row in csv.DictReader(file, delimiter="\t")]
    outside = [max(least, -most, 0.0) for least, most in events]
    # The beep of an event on the border of a frame may lie on either side, but for the accuracy of the sound.
    return Row(f"exports.{RECORDING}.latency.outside", max(outside, default=np.inf), "ms", 1.0)


def check_stills(folder: Path, cameras: dict[str, Any]) -> list[Row]:
    """Single pictures: the numbers that they show, and how far from their instants they were taken."""
    rows = []
    for camera, facts in cameras.items():
        table = columns(folder / camera / "frames.parquet")
        wanted = np.array(facts["numbers"])[table["source_frame"]]
        shown = [read_number(np.asarray(cv2.imread(str(folder / camera / name)))) for name in table["file"]]
        name = f"exports.{RECORDING}.frame.{camera}"
        late = np.abs(table["time_ns"] - table["instant_ns"]).max() * float(Fraction(facts["fps"])) / NS
        rows.append(Row(f"{name}.frames_wrong", int((np.array(shown) != wanted).sum()), "frames", 0))
        rows.append(Row(f"{name}.from_instant", float(late), "periods", 0.51))
    return rows


def check_clips(folder: Path, cameras: dict[str, Any]) -> list[Row]:
    """Clips, as a player shows them: exactly the frames whose stamps lie in the range."""
    rows = []
    for clip, (start_ns, stop_ns) in CLIPS.items():
        wrong = 0
        for camera, facts in cameras.items():
            inside = [start_ns <= stamp < stop_ns for stamp in facts["stamps_ns"]]
            wanted = np.array(facts["numbers"])[inside]
            seen = watch(folder / clip / f"{camera}.mp4", facts["width"], facts["height"])
            wrong += len(seen.numbers) != len(wanted) or int((seen.numbers != wanted).sum())
        rows.append(Row(f"exports.{RECORDING}.clips.{clip}.frames_wrong", wrong, "frames", 0))
    return rows


def check_raw(sound: Path, bag: Path) -> Row:
    """The raw sound against the payloads of the bag, one behind the other."""
    with AnyReader([bag]) as reader:
        wanted = [connection for connection in reader.connections if connection.topic == MICROPHONE_TOPIC]
        messages: list[Any] = [reader.deserialize(raw, kind.msgtype) for kind, _, raw in reader.messages(wanted)]
    payloads = [bytes(message.data) for message in messages]
    return Row(f"exports.{RECORDING}.audio.raw.wrong", float(sound.read_bytes() != b"".join(payloads)), "files", 0)


def check_packed(folder: Path, sound: Path) -> list[Row]:
    """Compressed sound, as ffmpeg decodes it, against the WAV."""
    rows = []
    for coding, name in (("flac", "array.flac"), ("wavpack", "array.wv")):
        packed, whole = hear_all(folder / f"array.{coding}" / name), hear_all(sound)
        wrong = int((packed != whole).sum()) if packed.shape == whole.shape else max(len(whole), 1)
        rows.append(Row(f"exports.{RECORDING}.audio.{coding}.samples_wrong", wrong, "samples", 0))
    return rows


def check_cell(
    name: str, facts: dict[str, Any], instants: dict[str, np.ndarray], camera: str, seen: dict[str, Seen]
) -> list[Row]:
    """The frames of one camera in a grid: which are shown, and when."""
    of_camera = instants["camera"] == camera
    frame, time_ns = instants["source_frame"][of_camera], instants["time_ns"][of_camera]
    numbers, stamps = np.array(facts["numbers"]), np.array(facts["stamps_ns"])
    shown = np.where(frame >= 0, numbers[frame], -1)
    # A damaged picture need not show its number.
    sound = ~np.isin(shown, facts["tainted"])
    if len(seen[camera].numbers) != len(shown):
        return [Row(f"{name}.frames_wrong", abs(len(seen[camera].numbers) - len(shown)), "frames", 0)]
    period_ns = float(np.median(np.diff(stamps)))
    offset = np.abs(stamps[frame] - time_ns)[frame >= 0].max()
    placed = np.abs(seen[camera].pts_ns - (time_ns - time_ns[0])).max()
    return [
        Row(f"{name}.frames_wrong", int(((seen[camera].numbers != shown) & sound).sum()), "frames", 0),
        Row(f"{name}.frames_unseen", len(set(numbers) - set(shown) - set(facts["tainted"])), "frames", 0),
        Row(f"{name}.from_instant", float(offset / period_ns), "periods", 0.51),
        Row(f"{name}.pts_error", float(placed / 1e3), "us", 1.0),
    ]


def check_sound(name: str, video: Path, seen: Seen) -> Row:
    """From each flash in the picture to the beep of the same file, on the worse side."""
    sides, rate_hz = hear_sides(video)
    flashes = seen.pts_ns[seen.flash_onsets()]
    worst = []
    for side in sides:
        beeps = np.rint(find_beeps(side, rate_hz) * (NS / rate_hz)).astype(np.int64)
        worst.append(np.abs(nearest_offset_ns(flashes, beeps)).max() if len(flashes) == len(beeps) > 0 else np.inf)
    return Row(f"{name}.flash_to_beep", float(max(worst) / 1e6), "ms", 1.0)


def _watch(video: Path, cameras: tuple[str, ...], below: int = 0) -> dict[str, Seen]:
    boxes = {}
    for index, camera in enumerate(cameras):
        width, height = CELL if camera == "cam0" else NARROW
        boxes[camera] = (index * CELL[0] + (CELL[0] - width) // 2, 0, width, height)
    return watch_cells(video, len(cameras) * CELL[0], CELL[1] + below, boxes)
