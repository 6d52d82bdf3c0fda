"""Landmarks of every sound of a folder or zip, by an engine that somebody runs, here or elsewhere."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.inference_rows import ENGINE
from scripts.common.job import run
from scripts.models.checkpoint import identity_of, refuse_others
from scripts.models.each_sound import work_on_sounds
from scripts.models.requests_again import ask as ask_again
from scripts.models.requests_again import post
from scripts.models.sounds import Item
from scripts.models.speech_inference import Spoken
from scripts.models.spoken_files import from_json

# How long an engine that starts beside this job may take to be ready.
START_S = 180.0


def infer_from_engine(
    files: list[Path],
    engine: Path | None,
    card: Path | None,
    mean: Path | None,
    std: Path | None,
    out_folder: Path,
    out_ledger: Path,
    *,
    audio_dir: str,
    endpoint: str,
    settings: dict[str, Any],
    unusable: dict[str, str],
    renders: str,
) -> None:
    """Send each sound to `{endpoint}/infer` and write its answer as `infer_landmarks` does.

    engine: where an engine that is started for the run writes its URL, instead of `endpoint`.  renders: as of
    `infer_landmarks`.  card, mean, std: of the dataset that the engine's checkpoint must be of.  Raises RunError if an
    engine does not start, InputError if it is of another dataset.
    """
    address = (endpoint if engine is None else _started(engine)).rstrip("/")
    wanted = identity_of(card, mean, std)
    if wanted:
        refuse_others(_health(address, settings), wanted, f"the engine at {address}")
    url = f"{address}/infer"
    # Another engine could take its place while the sounds go there.
    asked = {"card_sha256": wanted["card_sha256"]} if wanted else {}

    def ask(item: Item, signal: np.ndarray, rate_hz: int) -> Spoken:
        answer = post(
            url,
            timeout_s=settings["timeout_s"],
            retries=settings["retries"],
            data=item.content,
            params=asked,
            headers={"content-type": "application/octet-stream"},
        )
        try:
            return from_json(json.loads(answer.content))
        except ValueError as error:
            raise InputError("bad_answer", f"the answer of {url} is no json") from error

    sounds = Path(audio_dir), files, out_folder, settings
    rows = work_on_sounds(ENGINE, *sounds, ask, unusable=unusable, renders=Path(renders))
    ledger.write(out_ledger, rows)


def _health(address: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What an engine says of itself."""
    url = f"{address}/health"
    answer = ask_again("GET", url, timeout_s=settings["timeout_s"], retries=settings["retries"])
    try:
        said = json.loads(answer.content)
    except ValueError as error:
        raise InputError("bad_answer", f"the answer of {url} is no json") from error
    return said if isinstance(said, dict) else {}


def _started(engine: Path) -> str:
    stop = time.monotonic() + START_S
    while time.monotonic() < stop:
        if engine.exists() and (url := engine.read_text(encoding="utf-8").strip()):
            return url
        time.sleep(0.1)
    raise RunError(f"the engine did not start within {START_S:g} s")


if __name__ == "__main__":
    run(infer_from_engine)
