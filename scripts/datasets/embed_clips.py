"""Embeddings of clips by a user's onnx model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.annotation import ClipTask, Lot, annotate_batches
from scripts.common.job import run
from scripts.datasets.picture_model import PictureModel


def embed_clips(
    media: Path,
    cut: Path,
    clips: Path,
    models: list[Path],
    out_files: Path,
    out_values: Path,
    out_ledger: Path,
    *,
    dataset: str,
    annotation: str,
    settings: dict[str, Any],
    working: str,
    threads: int,
) -> None:
    """The mean embedding of the pictures of every clip, float32 (D,), as npy or as a column."""
    model = PictureModel(models[0], settings, threads=threads)

    def embed(tasks: Sequence[ClipTask]) -> list[dict[str, Any]]:
        return [
            _answer(task, found.reshape(len(found), -1).mean(axis=0).astype(np.float32))
            for task, found in zip(tasks, model(tasks), strict=True)
        ]

    files = (media, cut, clips, out_files, out_values, out_ledger)
    lot = Lot(*files, "embed_clips", dataset, annotation, settings, working, tuple(models))
    annotate_batches(lot, embed, settings["batch"])


def _answer(task: ClipTask, vector: np.ndarray) -> dict[str, Any]:
    if task.settings["into"] == "column":
        return {"values": {task.name: [float(value) for value in vector]}, "files": []}
    np.save(task.file(f"{task.name}.npy"), vector, allow_pickle=False)
    return {"values": {}, "files": [f"{task.name}.npy"]}


if __name__ == "__main__":
    run(embed_clips)
