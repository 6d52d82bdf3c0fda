"""What holds in the process in which yt-dlp brings the medium behind a page: whom it asks, what it starts, how much."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.common.errors import InputError
from scripts.common.ffmpeg_program import program
from scripts.sources.safe_http import PrivateHostError, public_address

# It runs a site's script, and yt-dlp gives it no leave to connect.
SCRIPT_RUNNERS = {"deno"}


def guard_connections() -> None:
    """From here on this process connects to public hosts alone."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            try:
                public_address(str(address[0]), int(address[1]))
            except PrivateHostError as error:
                # What yt-dlp takes for a fault of the network, and passes on with its words.
                raise ConnectionRefusedError(str(error)) from None
        connect(self, address)

    socket.socket.connect = checked  # type: ignore[method-assign, assignment]


def guard_programs() -> None:
    """From here on this process starts no program that connects: ffmpeg is given files alone, and others not started.

    A program's connections, and what it brings, are nothing that this process could look at.
    """
    ffmpeg = Path(program()).resolve()

    def check(event: str, details: tuple[Any, ...]) -> None:
        if event != "subprocess.Popen":
            return
        executable, arguments = Path(str(details[0])), [str(argument) for argument in details[1]]
        # ffmpeg's own name of a file begins with its protocol, as yt-dlp writes it.
        files_alone = executable.resolve() == ffmpeg and not any("://" in argument for argument in arguments)
        if not files_alone and executable.name not in SCRIPT_RUNNERS:
            raise PermissionError(f"it takes a program that would connect by itself, unchecked: {executable.name}")

    sys.addaudithook(check)


def refuse_live(info: dict[str, Any], *, incomplete: bool) -> None:
    """Raise InputError for a stream that goes on: a filter of yt-dlp's."""
    if not incomplete and info.get("is_live"):
        raise InputError("live", "it is a live stream, which has no end")


def limit_bytes(limit: int) -> Callable[[dict[str, Any]], None]:
    """Raises InputError once all that comes of an item is more than `limit` bytes: a progress hook of yt-dlp's.

    yt-dlp's own `max_filesize` holds for each request, of which a playlist has one a segment.
    """
    sizes: dict[str, int] = {}

    def check(progress: dict[str, Any]) -> None:
        known = (progress.get("downloaded_bytes"), progress.get("total_bytes"))
        sizes[progress["filename"]] = max(size or 0 for size in known)
        total = sum(sizes.values())
        if total > limit:
            raise InputError("too_large", f"it does not end within {limit:,} bytes", value=total, limit=limit)

    return check
