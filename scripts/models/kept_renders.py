"""What a render service has sent back, kept until every result is rendered: the next run asks for the rest alone."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from scripts.common import atomic, json_file
from scripts.models.requests_again import post

VIDEO = "video/mp4"


class KeptRenders:
    """Answers by what was asked for. folder: outlives a run in which one request failed."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """settings: request_render, timeout_s, retries."""
        self._folder, self._settings = folder, settings

    def video_of(self, content: dict[str, Any]) -> bytes:
        """The video of a result, empty if the service sends none. Raises InputError where it does not answer well."""
        url = self._settings["request_render"]
        asked = json_file.text({"url": url, "json": content}, indent=None)
        kept = self._folder / hashlib.sha256(asked.encode()).hexdigest()
        if kept.exists():
            return kept.read_bytes()
        answer = post(url, timeout_s=self._settings["timeout_s"], retries=self._settings["retries"], json=content)
        video = answer.content if answer.kind.startswith(VIDEO) else b""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = atomic.part_path(kept)
        part.write_bytes(video)
        atomic.publish(part, kept)
        return video

    def forget(self) -> None:
        """Let the next run ask for everything."""
        shutil.rmtree(self._folder, ignore_errors=True)
