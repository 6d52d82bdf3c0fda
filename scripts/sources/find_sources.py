"""What lies below a folder: bags, videos, sets of videos, and what stands beside them.

Everything that looks like a source is either found or left out with a reason.
"""

import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.stream import Disposition

from scripts.common.errors import InputError
from scripts.common.file_endings import BAGS, SOUNDS
from scripts.common.job import progress
from scripts.common.names import is_stream_name
from scripts.sources.bag_files import METADATA
from scripts.sources.bag_reader import Bag
from scripts.sources.carriers import recognise

VIDEO_ENDINGS = {
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"),
    *(".wmv", ".flv", ".mts", ".m2ts", ".3gp", ".ogv", ".mxf"),
}
LANDMARK_ENDINGS = (".landmarks.npy", ".landmarks.npz", ".landmarks.csv")
# What a rig of `source: frames` takes; a few of them are no recording.
NUMBERED_PICTURE = re.compile(r"\d\.(jpe?g|png)$", re.IGNORECASE)
FEWEST_PICTURES = 20
# A shorter number is a part of a video, a longer one may be the serial number of a camera.
MIN_SERIAL_DIGITS = 5


@dataclass(frozen=True)
class Topic:
    """A topic with pictures or sound. carrier: its kind; states_rate: the messages hold the sample rate."""

    name: str
    carrier: str
    messages: int
    states_rate: bool


@dataclass(frozen=True)
class BagFound:
    """A bag, file or folder."""

    source: str
    topics: tuple[Topic, ...]


@dataclass(frozen=True)
class VideoFound:
    """A video file. sidecar: ending of the sound beside it, or ""; session: of its camera set, or ""."""

    source: str
    has_sound: bool
    sidecar: str
    landmarks: str
    session: str = ""


@dataclass(frozen=True)
class CameraSet:
    """The videos SESSION.CAMERA[…] of one session, alone in their folder: file patterns below it."""

    source: str
    session: str
    cameras: dict[str, str]
    microphone: str


@dataclass(frozen=True)
class LeftOut:
    """Something that looks like a source and is not proposed."""

    source: str
    reason: str


Found = BagFound | VideoFound | CameraSet | LeftOut


def find_sources(folder: str, results: str) -> Iterator[Found]:
    """Everything below `folder` that is a source, or looks like one, by path.

    Hidden names and the folder `results` are passed over.
    """
    unreadable: list[LeftOut] = []
    seen = 0
    for place, names in _list_folders(folder, os.path.realpath(results), unreadable):
        yield from _look_into(place, names)
        seen += len(names)
        progress(seen, what="files")
    yield from unreadable


def session_and_camera(name: str) -> tuple[str, str] | None:
    """The two parts of SESSION.CAMERA[…].ending; None for other file names."""
    session, *rest = name.split(".")
    if len(rest) < 2 or not session or not is_stream_name(rest[0]):
        return None
    is_part = rest[0].isdigit() and len(rest[0]) < MIN_SERIAL_DIGITS
    return None if is_part else (session, rest[0])


def set_patterns(session: dict[str, list[str]], names: list[str]) -> dict[str, str] | None:
    """For each camera of a session a file pattern that fits its file alone; None if there are none.

    session: camera -> its files.  names: of all files of the folder.
    """
    patterns = {}
    for camera, files in session.items():
        middle = ".*" if files[0].count(".") > 2 else ""
        pattern = f"*.{glob.escape(camera)}{middle}{glob.escape(os.path.splitext(files[0])[1])}"
        if fnmatch.filter(names, pattern) != files or len(files) > 1:
            return None
        patterns[camera] = pattern
    return patterns


def _list_folders(folder: str, results: str, unreadable: list[LeftOut]) -> Iterator[tuple[str, list[str]]]:
    """Folders by path, links followed once, with the sorted names of their files."""

    def cannot_read(error: OSError) -> None:
        unreadable.append(LeftOut(str(error.filename), f"the folder cannot be read: {error.strerror}"))

    seen = {results, os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True, onerror=cannot_read):
        visible = sorted(name for name in folders if not name.startswith("."))
        folders[:] = []
        for name in visible:
            real = os.path.realpath(os.path.join(place, name))
            if real not in seen:
                seen.add(real)
                folders.append(name)
        shown = sorted(name for name in names if not name.startswith("."))
        yield "" if place == "." else place.removeprefix("./"), shown


def _look_into(folder: str, names: list[str]) -> Iterator[Found]:
    if METADATA in names and any(_is_bag(name) for name in names):
        yield _open_bag(folder or ".")
        names = [name for name in names if not _is_bag(name)]
    videos: dict[str, bool] = {}
    for name in names:
        path = os.path.join(folder, name)
        ending = os.path.splitext(name)[1].lower()
        if (_is_bag(name) or ending in VIDEO_ENDINGS) and not os.path.isfile(path):
            yield LeftOut(path, "it is no file, or a link to none")
        elif _is_bag(name):
            yield _open_bag(path)
        elif ending in VIDEO_ENDINGS:
            try:
                videos[name] = _has_sound(path)
            except InputError as error:
                yield LeftOut(path, error.message)
    yield from _pair(folder, names, videos)
    pictures = [name for name in names if NUMBERED_PICTURE.search(name)]
    if len(pictures) >= FEWEST_PICTURES:
        yield LeftOut(
            os.path.join(folder, pictures[0]),
            f"it and {len(pictures) - 1} more of its folder are numbered pictures: which of them a camera took is said "
            "by a rig of `source: frames` (docs/sources.md)",
        )


def _pair(folder: str, names: list[str], videos: dict[str, bool]) -> Iterator[Found]:
    """Videos with what stands beside them; sets where the folder holds one session alone."""
    sounds = [name for name in names if name.lower().endswith(SOUNDS)]
    sessions: dict[str, dict[str, list[str]]] = {}
    for name in videos:
        if parts := session_and_camera(name):
            sessions.setdefault(parts[0], {}).setdefault(parts[1], []).append(name)
    sessions = {name: cameras for name, cameras in sessions.items() if len(cameras) > 1}
    session_of = {file: name for name, cameras in sessions.items() for files in cameras.values() for file in files}
    patterns = set_patterns(next(iter(sessions.values())), names) if len(sessions) == 1 else None
    if patterns:
        session = next(iter(sessions))
        if len(sounds) == 1:
            microphone = f"*{glob.escape(os.path.splitext(sounds[0])[1])}"
            sounds = []
        else:
            with_sound = (camera for camera, files in sessions[session].items() if videos[files[0]])
            microphone = patterns.get(next(with_sound, ""), "")
        yield CameraSet(folder or ".", session, patterns, microphone)
    sidecars = _sidecars(sounds)
    landmarks = {name for name in names if name.endswith(LANDMARK_ENDINGS)}
    for name, has_sound in videos.items():
        if patterns and name in session_of:
            continue
        stem = os.path.splitext(name)[0]
        given = next((stem + ending for ending in LANDMARK_ENDINGS if stem + ending in landmarks), "")
        yield VideoFound(
            source=os.path.join(folder, name),
            has_sound=has_sound,
            sidecar=sidecars.get(stem, ""),
            landmarks=os.path.join(folder, given) if given else "",
            session=session_of.get(name, ""),
        )
    taken = {os.path.splitext(name)[0] for name in videos if not patterns or name not in session_of}
    if left := [name for name in sounds if name not in {stem + sidecars[stem] for stem in taken & set(sidecars)}]:
        others = f" and {len(left) - 1} more of the folder's sounds belong" if len(left) > 1 else " belongs"
        yield LeftOut(os.path.join(folder, left[0]), f"it{others} to no video by name")


def _sidecars(sounds: list[str]) -> dict[str, str]:
    """Ending of the sound of each stem; of several sounds, that of the form which loses least."""
    order = sorted(sounds, key=lambda name: SOUNDS.index(os.path.splitext(name)[1].lower()), reverse=True)
    return dict(map(os.path.splitext, order))


def _is_bag(name: str) -> bool:
    return name.lower().endswith(BAGS)


def _open_bag(path: str) -> BagFound | LeftOut:
    topics = []
    try:
        with Bag([Path(path)]) as bag:
            for topic in bag.topics.values():
                carrier = recognise(bag.leaves(topic.connections[0]))
                if carrier is not None:
                    topics.append(Topic(topic.name, carrier.kind, topic.messages, "rate" in carrier.fields))
    except InputError as error:
        return LeftOut(path, error.message)
    except OSError as error:
        return LeftOut(path, f"it cannot be read: {error.strerror or error}")
    return BagFound(path, tuple(topics))


def _has_sound(path: str) -> bool:
    """Whether the video at `path` has a sound track. Raises InputError if it is no video."""
    try:
        # Without the protocol, a colon in the name would end one.
        with av.open(f"file:{path}") as container:
            covers = Disposition.attached_pic
            pictures = [stream for stream in container.streams.video if not stream.disposition & covers]
            sounds = len(container.streams.audio)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError("unreadable", f"it cannot be read as a video: {reason}") from None
    if not pictures:
        raise InputError("no_picture", "it holds no picture")
    return sounds > 0
