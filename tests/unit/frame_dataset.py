"""Recordings with numbered pictures and labels, and the datasets of labelled frames that are made of them."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rushes.synthetic.bars import read_number
from scripts.common import frame_index, jpeg, label_intervals, ledger
from scripts.common.label_intervals import LabelInterval
from scripts.common.tar_file import TarWriter, read_part
from scripts.datasets.arrange_frames import arrange_frames
from scripts.datasets.extract_labelled_frames import extract_labelled_frames
from scripts.datasets.index_frames import index_frames
from scripts.datasets.perceptual_hash import perceptual_hash
from scripts.datasets.split_frames import split_frames
from scripts.datasets.write_frames import write_frames
from scripts.planning.config import schema, with_defaults
from scripts.planning.frame_groups import known_splits
from tests.unit.made_media import Imported, Pictures, run_import, write_media

NS = 1_000_000_000


def settings(**changes: Any) -> dict[str, Any]:
    """A dataset's settings with the schema's defaults."""
    entry = {"kind": "frames", "rig": "theatre", "overlaps": "first", "size": 0, "format": "png", **changes}
    return copy.deepcopy(with_defaults(entry, schema("datasets.frames")))


def interval(label: str, start_s: float, stop_s: float, line: int = 1, **fields: Any) -> LabelInterval:
    """A labelled interval of the recording `take`."""
    whole = {"recording": "take", "subject": "ann", "camera": "", "tier": "", **fields}
    return LabelInterval(
        **whole, label=label, start_ns=round(start_s * NS), stop_ns=round(stop_s * NS), source_line=line
    )


def recorded(folder: Path, count: int = 60, fps: int = 10, **options: Any) -> Imported:
    """An imported video whose every picture carries its number, `fps` a second, a keyframe every ten pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    video = write_media(folder / "take.mp4", Pictures([Fraction(k, fps) for k in range(count)], **options))
    return run_import(folder / "media", video, microphones={})


@dataclass
class Extracted:
    """What was extracted."""

    tar: Path
    index: Path
    rows: list[dict[str, Any]]
    ledger: list[ledger.Row]

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """Frames by outcome and reason."""
        found: dict[tuple[str, str], int] = {}
        for row in self.ledger:
            key = (row.outcome, row.reason)
            found[key] = found.get(key, 0) + round(row.value or 0)
        return found

    def picture(self, row: dict[str, Any]) -> np.ndarray:
        """The pixels of a row, uint8 (H, W, 3), blue first."""
        payload = np.frombuffer(read_part(self.tar, row["offset"], row["size"]), np.uint8)
        return cv2.imdecode(payload, cv2.IMREAD_COLOR)

    def renamed(self, recording: str) -> list[Path]:
        """Tar, index and ledger under the names of a recording's part."""
        files = [self.tar, self.index, self.tar.with_name("take.c1.ledger.parquet")]
        return [path.rename(path.with_name(path.name.replace("take.", f"{recording}.", 1))) for path in files]

    def numbers(self) -> list[int | None]:
        """The number that each picture carries."""
        return [read_number(cv2.cvtColor(self.picture(row), cv2.COLOR_BGR2GRAY)) for row in self.rows]


def extract(
    folder: Path,
    video: Path,
    frames: Path,
    manifest: Path,
    intervals: Sequence[LabelInterval],
    excluded: Sequence[Sequence[Any]] = (),
    fields: dict[str, str] | None = None,
    **changes: Any,
) -> Extracted:
    """Extract the labelled frames of a camera."""
    folder.mkdir(parents=True, exist_ok=True)
    label_intervals.write(folder / "take.labels.parquet", intervals)
    outs = [folder / name for name in ("take.c1.tar", "take.c1.pictures.parquet", "take.c1.ledger.parquet")]
    names = {"recording": "take", "subject": "ann", "session": "take", "camera": "c1", **(fields or {})}
    extract_labelled_frames(
        video,
        frames,
        folder / "take.labels.parquet",
        manifest,
        *outs,
        recording=names["recording"],
        camera="c1",
        fields=names,
        settings=settings(**changes),
        excluded=[list(stretch) for stretch in excluded],
    )
    return Extracted(outs[0], outs[1], list(frame_index.rows(outs[1])), ledger.rows(ledger.read([outs[2]])))


def of_import(folder: Path, made: Imported, intervals: Sequence[LabelInterval], **changes: Any) -> Extracted:
    """Extract the labelled frames of an imported video."""
    table = made.folder / "front.frames.parquet"
    return extract(folder, made.video(), table, made.folder / "manifest.json", intervals, **changes)


def part(
    folder: Path,
    recording: str,
    labels: Sequence[str],
    *,
    subject: str = "",
    bout: int = 5,
    quality: Callable[[int], int] = lambda frame: 90,
) -> list[Path]:
    """Pictures, index and ledger of a part: a frame a label, intervals of `bout` frames. Small jpgs, each its own.

    quality: of each frame's jpg.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tar, index, rows = (folder / f"{recording}.c1.{what}" for what in ("tar", "pictures.parquet", "ledger.parquet"))
    seed = int.from_bytes(recording.encode()[-4:], "big")
    with TarWriter(tar) as out, frame_index.IndexWriter(index) as writer:
        for frame, label in enumerate(labels):
            noise = np.random.default_rng([seed, frame]).integers(0, 256, (8, 8)).astype(np.uint8)
            rgb = np.repeat(cv2.resize(noise, (16, 16), interpolation=cv2.INTER_CUBIC)[..., None], 3, axis=2)
            name = f"{recording}_c1_{frame:06d}"
            member = out.add(f"{name}.jpg", jpeg.encode_pixels(rgb, quality(frame)))
            start = frame // bout * bout
            writer.add(
                {
                    "name": name,
                    "recording": recording,
                    "subject": subject or recording,
                    "camera": "c1",
                    "label": label,
                    "labels": [label],
                    "frame": frame,
                    "place": frame - start,
                    "time_ns": frame * NS // 10,
                    "interval": frame // bout,
                    "start_ns": start * NS // 10,
                    "stop_ns": (start + bout) * NS // 10,
                    "ending": "jpg",
                    "offset": member.offset,
                    "size": member.size,
                    "sha256": member.sha256,
                    "phash": perceptual_hash(rgb[..., 0]),
                }
            )
    step = "extract_labelled_frames"
    ledger.write(rows, [ledger.Row(step, recording, "c1/interval 0", "written", value=float(len(labels)))])
    return [tar, index, rows]


@dataclass
class Whole:
    """A dataset of parts, below its folder. classes: what `split_frames` found out."""

    folder: Path
    parts: dict[str, list[Path]]
    classes: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The index."""
        return list(frame_index.rows(self.folder / "index.parquet"))

    @property
    def card(self) -> dict[str, Any]:
        """The card."""
        found: dict[str, Any] = json.loads((self.folder / "card.json").read_text())
        return found

    def arrange(self, layout: str) -> Path:
        """The pictures as files."""
        tars = [files[0] for files in self.parts.values()]
        arrange_frames(
            self.folder / "index.parquet",
            tars,
            self.folder / "splits.tsv",
            self.folder / "classes.json",
            self.folder / layout,
            layout=layout,
        )
        return self.folder / layout

    def shards(self, shape: str, rows: int = 4) -> list[Path]:
        """The shards of all parts."""
        for recording, (tar, index, _) in self.parts.items():
            out = self.folder / shape / f"{recording}.c1"
            if out.exists():
                break
            out.parent.mkdir(exist_ok=True)
            splits, classes = self.folder / "splits.tsv", self.folder / "classes.json"
            manifest = out.with_name(f"{out.name}.shards.json")
            paths = (index, tar, splits, classes, out, manifest)
            write_frames(*paths, recording=recording, camera="c1", shape=shape, rows=rows)
        return sorted(path for path in (self.folder / shape).glob("*/*") if path.is_file())

    def shards_of(self, shape: str, split: str) -> list[Path]:
        """The shards of one split."""
        return [path for path in self.shards(shape) if path.name.startswith(f"{split}-")]


def dataset(
    folder: Path,
    labels: dict[str, Sequence[str]],
    *,
    subjects: dict[str, str] | None = None,
    fixed: dict[str, str] | None = None,
    split: dict[str, Any] | None = None,
    bout: int = 5,
    **changes: Any,
) -> Whole:
    """A dataset of parts, split and indexed. labels: recording -> label of each frame."""
    groups = {name: (subjects or {}).get(name, name) for name in labels}
    made = {name: part(folder / "pictures", name, own, subject=groups[name], bout=bout) for name, own in labels.items()}
    return gathered(folder, made, groups, fixed=fixed, split=split, **changes)


def gathered(
    folder: Path,
    made: dict[str, list[Path]],
    groups: dict[str, str],
    *,
    fixed: dict[str, str] | None = None,
    split: dict[str, Any] | None = None,
    **changes: Any,
) -> Whole:
    """A dataset of parts that stand in `pictures/`, split and indexed."""
    entry = settings(split=with_defaults(split or {}, schema("datasets.frames")["properties"]["split"]), **changes)
    known = known_splits(entry["split"], groups, fixed or {}, "split")
    split_frames(
        [files[1] for files in made.values()],
        folder / "splits.tsv",
        folder / "classes.json",
        dataset="acts",
        groups=groups,
        known=known,
        fixed=fixed or {},
        classes=entry["classes"],
        cap=entry["cap"],
        split=entry["split"],
    )
    index_frames(
        [files[1] for files in made.values()],
        [files[2] for files in made.values()],
        [files[0] for files in made.values()],
        folder / "splits.tsv",
        folder / "classes.json",
        folder / "index.parquet",
        folder / "card.json",
        folder / "ledger.parquet",
        dataset="acts",
        parts=[[name, "c1"] for name in made],
        settings=entry,
    )
    return Whole(folder, made, json.loads((folder / "classes.json").read_text()))
