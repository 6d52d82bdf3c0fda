"""What is kept of a sound's landmarks: .npy, json by parts of the face, its text, and a video to look at."""

import codecs
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import json_file
from scripts.common.errors import InputError
from scripts.models.face_pictures import write_faces_video
from scripts.models.landmark_layout import LAYOUT, PARTS
from scripts.models.speech_inference import Spoken


def as_json(spoken: Spoken, text: str = "") -> dict[str, Any]:
    """A result by parts of the face: per frame a list of [x, y] pixels from the nose tip."""
    parts = {name: np.round(spoken.pose[:, points].astype(np.float64), 3).tolist() for name, points in PARTS.items()}
    facts = {"fps": spoken.fps, "frames": len(spoken.pose), "layout": LAYOUT, "speech": spoken.speech}
    return {**facts, **parts, **({"text": text} if text else {})}


def from_json(content: Any) -> Spoken:
    """Read what `as_json` made. Raises InputError for anything else."""
    try:
        if content["layout"] != LAYOUT:
            raise InputError("checkpoint_differs", "the engine's landmarks are of another layout")
        pose = np.concatenate([np.array(content[name], np.float32) for name in PARTS], axis=1)
        speech = [(int(first), int(stop)) for first, stop in content["speech"]]
        if pose.shape != (int(content["frames"]), 68, 2) or not np.isfinite(pose).all():
            raise ValueError(f"landmarks {pose.shape}")
        return Spoken(pose, speech, str(Fraction(content["fps"])))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError("bad_answer", f"the engine's answer holds no landmarks: {error!r}") from error


def decoded(text: bytes) -> str:
    """A text by its byte order mark, as UTF-8, or else as Windows writes it in the west."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return text.decode("utf-16", errors="replace")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("cp1252", errors="replace")


def write_spoken(
    folder: Path, name: str, spoken: Spoken, text: bytes | None, *, sound: tuple[np.ndarray, int] | None = None
) -> dict[str, Any]:
    """Write `{name}.npy`, float32 (F, 68, 2), `{name}.json` and `{name}.txt`; with a sound `{name}.mp4`.

    text: the bytes of a text, which are kept as they are; the json holds them decoded.  Returns what the json holds.
    """
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    np.save(target.with_name(f"{target.name}.npy"), spoken.pose)
    content = as_json(spoken, decoded(text or b""))
    json_file.write(target.with_name(f"{target.name}.json"), content, indent=None)
    if text is not None:
        target.with_name(f"{target.name}.txt").write_bytes(text)
    if sound is not None:
        faces = {"landmarks": spoken.pose.transpose(0, 2, 1)}
        write_faces_video(target.with_name(f"{target.name}.mp4"), faces, *sound, Fraction(spoken.fps))
    return content
