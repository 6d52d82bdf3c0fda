"""Label Studio, CVAT, VIA and ActivityNet: JSON and XML of tools in the browser."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from scripts.common.errors import InputError
from scripts.labels.marks import Mark, json_of, runs
from scripts.labels.tiers import no_entities


def read_label_studio(path: Path) -> list[Mark]:
    """Timeline labels in frames, which the tool counts from 1, last one included; labels of sounds in seconds."""
    content = json_of(path)
    tasks = content if isinstance(content, list) else [content]
    marks: list[Mark] = []
    for line, task in enumerate(tasks, 1):
        if not isinstance(task, dict):
            raise InputError("labels", f"{path.name}: entry {line} is no task")
        results = [result for one in task.get("annotations", []) for result in one.get("result", [])]
        values = [result.get("value", {}) | {"tier": result.get("from_name", "")} for result in results]
        for tier, value in task.items():
            # JSON-MIN has the regions under the names of their controls.
            if tier != "annotations" and isinstance(value, list):
                values += [region | {"tier": tier} for region in value if isinstance(region, dict)]
        for value in values:
            marks += _regions(value, line)
    return marks


def _regions(value: dict[str, Any], line: int) -> Iterator[Mark]:
    tier = str(value["tier"])
    for label in value.get("timelinelabels", []):
        for span in value.get("ranges", []):
            yield Mark(label, Fraction(span["start"]) - 1, Fraction(span["end"]), line, "frames", tier=tier)
    if "start" in value and "end" in value:
        for label in value.get("labels", []):
            times = (Fraction(str(value["start"])), Fraction(str(value["end"])))
            yield Mark(label, *times, line, tier=tier)


def read_cvat(path: Path) -> list[Mark]:
    """Tags of frames (for images), which CVAT counts from 0, as runs; tracks (for video) while they are not outside."""
    no_entities(path)
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError("labels", f"{path.name} is no XML: {error}") from None
    marks: list[Mark] = []
    tags: dict[str, list[int]] = {}
    for image in root.iter("image"):
        for tag in image.iter("tag"):
            tags.setdefault(tag.get("label", ""), []).append(int(image.get("id", 0)))
    for label, frames in tags.items():
        for name, first, stop in runs((frame, label) for frame in sorted(set(frames))):
            marks.append(Mark(name, Fraction(first), Fraction(stop), len(marks) + 1, "frames"))
    for track in root.iter("track"):
        # A track has a shape where it changes; between two of them it goes on.
        shapes = sorted((int(shape.get("frame", 0)), shape.get("outside") == "1") for shape in track)
        begun: int | None = None
        for frame, outside in shapes:
            if outside and begun is not None:
                marks.append(_seen(track, begun, frame, len(marks) + 1))
                begun = None
            elif not outside and begun is None:
                begun = frame
        if begun is not None:
            marks.append(_seen(track, begun, shapes[-1][0] + 1, len(marks) + 1))
    return marks


def _seen(track: ElementTree.Element, first: int, stop: int, line: int) -> Mark:
    return Mark(track.get("label", ""), Fraction(first), Fraction(stop), line, "frames", tier=track.get("id", ""))


def read_segments_json(path: Path, recording: str) -> list[Mark]:
    """ActivityNet's `database` of videos with segments, or a project of VIA 3 with its metadata."""
    content = json_of(path)
    if not isinstance(content, dict):
        raise InputError("labels", f"{path.name} is neither of ActivityNet nor of VIA")
    if "metadata" in content:
        return list(_via(content))
    videos = content.get("database", content)
    chosen = videos.get(recording) or (next(iter(videos.values())) if len(videos) == 1 else None)
    if not isinstance(chosen, dict) or "annotations" not in chosen:
        raise InputError("labels", f"{path.name} has no video `{recording}`")
    return [
        Mark(one["label"], Fraction(str(one["segment"][0])), Fraction(str(one["segment"][1])), line)
        for line, one in enumerate(chosen["annotations"], 1)
    ]


def _via(content: dict[str, Any]) -> Iterator[Mark]:
    attributes = content.get("attribute", {})
    for line, entry in enumerate(content["metadata"].values(), 1):
        times = [Fraction(str(value)) for value in entry.get("z", [])]
        for number, value in entry.get("av", {}).items():
            attribute = attributes.get(number, {})
            label = attribute.get("options", {}).get(value, value)
            if times and label:
                yield Mark(label, times[0], times[-1], line, tier=attribute.get("aname", ""))
