"""Transcripts of clips by faster-whisper, from a model in a folder; nothing is downloaded."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from scripts.common.annotation import ClipTask, Lot, annotate_batches
from scripts.common.errors import InputError, RunError
from scripts.common.job import run
from scripts.common.video_item import read_sound
from scripts.datasets.clip_writer import sound_of_clip

RATE_HZ = 16_000


def load(folder: Path, compute: str, threads: int) -> WhisperModel:
    """The model in a folder. Raises RunError if it is none."""
    try:
        return WhisperModel(
            str(folder),
            device="cpu",
            compute_type=compute,
            cpu_threads=threads,
            local_files_only=True,
        )
    # CTranslate2 and tokenizers raise plain RuntimeError, ValueError and Exception.
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise RunError(
            f"{folder} is no Whisper model in CTranslate2's form ({said}); a folder with model.bin, "
            "config.json and tokenizer.json is wanted, e.g. Systran/faster-whisper-small"
        ) from error


def sound_of(task: ClipTask) -> np.ndarray:
    """The sound of a clip, float32 (N,), mono at 16 kHz. Raises InputError if it has none."""
    found = read_sound(task.url, Fraction(0))
    if found is None:
        raise InputError("no_sound", "it has no sound that can be decoded")
    samples, rate_hz = found
    seconds = samples.shape[1] / rate_hz
    sound, _ = sound_of_clip(samples, rate_hz, 0, seconds, out_rate_hz=RATE_HZ, out_channels=1)
    return sound[0]


def transcribe_clips(
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
    """The words of every clip with their times, in columns."""
    model = load(models[0], settings["compute"], threads)

    def transcribe(tasks: Sequence[ClipTask]) -> list[dict[str, Any]]:
        return [{"values": _words(model, task), "files": []} for task in tasks]

    files = (media, cut, clips, out_files, out_values, out_ledger)
    annotate_batches(
        Lot(*files, "transcribe_clips", dataset, annotation, settings, working, tuple(models)), transcribe, 1
    )


def _words(model: WhisperModel, task: ClipTask) -> dict[str, Any]:
    settings = task.settings
    # Temperature 0 alone: what is sampled would differ from run to run.
    found, about = model.transcribe(
        sound_of(task),
        language=settings["language"] or None,
        beam_size=settings["beam"],
        temperature=0.0,
        max_new_tokens=settings["most_tokens"] or None,
    )
    segments = [[round(part.start, 3), round(part.end, 3), part.text.strip()] for part in found]
    text = " ".join(segment[2] for segment in segments)
    return {task.name: text, f"{task.name}_language": about.language, f"{task.name}_segments": segments}


if __name__ == "__main__":
    run(transcribe_clips)
