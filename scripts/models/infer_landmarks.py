"""Landmarks of every sound of a folder or zip, by a checkpoint of `train_speech_landmarks`."""

from pathlib import Path
from typing import Any

from scripts.common import ledger
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.models.checkpoint import identity_of
from scripts.models.each_sound import work_on_sounds
from scripts.models.speech_inference import Speaker


def infer_landmarks(
    files: list[Path],
    checkpoint: Path | None,
    face: Path | None,
    card: Path | None,
    mean: Path | None,
    std: Path | None,
    out_folder: Path,
    out_ledger: Path,
    *,
    audio_dir: str,
    settings: dict[str, Any],
    unusable: dict[str, str],
    renders: str,
    accelerator: str = "cpu",
    threads: int = 1,
) -> None:
    """Write npy, json and text of each sound, and what else `settings` asks for; see docs/models.md.

    files: sounds and texts below `audio_dir`, or the zip.  unusable: sounds that Snakemake cannot name, and why.
    renders: folder of what a render service has answered while it has not for all.  card, mean, std: of the dataset
    that the checkpoint must be of.  Raises InputError for a checkpoint that is refused, and for a zip with names that
    lead out of it.
    """
    if checkpoint is None:
        raise RunError("which sounds? Say it by: snakemake infer --cores 1 --config audio_dir=PATH checkpoint=PATH")
    speaker = Speaker(
        checkpoint,
        hop=settings["hop"],
        speech=settings["speech"],
        accelerator=accelerator,
        threads=threads,
        face=face,
        wanted=identity_of(card, mean, std),
    )
    rows = work_on_sounds(
        "infer_landmarks",
        Path(audio_dir),
        files,
        out_folder,
        settings,
        lambda item, signal, rate_hz: speaker.speak(signal, rate_hz),
        unusable=unusable,
        renders=Path(renders),
    )
    ledger.write(out_ledger, rows)


if __name__ == "__main__":
    run(infer_landmarks)
