"""The streams that a rig's cameras and microphones take from files: found, checked, and when they start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.container.input import InputContainer
from av.stream import Stream

from scripts.common.cut_short import cut_short
from scripts.common.errors import InputError
from scripts.common.packets import NUMBERED
from scripts.common.timeline import NS
from scripts.sources.container import (
    KINDS,
    Cut,
    PacketTable,
    choose_stream,
    codec_of,
    is_media,
    open_media,
    rescale,
    scan_packets,
    tick_of,
)
from scripts.sources.imported import Imported

# What ffmpeg calls the demuxer of MP4 and its kin.
MP4_FAMILY = "mov,mp4,m4a,3gp,3g2,mj2"


@dataclass
class Track(Imported):
    """A camera or microphone that a stream of a file becomes.

    stream: its index in the file.  choice: the rule that chose it.  packets: of a camera.
    """

    stream: int = -1
    choice: str = ""
    start_ns: int = 0
    packets: PacketTable | None = None

    @property
    def file(self) -> int:
        """Index of its file among the sources, -1 if there is none."""
        return int(self.setting.get("file", 0))


def find_tracks(source: list[Path], tracks: list[Track], stop_s: float) -> list[dict[str, Any]]:
    """Find the stream of each track and when it starts; one that cannot be found gets its `error`.

    stop_s: nothing is wanted that comes later; 0: all. Returns what the files offer, for the manifest.
    """
    topics: list[dict[str, Any]] = []
    for track in tracks:
        if track.file < 0:
            reason, word = KINDS[track.kind]
            message = f"{track.name}: none of the files that its rig names is there, so it has no {word}; add one"
            track.error = InputError(reason, message)
    for index, path in enumerate(source):
        own = [track for track in tracks if track.file == index]
        try:
            with open_media(path) as container:
                topics += _find_in(container, path, own, stop_s)
            if not stop_s and (said := cut_short(path)):
                for track in own:
                    track.notes.append(said)
        except InputError as error:
            for track in own:
                track.error = error
    return topics


def _find_in(container: InputContainer, path: Path, tracks: list[Track], stop_s: float) -> list[dict[str, Any]]:
    name = path.name
    taken: dict[int, str] = {}
    for track in tracks:
        try:
            stream, track.choice = choose_stream(container, track.kind, track.setting.get("stream"), name)
            track.stream = stream.index
            if track.kind == "sound":
                track.start_ns = 0 if sound_alone(container) else in_ns(stream, stream.start_time or 0)
            if taken.setdefault(track.stream, track.name) != track.name:
                raise InputError(
                    KINDS[track.kind][0],
                    f"{track.name}: {taken[track.stream]} takes the same stream {track.stream} of {name}; "
                    "name another by the key `stream`",
                )
        except InputError as error:
            track.error = error
    cameras = [track for track in tracks if track.kind == "video" and track.error is None]
    streams = [container.streams[track.stream] for track in cameras]
    scanned = scan_packets(container, streams, stop_s) if streams else {}
    for track in cameras:
        table = track.packets = scanned[track.stream]
        times = table.pts[table.shown]
        track.start_ns = int(rescale(times.min(), table.time_base, NS)) if len(times) else 0
        promised, held = container.streams[track.stream].frames, len(table)
        if container.format.name in NUMBERED and len(times) > 1:
            # A picture that stands still is many empty packets, all counted.
            held = max(held, int(times.max() + np.median(np.diff(np.sort(times)))))
        if promised > held and not stop_s and container.format.name == MP4_FAMILY:
            # An edit list hides pictures that the file holds.
            held = max(held, _unedited(path, track.stream))
        if promised > held and not stop_s:
            track.notes.append(
                f"{name} promises {promised} pictures and holds {held}: it was cut off; what is there is taken"
            )
    return [_topic(stream, name, tracks, scanned) for stream in container.streams]


def _unedited(path: Path, stream: int) -> int:
    """Pictures that a file holds in a stream, also those that its edit list hides."""
    with open_media(path, edited=False) as container:
        return len(scan_packets(container, [container.streams[stream]], 0.0)[stream])


def cut_of(tracks: list[Track], start_s: float, stop_s: float) -> Cut:
    """The wanted part on the recording's clock, from seconds after the earliest start of any track."""
    origin = min((track.start_ns for track in tracks if track.error is None), default=0)
    start, stop = (origin + round(second * NS) if second else None for second in (start_s, stop_s))
    return Cut(start, stop)


def sound_alone(container: InputContainer) -> bool:
    """Whether a file holds no moving picture: then its sound begins at 0."""
    return not any(is_media(stream, "video") for stream in container.streams)


def in_ns(stream: Stream, ticks: int) -> int:
    """Ticks of a stream as nanoseconds."""
    return int(rescale(ticks, tick_of(stream), NS))


def _topic(stream: Stream, name: str, tracks: list[Track], scanned: dict[int, PacketTable]) -> dict[str, Any]:
    takers = [track for track in tracks if track.stream == stream.index and track.error is None]
    return {
        "name": f"{name}, stream {stream.index}",
        "type": f"{stream.type} {codec_of(stream)}",
        "messages": len(scanned[stream.index]) if stream.index in scanned else stream.frames,
        "taken": bool(takers),
        "why": "; ".join(f"{track.name}: {track.choice}" for track in takers) or "not asked for",
    }
