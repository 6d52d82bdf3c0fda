"""A dataset of windows of the demo's drawn face, whose mouth follows its speech; made without any video."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rushes.synthetic.faces import move_face
from rushes.synthetic.sounds import Speech, make_noise
from scripts.common import sample_index, table_file
from scripts.common.face_shape import relative_to_nose
from scripts.common.statistics import Moments, merge_all

RATE_HZ, FPS, FRAMES = 16_000, 25, 64


def speak(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks float32 (F, 2, 68) px at 25 fps, and sound float32 (N,) at 16 kHz, of one recording."""
    count = round(seconds * FPS)
    time_s = (np.arange(count) + 0.5) / FPS
    speech = Speech.make(seconds, [], seed)
    sound = speech.sound(count * RATE_HZ // FPS, RATE_HZ) + make_noise(count * RATE_HZ // FPS, seed)
    points = move_face(time_s, speech.envelope(time_s), np.zeros(count, bool), seed)
    return points.transpose(0, 2, 1), sound.astype(np.float32)


def write_dataset(folder: Path, recordings: dict[str, str], *, seconds: float = 12.0, hop: int = 32) -> dict[str, Any]:
    """A dataset as the stage `datasets` writes it; recordings: name -> split. Returns the inputs of a training."""
    samples, stats = [], {}
    for seed, (name, split) in enumerate(recordings.items()):
        pose, sound = speak(seconds, 100 + seed)
        target = folder / "npz" / name
        target.mkdir(parents=True)
        moments = Moments.empty(136)
        for first in range(0, len(pose) - FRAMES + 1, hop):
            sample = f"{name}_{first:06d}"
            window = pose[first : first + FRAMES]
            part = sound[first * 640 : (first + FRAMES) * 640]
            np.savez(target / f"{sample}.npz", pose=window, audio=part[None])
            moments = moments.merge(Moments.of(relative_to_nose(window)))
            file = f"npz/{name}/{sample}.npz"
            samples.append(
                {"sample": sample, "recording": name, "start_ns": first * 40_000_000, "stop_ns": 0}
                | {"first_frame": first, "track": 0, "file": file, "subject": name, "split": split}
            )
        stats[name] = moments
    schema = sample_index.SCHEMA.append(pa.field("subject", pa.string())).append(pa.field("split", pa.string()))
    table_file.write(folder / "index.parquet", pa.Table.from_pylist(samples, schema=schema))
    (folder / "card.json").write_text(json.dumps({"dataset": "talking", "recordings": list(recordings)}) + "\n")
    train = merge_all((stats[name] for name, split in recordings.items() if split == "train"), 136)
    for name, values in (("lm_mean.npy", train.mean), ("lm_std.npy", train.std)):
        np.save(folder / name, values)
    return {
        "index": folder / "index.parquet",
        "card": folder / "card.json",
        "mean": folder / "lm_mean.npy",
        "std": folder / "lm_std.npy",
        "windows": [folder / "npz" / name for name in recordings],
    }
