"""Every sound of a folder or zip through a function, with a row of the ledger each; one that fails stops no other.

Texts that belong to no sound are kept beside the results.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import ledger
from scripts.common.cut_short import said_of
from scripts.common.errors import InputError
from scripts.common.inference_rows import RENDER
from scripts.common.job import progress
from scripts.models.kept_renders import KeptRenders
from scripts.models.result_names import ResultNames
from scripts.models.sounds import OTHER_FORMAT, Item, Text, items_of, read_sound
from scripts.models.speech_inference import Spoken
from scripts.models.spoken_files import write_spoken

log = logging.getLogger("rushes")

RENDERED = ".render.mp4"

# The bytes of a sound, its samples and their rate to landmarks.
Speak = Callable[[Item, np.ndarray, int], Spoken]


def work_on_sounds(
    step: str,
    audio_dir: Path,
    files: list[Path],
    folder: Path,
    settings: dict[str, Any],
    speak: Speak,
    *,
    unusable: Mapping[str, str],
    renders: Path,
) -> list[ledger.Row]:
    """Write the results of every sound into `folder`, and post them to the render service where one is named.

    settings: debug, request_render, timeout_s, retries, max_s.  unusable: sounds that Snakemake cannot name, and why.
    renders: where answers of the render service stay until it has answered for all.  Raises InputError for a zip that
    is refused as a whole.
    """
    folder.mkdir()
    kept = KeptRenders(renders, settings)
    rows = [_failed(step, name, InputError("bad_name", message)) for name, message in unusable.items()]
    names = ResultNames(folder, endings_of(settings))
    for done, (name, item) in enumerate(items_of(audio_dir, files)):
        progress(done, what="sounds")
        try:
            if isinstance(item, InputError):
                raise item
            if isinstance(item, Text):
                _keep(name, item, names, folder)
                continue
            content = _one(item, names, folder, settings, speak)
        except InputError as error:
            other = error.reason == OTHER_FORMAT
            rows.append((_filtered if other else _failed)(step, name, error))
            continue
        rows.append(_written(step, name, item))
        if settings["request_render"]:
            rows.append(_render(name, folder / str(content["name"]), content, kept))
    if not any(row.step == RENDER and row.outcome == "failed" for row in rows):
        kept.forget()
    others = [row for row in rows if row.outcome == "filtered"]
    if len(others) == len(rows):
        said = f": {others[0].message}" if others else ""
        raise InputError("no_sound", f"{audio_dir.name} holds no sound{said}")
    if others:
        log.warning("%d of another form left out: %s", len(others), others[0].message)
    return rows


def _one(item: Item, names: ResultNames, folder: Path, settings: dict[str, Any], speak: Speak) -> dict[str, Any]:
    names.claim(item.name)
    signal, rate_hz = read_sound(item.content, item.name, max_s=settings["max_s"])
    spoken = speak(item, signal, rate_hz)
    shown = (signal, rate_hz) if settings["debug"] else None
    return {"name": item.name, **write_spoken(folder, item.name, spoken, item.text, sound=shown)}


def _keep(name: str, text: Text, names: ResultNames, folder: Path) -> None:
    """Write a text of no sound below its own name."""
    names.claim(name, endings=[""])
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.content)


def endings_of(settings: dict[str, Any]) -> list[str]:
    """What the names of a sound's results end with."""
    videos = [".mp4"] * settings["debug"] + [RENDERED] * bool(settings["request_render"])
    return [".npy", ".json", ".txt", *videos]


def _render(name: str, target: Path, content: dict[str, Any], renders: KeptRenders) -> ledger.Row:
    """Post a result; a video that comes back is written beside it."""
    try:
        video = renders.video_of(content)
    except InputError as error:
        return _failed(RENDER, name, error)
    if video:
        target.with_name(f"{target.name}{RENDERED}").write_bytes(video)
    return ledger.Row(RENDER, "", name, "written")


def _written(step: str, name: str, item: Item) -> ledger.Row:
    said = said_of(name, item.content, len(item.content))
    if said:
        log.warning("%s", said)
    return ledger.Row(step, "", name, "written", message=said)


def _filtered(step: str, name: str, error: InputError) -> ledger.Row:
    return ledger.Row(step, "", name, "filtered", error.reason, message=error.message)


def _failed(step: str, name: str, error: InputError) -> ledger.Row:
    log.warning("%s: %s", name, error.message)
    return ledger.Row(step, "", name, "failed", error.reason, error.value, error.limit, error.message)
