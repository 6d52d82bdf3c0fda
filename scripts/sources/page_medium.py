"""The medium behind a page, brought by yt-dlp in a process of its own, this module as a program.

yt-dlp asks whatever a page names, so connections are checked where they are made, in that process alone. It reads a
JSON of `url`, `folder` and `settings` on standard input, and prints one of `path`, `subtitles` and `metadata`, or of
`reason`, `error`, `value` and `limit`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.common.errors import InputError, RunError
from scripts.common.ffmpeg_program import program
from scripts.sources.page_guards import guard_connections, guard_programs, limit_bytes, refuse_live
from scripts.sources.subtitle_file import read_subtitles

# What a page says of its medium, as columns `page_…`.
KEPT: tuple[str, ...] = (
    "title",
    "description",
    "uploader",
    "channel_id",
    "upload_date",
    "duration",
    "tags",
    "categories",
    "language",
)
KEPT += ("license", "view_count", "like_count", "age_limit", "extractor", "webpage_url")
# What a process whose time is over has left to end what it started.
GRACE_S = 3.0


class OutOfTimeError(BaseException):
    """The item's time is over. No Exception: yt-dlp would take it for a fault, and go on."""


def medium_behind(url: str, target: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Bring the medium behind a page to `target`; answers with its `subtitles` and `metadata`.

    Raises InputError where there is none, where it is too large or has no end, or takes longer than `item_s`.
    """
    folder = target.with_suffix(".page").absolute()
    root = Path(__file__).parents[2]
    try:
        question = json.dumps({"url": url, "folder": str(folder), "settings": with_own_cookies(settings, folder)})
        done = subprocess.run(
            [sys.executable, "-m", "scripts.sources.page_medium"],
            input=question,
            capture_output=True,
            text=True,
            timeout=settings["item_s"] + GRACE_S,
            check=False,
            cwd=root,
        )
        lines = done.stdout.splitlines()
        answer = json.loads(lines[-1]) if lines else {"error": (done.stderr.splitlines() or ["it crashed"])[-1][:200]}
        if "error" in answer:
            raise _refusal(answer)
        os.replace(answer["path"], target)
        return {name: answer[name] for name in ("subtitles", "metadata")}
    except subprocess.TimeoutExpired:
        raise _too_slow(settings) from None
    except ValueError:
        raise InputError("page", "yt-dlp gave no answer") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refusal(answer: dict[str, Any]) -> InputError:
    if "reason" in answer:
        return InputError(answer["reason"], answer["error"], value=answer["value"], limit=answer["limit"])
    return InputError("page", f"yt-dlp brings no whole medium from behind the page: {answer['error']}")


def _too_slow(settings: dict[str, Any]) -> InputError:
    return InputError("timeout", f"the page takes longer than {settings['item_s']:g} s")


def with_own_cookies(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`settings` with a copy of the cookies: yt-dlp writes what a site sets into the file that it is given.

    Raises RunError if the file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    given = settings["sites"]["cookies"]
    if not given:
        return settings
    try:
        copy = shutil.copyfile(given, folder / "cookies.txt")
    except OSError as error:
        raise RunError(f"fetch.sites.cookies: {given}: {error.strerror}") from error
    return settings | {"sites": settings["sites"] | {"cookies": str(copy)}}


def options_of(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """How yt-dlp is asked: the best picture of at most `height` lines, and the sound nearest to `rate_hz`."""
    sites = settings["sites"]
    order = [f"res:{sites['height']}"] if sites["height"] else []
    order += [f"asr:{sites['rate_hz']}"] if sites["rate_hz"] else []
    return {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "noplaylist": True,
        "playlist_items": "1",
        "cachedir": False,
        "format": "bv*+ba/b",
        "format_sort": order,
        "merge_output_format": "mp4",
        # No program brings it: see guard_programs.
        "hls_prefer_native": True,
        "external_downloader": {"default": "native"},
        "ffmpeg_location": program(),
        "outtmpl": {"default": str(folder / "medium.%(ext)s")},
        "match_filter": refuse_live,
        "progress_hooks": [limit_bytes(settings["max_bytes"])],
        "socket_timeout": settings["silence_s"],
        "retries": settings["attempts"] - 1,
        "fragment_retries": settings["attempts"] - 1,
        # Else a medium with holes passes for the whole one.
        "skip_unavailable_fragments": False,
        "writesubtitles": bool(sites["subtitles"]),
        "writeautomaticsub": bool(sites["subtitles"]),
        "subtitleslangs": sites["subtitles"],
        "subtitlesformat": "vtt/srt/best",
        "cookiefile": sites["cookies"] or None,
        "enable_file_urls": False,
    }


def extract(url: str, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Bring the medium of a page into `folder`. Answers with `error` where there is none."""
    # yt-dlp decrypts by it; without it, it takes Python, or ffmpeg.
    import Cryptodome  # noqa: F401
    import yt_dlp

    guard_programs()
    if not settings["allow_private_hosts"]:
        guard_connections()
    try:
        with yt_dlp.YoutubeDL(options_of(folder, settings)) as loader:
            found = loader.sanitize_info(loader.extract_info(url))
    except InputError as error:
        return _refused(error)
    except (yt_dlp.utils.YoutubeDLError, OSError) as error:
        return {"error": " ".join(str(error).replace("ERROR: ", "").split())[:300]}
    found = (found.get("entries") or [found])[0] or {}
    files = [path for path in sorted(folder.glob("medium.*")) if path.suffix not in (".vtt", ".srt", ".part", ".ytdl")]
    if not files:
        return {"error": "the page gave no medium"}
    metadata = {f"page_{name}": found[name] for name in KEPT if found.get(name) not in (None, "", [])}
    return {"path": str(files[0]), "subtitles": _subtitles(folder, settings["sites"]), "metadata": metadata}


def _refused(error: InputError) -> dict[str, Any]:
    return {"reason": error.reason, "error": error.message, "value": error.value, "limit": error.limit}


def _subtitles(folder: Path, sites: dict[str, Any]) -> list[list[Any]]:
    """Those of the first wanted language that the page has."""
    for language in sites["subtitles"]:
        for path in sorted(folder.glob(f"medium.{language}*")):
            if path.suffix in (".vtt", ".srt"):
                return read_subtitles(path.read_text(encoding="utf-8", errors="replace"))
    return []


def _out_of_time(*_: object) -> None:
    raise OutOfTimeError


def main() -> None:
    """Answer the question on standard input, within `item_s`, whether or not somebody still waits for it."""
    asked = json.load(sys.stdin)
    settings = asked["settings"]
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, settings["item_s"])
    try:
        answer = extract(asked["url"], Path(asked["folder"]), settings)
    except OutOfTimeError:
        answer = _refused(_too_slow(settings))
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()
