"""From what was found to a sheet of recordings and the rigs that it names."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from scripts.common.names import folded
from scripts.sources.carriers import COMPRESSED, IMAGE, PACKET, PCM, PICTURES, SOUND_INFO, SOUNDS
from scripts.sources.find_sources import BagFound, CameraSet, Found, LeftOut, Topic, VideoFound
from scripts.sources.proposed_names import (
    numbered,
    printable,
    recording_name,
    short_names,
    stream_name,
    why_unfit,
)

COLUMNS = ("recording", "rig", "source", "subject", "session", "landmarks")

# Last parts of topics that say how a picture travels, not what it shows.
TRANSPORTS = {"compressed", "ffmpeg", "compressedDepth", "theora", "zstd", "h264", "h265", "hevc", "av1"}
# Original packets before single pictures, and both before what would be encoded anew.
PREFERRED = (PACKET, COMPRESSED, IMAGE)
# Parts of topics that name no camera or microphone.
PLAIN_PARTS = {
    *("image", "images", "image_raw", "image_color", "image_mono", "image_rect", "image_rect_color"),
    *("image_rect_raw", "raw", "video", "compressed_image", "compressed_video", "raw_image"),
    *("audio", "audio_stamped", "audio_raw", "raw_audio", "audio_data", "compressed_audio"),
    *("sound", "stamped"),
    *TRANSPORTS,
}

Entry = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One row of the sheet. note: a comment above it."""

    recording: str
    rig: str
    source: str
    session: str
    landmarks: str
    note: str


@dataclass(frozen=True)
class Proposal:
    """rigs: those that the config lacks, by name; notes: remarks on them."""

    rows: list[Row]
    rigs: dict[str, Entry]
    notes: dict[str, list[str]]
    left_out: list[LeftOut]


def propose(found: Iterable[Found], folder: str, known: Mapping[str, Entry]) -> Proposal:
    """Rows and rigs for what was found below `folder`. known: the config's rigs, used where they fit."""
    left_out: list[LeftOut] = []
    wanted: list[tuple[BagFound | VideoFound | CameraSet, Entry, list[str]]] = []
    sources = list(found)
    videos = [source for source in sources if isinstance(source, VideoFound)]
    for source in sources:
        if isinstance(source, LeftOut):
            left_out.append(source)
        elif reason := why_unfit(source.source) or why_unfit(getattr(source, "session", "")):
            left_out.append(LeftOut(source.source, reason))
        else:
            entry, notes = _rig_of(source, videos)
            if entry["cameras"] or entry["microphones"]:
                wanted.append((source, entry, notes))
            else:
                left_out.append(LeftOut(source.source, "it holds no pictures and no sound"))
    rigs = _Rigs(known)
    places = [rigs.name(entry, _rig_word(source), notes) for source, entry, notes in wanted]
    names = short_names([_path_parts(source, folder) for source, _, _ in wanted], recording_name)
    rows = [_row(source, name, rig) for (source, _, _), name, rig in zip(wanted, names, places, strict=True)]
    return Proposal(rows, rigs.new, rigs.notes, left_out)


def sheet_text(proposal: Proposal, folder: str, rigs_file: str) -> str:
    """The sheet, tab-separated, with remarks as comments."""
    lines = [
        f"# Proposed by `snakemake scan` from {printable(folder)}: {len(proposal.rows)} recordings.",
        f"# Their rigs stand in {rigs_file or 'the config'}.",
        "# Fill in `subject`: nobody stands in two splits. Without one, each recording is its own subject.",
        "\t".join(COLUMNS),
    ]
    note = ""
    for row in proposal.rows:
        if row.note and row.note != note:
            lines.append(f"# {row.note}")
        note = row.note
        cells = [row.recording, row.rig, row.source, "", row.session, row.landmarks]
        lines.append("\t".join(cells).rstrip("\t"))
    lines += [f"# left out: {printable(gone.source)}: {printable(gone.reason)}" for gone in proposal.left_out]
    return "\n".join(lines) + "\n"


def rigs_text(proposal: Proposal, sheet: str) -> str:
    """The rigs that the config lacks, as its section `rigs`."""
    lines = [f"# The rigs of {sheet}, for the section `rigs` of the config.", "rigs:"]
    for name, entry in proposal.rigs.items():
        lines += [f"  # {printable(note)}" for note in proposal.notes.get(name, [])]
        text = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=100)
        lines += [f"  {line}" for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def bag_streams(topics: Iterable[Topic]) -> tuple[dict[str, str], dict[str, Any], list[str]]:
    """Cameras and microphones of a bag by name, and remarks; what travels in several ways is taken once."""
    topics = list(topics)
    sent = [topic for topic in topics if topic.messages]
    notes = [f"{topic.name} has no messages" for topic in topics if not topic.messages]
    by_place: dict[str, list[Topic]] = {}
    for topic in sent:
        if topic.carrier in PICTURES:
            by_place.setdefault(_without_transport(topic.name), []).append(topic)
    pictures = []
    for same in by_place.values():
        best, *others = sorted(same, key=_preference)
        pictures.append(best.name)
        notes += [f"{best.name} is also there as {other.name}" for other in others]
    sounds = [topic for topic in sent if topic.carrier in SOUNDS and _sounds_like_sound(topic)]
    cameras = dict(sorted(zip(_stream_names(pictures, "camera", ()), pictures, strict=True)))
    names = _stream_names([topic.name for topic in sounds], "microphone", cameras)
    infos = [topic.name for topic in sent if topic.carrier == SOUND_INFO]
    microphones: dict[str, Any] = {}
    for name, topic in zip(names, sounds, strict=True):
        microphones[name] = topic.name
        if topic.states_rate:
            continue
        if infos:
            nearest = max(infos, key=partial(_shared_parts, topic.name))
            microphones[name] = {"topic": topic.name, "info_topic": nearest}
        else:
            notes.append(f"{topic.name} does not state its format: add rate_hz, channels and sample_format")
    return cameras, microphones, notes


class _Rigs:
    """Rigs by what they hold: one of the config's where it fits, else a new one."""

    def __init__(self, known: Mapping[str, Entry]) -> None:
        self.new: dict[str, Entry] = {}
        self.notes: dict[str, list[str]] = {}
        self._known = known
        self._used = {folded(name) for name in known}

    def name(self, entry: Entry, word: str, notes: list[str]) -> str:
        """The name of the rig for `entry`."""
        for rigs in (self._known, self.new):
            for name, other in rigs.items():
                if _serves(other, entry):
                    return name
        name = numbered(word, self._used)
        self.new[name] = entry
        self.notes[name] = notes
        return name


def _rig_of(source: BagFound | VideoFound | CameraSet, videos: list[VideoFound]) -> tuple[Entry, list[str]]:
    """The config entry of a source's rig, and remarks on it."""
    if isinstance(source, BagFound):
        cameras, microphones, notes = bag_streams(source.topics)
        return {"source": "bag", "cameras": cameras, "microphones": microphones}, notes
    if isinstance(source, CameraSet):
        cameras = {camera: f"{{source}}/{pattern}" for camera, pattern in source.cameras.items()}
        name = short_names([["microphone"]], stream_name, cameras)[0]
        microphones = {name: f"{{source}}/{source.microphone}"} if source.microphone else {}
        return {"source": "file", "cameras": cameras, "microphones": microphones}, []
    # One rig for all videos with a sound, wherever each has it.
    patterns = [f"{{stem}}{ending}" for ending in sorted({v.sidecar for v in videos if v.sidecar}, reverse=True)]
    patterns += ["{source}"] if any(video.has_sound for video in videos) else []
    has_sound = source.has_sound or source.sidecar
    microphones = {"microphone": patterns if len(patterns) > 1 else patterns[0]} if has_sound else {}
    return {"source": "file", "cameras": {"camera": "{source}"}, "microphones": microphones}, []


def _rig_word(source: BagFound | VideoFound | CameraSet) -> str:
    if isinstance(source, VideoFound):
        return "video" if source.has_sound or source.sidecar else "silent_video"
    return "bag" if isinstance(source, BagFound) else "camera_set"


def _serves(rig: Entry, wanted: Entry) -> bool:
    """Whether the rig has the wanted cameras and microphones, under whatever names, and no others."""
    if rig["source"] != wanted["source"]:
        return False
    for kind in ("cameras", "microphones"):
        own = [_places(stream) for stream in rig.get(kind, {}).values()]
        asked = [_places(stream) for stream in wanted[kind].values()]
        if len(own) != len(asked) or not all(any(places <= other for other in own) for places in asked):
            return False
    return True


def _places(stream: Any) -> set[str]:
    """The topic or the file patterns of a stream of the config."""
    where: str | list[str] = stream.get("topic") or stream["path"] if isinstance(stream, dict) else stream
    return {where} if isinstance(where, str) else set(where)


def _row(source: BagFound | VideoFound | CameraSet, name: str, rig: str) -> Row:
    session, landmarks, note = "", "", ""
    if isinstance(source, VideoFound):
        session = recording_name(source.session)
        landmarks = source.landmarks
        if session:
            shown = printable(source.session)
            note = (
                f"cameras of session {shown}, each a recording of its own: to make them one, "
                "give each session its own folder, with one file a camera"
            )
    elif isinstance(source, CameraSet):
        session = recording_name(source.session)
    return Row(name, rig, source.source, session, landmarks, note)


def _path_parts(source: BagFound | VideoFound | CameraSet, folder: str) -> list[str]:
    """Folders and stem, from which a recording is named."""
    inner = os.path.relpath(source.source, folder)
    if inner == ".":
        inner = os.path.basename(os.path.realpath(folder))
    parts = inner.split(os.sep)
    if isinstance(source, CameraSet):
        return [*parts, source.session]
    if not os.path.isdir(source.source):
        parts[-1] = os.path.splitext(parts[-1])[0]
    return parts


def _stream_names(topics: list[str], fallback: str, taken: Iterable[str]) -> list[str]:
    paths = []
    for topic in topics:
        parts = [part for part in topic.split("/") if stream_name(part)]
        while parts and parts[-1] in PLAIN_PARTS:
            parts.pop()
        paths.append(parts or [fallback])
    # Files of the results have these names.
    return short_names(paths, stream_name, {*taken, "manifest", "export"})


def _without_transport(topic: str) -> str:
    place, _, last = topic.rpartition("/")
    return place if last in TRANSPORTS and place else topic


def _preference(topic: Topic) -> tuple[bool, int]:
    """The lower, the rather it is taken. Of a camera that sends both, compressed depth is the poorer."""
    return topic.name.endswith("/compressedDepth"), PREFERRED.index(topic.carrier)


def _shared_parts(topic: str, other: str) -> int:
    return len(os.path.commonpath([f"/{topic}", f"/{other}"]))


def _sounds_like_sound(topic: Topic) -> bool:
    """A message of bytes alone may be anything."""
    if topic.carrier != PCM or topic.states_rate:
        return True
    return any(word in topic.name.lower() for word in ("audio", "sound", "mic", "voice", "speech"))
