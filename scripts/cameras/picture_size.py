"""How large the pictures of a video are, as they are looked at: upright."""

from pathlib import Path

import av

from scripts.common.video import VideoReader, upright


def picture_size(video: Path) -> tuple[int, int] | None:
    """Width and height of the first picture that decodes; None if there is none, as of an import that failed."""
    try:
        with VideoReader(video) as reader:
            picture = next(iter(reader), None)
            if picture is None:
                return None
            shown = upright(picture)
            return shown.width, shown.height
    except av.error.FFmpegError:
        return None
