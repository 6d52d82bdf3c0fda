"""Sounds as the job infers landmarks of them."""

import zipfile
from typing import Any

from scripts.common import ledger
from scripts.models.infer_landmarks import infer_landmarks
from scripts.planning.config import checked, schema


def settings_of(**changes: Any) -> dict[str, Any]:
    return checked(changes, schema("config")["properties"]["inference"], "inference")


def infer(root, files, checkpoint, *, audio_dir=None, face=None, dataset=None, unusable=None, renders=None, **changes):
    """Results of `files` in `root`/landmarks, and the rows of the ledger."""
    inputs = dataset or {"card": None, "mean": None, "std": None}
    infer_landmarks(
        files,
        checkpoint,
        face,
        inputs["card"],
        inputs["mean"],
        inputs["std"],
        root / "landmarks",
        root / "ledger.parquet",
        audio_dir=str(audio_dir or root / "sounds"),
        settings=settings_of(**changes),
        unusable=unusable or {},
        renders=str(renders or root / "renders"),
    )
    return root / "landmarks", ledger.rows(ledger.read([root / "ledger.parquet"]))


def zip_of(path, **entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path
