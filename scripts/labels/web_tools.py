"""Label Studio, CVAT, VIA and ActivityNet: JSON and XML of tools in the browser."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from scripts.common.errors import InputError
from scripts.labels.marks import Mark, json_of, mistake, runs
from scripts.labels.own_part import Own, own_parts
from scripts.labels.tiers import no_entities

# A text that is the path of a file.
MEDIA = re.compile(r"/|\.\w{2,5}$")
# The type of VIA's attributes that may have several options at once.
VIA_CHECKBOX = "2"


def read_label_studio(path: Path, own: Own) -> list[Mark]:
    """Timeline labels in frames, which the tool counts from 1, last one included; labels of sounds in seconds.

    Of the tasks with the recording's media, and of no annotation that was cancelled.
    """
    content = json_of(path)
    tasks = content if isinstance(content, list) else [content]
    named: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    called: dict[str, list[str]] = {}
    for line, task in enumerate(tasks, 1):
        if not isinstance(task, dict):
            raise InputError("labels", f"{path.name}: entry {line} is no task")
        texts = _texts(task)
        name = next((text for text in texts if MEDIA.search(text)), f"task {task.get('id', line)}")
        named.setdefault(name, []).append((line, task))
        called.setdefault(name, []).extend(texts)
    marks: list[Mark] = []
    for line, task in [one for name in own_parts(path, own, called, "tasks") for one in named[name]]:
        whole = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
        results = [result for one in whole for result in one.get("result", [])]
        values = [result.get("value", {}) | {"tier": result.get("from_name", "")} for result in results]
        for tier, value in task.items():
            # JSON-MIN has the regions under the names of their controls.
            if tier != "annotations" and isinstance(value, list):
                values += [region | {"tier": tier} for region in value if isinstance(region, dict)]
        for value in values:
            marks += _regions(value, line)
    return marks


def _texts(task: dict[str, Any]) -> list[str]:
    """The texts of a task's row of data, which name its media; JSON-MIN has them beside the regions."""
    found = task.get("data", task)
    values = [*(found.values() if isinstance(found, dict) else []), task.get("file_upload")]
    return [value for value in values if isinstance(value, str)]


def _regions(value: dict[str, Any], line: int) -> Iterator[Mark]:
    tier = str(value["tier"])
    for label in value.get("timelinelabels", []):
        for span in value.get("ranges", []):
            yield Mark(label, Fraction(span["start"]) - 1, Fraction(span["end"]), line, "frames", tier=tier)
    if "start" in value and "end" in value:
        for label in value.get("labels", []):
            times = (Fraction(str(value["start"])), Fraction(str(value["end"])))
            yield Mark(label, *times, line, tier=tier)


def read_cvat(path: Path, own: Own) -> list[Mark]:
    """Tags of frames (for images), which CVAT counts from 0, as runs; tracks (for video) while they are not outside.

    Of a project, those of the task that has the recording's name or media.
    """
    no_entities(path)
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError("labels", f"{path.name} is no XML: {error}") from None
    chosen = _chosen_tasks(path, root, own)
    marks: list[Mark] = []
    tags: dict[str, list[int]] = {}
    for image in root.iter("image"):
        if image.get("task_id", "") not in chosen:
            continue
        for tag in image.iter("tag"):
            tags.setdefault(tag.get("label", ""), []).append(int(image.get("id", 0)))
    for label, frames in tags.items():
        for name, first, stop in runs((frame, label) for frame in sorted(set(frames))):
            marks.append(Mark(name, Fraction(first), Fraction(stop), len(marks) + 1, "frames"))
    for track in root.iter("track"):
        if track.get("task_id", "") not in chosen:
            continue
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


def _chosen_tasks(path: Path, root: ElementTree.Element, own: Own) -> set[str]:
    """The ids of the recording's task, and "", which is that of everything in the export of one task."""
    called = {
        one.findtext("id", ""): [one.findtext("name", ""), one.findtext("source", "")] for one in root.iter("task")
    }
    for one in [*root.iter("image"), *root.iter("track")]:
        if one.get("task_id"):
            called.setdefault(one.get("task_id", ""), [])
    # Two tasks of a project may have the same name.
    ids = {" ".join([*called[number][:1], f"(task {number})"]): number for number in called}
    found = own_parts(path, own, {shown: called[number] for shown, number in ids.items()}, "tasks")
    return {"", *(ids[shown] for shown in found)}


def _seen(track: ElementTree.Element, first: int, stop: int, line: int) -> Mark:
    return Mark(track.get("label", ""), Fraction(first), Fraction(stop), line, "frames", tier=track.get("id", ""))


def read_segments_json(path: Path, own: Own) -> list[Mark]:
    """ActivityNet's `database` of videos with segments, or a project of VIA 3 with its metadata; the recording's."""
    content = json_of(path)
    if not isinstance(content, dict):
        raise InputError("labels", f"{path.name} is neither of ActivityNet nor of VIA")
    if "metadata" in content:
        return list(_via(path, content, own))
    videos = content.get("database", content)
    chosen = own_parts(path, own, {name: [name] for name in videos}, "videos")
    if not all(isinstance(videos[name], dict) and "annotations" in videos[name] for name in chosen):
        raise InputError("labels", f"{path.name} has no annotations of {', '.join(chosen)}")
    return [
        Mark(one["label"], Fraction(str(one["segment"][0])), Fraction(str(one["segment"][1])), line)
        for name in chosen
        for line, one in enumerate(videos[name]["annotations"], 1)
    ]


def _via(path: Path, content: dict[str, Any], own: Own) -> Iterator[Mark]:
    attributes = content.get("attribute", {})
    views = _via_views(content)
    chosen = own_parts(path, own, views, "videos")
    own_views = {view for name in chosen for view in views[name]}
    for line, entry in enumerate(content["metadata"].values(), 1):
        if str(entry.get("vid", "")) not in own_views:
            continue
        times = [Fraction(str(value)) for value in entry.get("z", [])]
        for number, value in entry.get("av", {}).items():
            attribute = attributes.get(number, {})
            for label in _via_labels(path, line, attribute, value) if times else []:
                yield Mark(label, times[0], times[-1], line, tier=attribute.get("aname", ""))


def _via_labels(path: Path, line: int, attribute: dict[str, Any], value: str) -> list[str]:
    """What a value stands for: an option by its id, or a text, as of a timeline; of a checkbox, each ticked option.

    Raises InputError for an id that is no option of a checkbox.
    """
    options = attribute.get("options", {})
    if str(attribute.get("type")) != VIA_CHECKBOX:
        label = options.get(value, value)
        return [label] if label else []
    ticked = [one for one in value.split(",") if one]
    for one in ticked:
        if one not in options:
            raise mistake(path, line, f"`{attribute.get('aname', '')}` has no option `{one}`: {', '.join(options)}")
    return [options[one] for one in ticked]


def _via_views(content: dict[str, Any]) -> dict[str, list[str]]:
    """The views of a project by the names of their files; a view without a file by its number."""
    files = {str(number): str(file.get("fname", "")) for number, file in content.get("file", {}).items()}
    named = {
        str(view): " ".join(files.get(str(number), "") for number in entry.get("fid_list", []))
        for view, entry in content.get("view", {}).items()
    }
    views: dict[str, list[str]] = {}
    for view in dict.fromkeys([*named, *(str(entry.get("vid", "")) for entry in content["metadata"].values())]):
        views.setdefault(named.get(view) or f"view {view}", []).append(view)
    return views
