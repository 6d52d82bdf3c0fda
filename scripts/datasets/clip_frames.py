"""Pictures of one clip as jpg."""

from typing import Any

from scripts.common.annotation import ClipTask, sampled
from scripts.common.jpeg import encode_pixels


def frames_of(task: ClipTask) -> dict[str, Any]:
    """`fps` pictures a second of a clip, numbered from 0 by four digits."""
    endings = []
    settings = task.settings
    for number, picture in enumerate(sampled(task.url, settings["fps"], height=settings["height"])):
        ending = f"{task.name}.{number:04d}.jpg"
        task.file(ending).write_bytes(encode_pixels(picture, settings["quality"]))
        endings.append(ending)
    return {"values": {f"{task.name}_count": len(endings)}, "files": endings}
