"""Trainings of classifiers on small pictures that are drawn for them."""

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.models.train_clip_classifier import train_clip_classifier
from scripts.models.train_frame_classifier import train_frame_classifier
from scripts.planning.config import checked, schema

SIDE = 32
SPLITS = {"s0": "train", "s1": "train", "s2": "train", "s3": "train", "s4": "val", "s5": "test"}
FILES = {"checkpoints": "", "tf_logs": "", "metrics": ".json", "confusion": ".svg", "ledger": ".parquet"}


def write_frames(folder, *, moving, bouts=4, length=12):
    """Labelled frames of six subjects, `rest` twice as often as others.

    A dot of the class's place, or with `moving` one that goes right or left, so that no single frame tells.
    """
    rng = np.random.default_rng(0)
    rows = []
    folder.mkdir()
    for subject, split in SPLITS.items():
        wall = rng.integers(60, 160, 3)
        frame = 0
        for bout in range(bouts * 4):
            label = ("left", "rest", "right", "rest")[bout % 4] if not moving else ("left", "right", "left")[bout % 3]
            for number in range(length):
                picture = np.full((SIDE, SIDE, 3), wall, np.uint8)
                start = rng.integers(0, 3)
                x = {"left": 6, "rest": 16, "right": 26}[label] + start
                if moving:
                    place = 4 + 2 * number
                    x = place if label == "right" else SIDE - place
                cv2.circle(picture, (int(x), 16), 4, (240, 240, 240), -1)
                name = f"{subject}_{frame:05d}.png"
                cv2.imwrite(str(folder / name), picture)
                rows.append([name, label, split, subject, subject, frame])
                frame += 1
            frame += 1
    names = ["file", "label", "split", "subject", "recording", "frame"]
    pq.write_table(
        pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), folder / "index.parquet"
    )
    return folder / "index.parquet"


def train(kind, index, target, working, run="whole", accelerator="cpu", **changes):
    given = {"kind": f"{kind}_classifier", "dataset": "d", "size": SIDE, "batch": 16, **changes}
    settings = checked(given, schema(f"models.{kind}_classifier"), "models.m")
    target.mkdir(parents=True)
    function = {"frame": train_frame_classifier, "clip": train_clip_classifier}[kind]
    function(
        index,
        **{f"out_{name}": target / f"{name}{ending}" for name, ending in FILES.items()},
        model="m",
        split_by=run,
        settings=settings,
        of_weights={name: value for name, value in settings.items() if name != "epochs"},
        working=str(working),
        accelerator=accelerator,
    )
    return json.loads((target / "metrics.json").read_text())
