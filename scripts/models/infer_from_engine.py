"""Landmarks of every sound of a folder or zip, by an engine that somebody runs, here or elsewhere."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.job import run
from scripts.models.each_sound import work_on_sounds
from scripts.models.requests_again import post
from scripts.models.sounds import Item
from scripts.models.speech_inference import Spoken
from scripts.models.spoken_files import from_json

# How long an engine that starts beside this job may take to be ready.
START_S = 180.0


def infer_from_engine(
    files: list[Path],
    engine: Path | None,
    out_folder: Path,
    out_ledger: Path,
    *,
    audio_dir: str,
    endpoint: str,
    settings: dict[str, Any],
) -> None:
    """Send each sound to `{endpoint}/infer` and write its answer as `infer_landmarks` does.

    engine: where an engine that is started for the run writes its URL, instead of `endpoint`.
    Raises RunError if that does not start.
    """
    url = (endpoint if engine is None else _started(engine)).rstrip("/") + "/infer"

    def ask(item: Item, signal: np.ndarray, rate_hz: int) -> Spoken:
        answer = post(
            url,
            timeout_s=settings["timeout_s"],
            retries=settings["retries"],
            data=item.content,
            headers={"content-type": "application/octet-stream"},
        )
        try:
            return from_json(json.loads(answer.content))
        except ValueError as error:
            raise InputError("bad_answer", f"the answer of {url} is no json") from error

    rows = work_on_sounds("infer_from_engine", Path(audio_dir), files, out_folder, settings, ask)
    ledger.write(out_ledger, rows)


def _started(engine: Path) -> str:
    stop = time.monotonic() + START_S
    while time.monotonic() < stop:
        if engine.exists() and (url := engine.read_text().strip()):
            return url
        time.sleep(0.1)
    raise RunError(f"the engine did not start within {START_S:g} s")


if __name__ == "__main__":
    run(infer_from_engine)
