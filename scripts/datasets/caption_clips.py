"""Captions of clips by a user's onnx model, which answers with numbers of words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.common.annotation import ClipTask, Lot, annotate_batches
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.datasets.picture_model import PictureModel


def read_vocabulary(path: Path) -> list[str]:
    """A token a line, token 0 first. Raises RunError if it is not there."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RunError(f"vocabulary {path}: {error.strerror}; a text file with a token a line is wanted") from error


def text_of(tokens: Sequence[int], vocabulary: Sequence[str], stop: int) -> str:
    """Tokens up to `stop` as text: "##" joins a piece to the word before (WordPiece), "▁" begins a word."""
    pieces = []
    for token in tokens:
        if token == stop:
            break
        if 0 <= token < len(vocabulary):
            pieces.append(vocabulary[token])
    if any(piece.startswith("▁") for piece in pieces):
        return "".join(pieces).replace("▁", " ").strip()
    return " ".join(pieces).replace(" ##", "").strip()


def caption_clips(
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
    """A caption of every clip, from the first of its pictures that the model looks at, in a column."""
    model = PictureModel(models[0], settings, threads=threads)
    vocabulary = read_vocabulary(models[1])

    def caption(tasks: Sequence[ClipTask]) -> list[dict[str, Any]]:
        found = (output[0].reshape(-1).astype(int).tolist() for output in model(tasks))
        return [{"values": {annotation: text_of(row, vocabulary, settings["stop"])}, "files": []} for row in found]

    files = (media, cut, clips, out_files, out_values, out_ledger)
    lot = Lot(*files, "caption_clips", dataset, annotation, settings, working, tuple(models))
    annotate_batches(lot, caption, settings["batch"])


if __name__ == "__main__":
    run(caption_clips)
