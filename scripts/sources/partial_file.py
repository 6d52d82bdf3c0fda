"""A file that was brought in part, and which state of the server's file the part is of."""

from pathlib import Path

import urllib3


def note(target: Path, answer: urllib3.BaseHTTPResponse) -> None:
    """Keep what the server calls the file that begins to come."""
    _mark_of(target).write_text(_mark(answer), encoding="utf-8")


def forget(target: Path) -> None:
    """The file is whole."""
    _mark_of(target).unlink(missing_ok=True)


def asking(target: Path, have: int) -> dict[str, str]:
    """Headers that ask for what is missing of the same file, or for all of another one. have: bytes of the part."""
    if not have:
        return {}
    mark = _noted(target)
    return {"Range": f"bytes={have}-"} | ({"If-Range": mark} if mark else {})


def is_of(answer: urllib3.BaseHTTPResponse, target: Path) -> bool:
    """Whether what comes is of the file that `target` has the beginning of, as far as the server says."""
    mark = _noted(target)
    return not mark or _mark(answer) in ("", mark)


def _noted(target: Path) -> str:
    return _mark_of(target).read_text(encoding="utf-8") if _mark_of(target).exists() else ""


def _mark_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.mark")


def _mark(answer: urllib3.BaseHTTPResponse) -> str:
    """What a server calls this state of a file; "" if it does not say."""
    tag = str(answer.headers.get("ETag", ""))
    return str(answer.headers.get("Last-Modified", "")) if not tag or tag.startswith("W/") else tag
