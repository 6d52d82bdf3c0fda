"""Weight files, verified before anybody uses them.

A folder that the config names is asked first, so that a machine without a network has them, too. What is not
the file that config/models.yaml describes is never kept.
"""

import logging
import os
import shutil
from pathlib import Path

from scripts.common import atomic
from scripts.common.checksum import sha256_of
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.sources.download import DownloadError, download

# Fewer digits of a published sha256 would prove nothing.
MIN_DIGITS = 10
# Beside the output; temporary files of jobs (.part.…) would be removed before the next attempt.
UNFINISHED = ".download."

log = logging.getLogger("rushes")


def find_weights(folder: Path, name: str) -> Path | None:
    """The file called `name` in `folder`, else the first one below it; None if there is none."""
    if (folder / name).is_file():
        return folder / name
    below = (Path(parent) / name for parent, _, files in os.walk(folder) if name in files)
    return min(below, default=None)


def fetch_model(out_weights: Path, *, name: str, url: str, sha256: str, models_dir: str) -> None:
    """Bring the weight file `name` from the folder `models_dir` ("": none), or from `url` if it is not there.

    sha256: of the file, or the beginning of it, at least MIN_DIGITS digits.
    """
    expected = sha256.lower()
    if len(expected) < MIN_DIGITS:
        raise RunError(f"the sha256 of {name} has {len(expected)} digits ({sha256}); give {MIN_DIGITS} or more")
    folder = Path(models_dir).expanduser()
    if models_dir and not folder.is_dir():
        raise RunError(f"models_dir: {models_dir} is no folder")
    given = find_weights(folder, name) if models_dir else None
    if given is None:
        _download(url, out_weights, name, expected, models_dir)
        return
    shutil.copyfile(given, out_weights)
    digest = sha256_of(out_weights)
    if not digest.startswith(expected):
        atomic.remove(out_weights)
        raise RunError(f"{given} is not {name}: its sha256 is {digest}, expected {expected}; remove or replace it")
    log.info("%s from %s, sha256 %s", name, given, digest)


def _download(url: str, out_weights: Path, name: str, expected: str, models_dir: str) -> None:
    unfinished = out_weights.with_name(f"{UNFINISHED}{name}")
    try:
        digest = _fetch(url, unfinished, expected)
    except DownloadError as error:
        if unfinished.exists() and unfinished.stat().st_size == 0:
            atomic.remove(unfinished)
        by_hand = f"{models_dir} (models_dir)" if models_dir else "the folder that models_dir names"
        raise RunError(
            f"{name} cannot be fetched from {url}: {error}. The same command tries again; "
            f"or put the file by hand into {by_hand} or {out_weights.parent}"
        ) from None
    if not digest.startswith(expected):
        page = "; it is a web page: an error or a log-in" if _is_web_page(unfinished) else ""
        atomic.remove(unfinished)
        atomic.remove(out_weights)
        raise RunError(f"{name} from {url} has the sha256 {digest}, expected {expected}{page}; nothing is kept")
    os.replace(unfinished, out_weights)
    log.info("%s from %s, sha256 %s", name, url, digest)


def _fetch(url: str, unfinished: Path, expected: str) -> str:
    """Complete an unfinished download; returns its sha256, whatever that is."""
    if unfinished.exists() and (digest := sha256_of(unfinished)).startswith(expected):
        return digest
    in_one_piece = download(url, unfinished)
    digest = sha256_of(unfinished)
    if not digest.startswith(expected) and not in_one_piece:
        # The pieces may come from two different files.
        log.info("the pieces do not fit together (sha256 %s): once more from the start", digest)
        atomic.remove(unfinished)
        download(url, unfinished)
        digest = sha256_of(unfinished)
    return digest


def _is_web_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(512).lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


if __name__ == "__main__":
    run(fetch_model)
