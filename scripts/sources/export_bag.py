"""Exports every stream of a bag in one pass: packets as they are, with true times; sounds with their clocks."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.common import ledger, manifest
from scripts.common.errors import InputError
from scripts.common.job import progress, run
from scripts.common.names import nearest
from scripts.sources.bag_part import want_part
from scripts.sources.bag_reader import Bag, Topic
from scripts.sources.bag_streams import Declared, Taker
from scripts.sources.carriers import PICTURES, SOUND_INFO, SOUNDS, Carrier, recognise
from scripts.sources.message_layout import CorruptMessageError, Read
from scripts.sources.sound_message import usual_block_ns
from scripts.sources.stamp_belief import SURVEYED, clock_offsets, usual_delay_ns

log = logging.getLogger("rushes")
STEP = "export_bag"


def export_bag(
    bag: list[Path],
    out_videos: list[Path],
    out_frames: list[Path],
    out_sounds: list[Path],
    out_clocks: list[Path],
    out_manifest: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: dict[str, dict[str, Any]],
    microphones: dict[str, dict[str, Any]],
    crf: int,
    start_s: float = 0.0,
    stop_s: float = 0.0,
    salvage: bool = False,
    max_message_mb: float = 256,
) -> None:
    """Read `bag` (one file, or all of a folder) once and write every declared stream.

    crf: of h264, for pictures that must be encoded; start_s, stop_s: the part that is wanted, seconds after the
    beginning of the earliest stream, 0: all; salvage: take what is good of a damaged bag; max_message_mb: larger
    messages are left out. A stream that cannot be had is a `failed` row and has whole, empty outputs. Raises
    InputError if the bag itself cannot be read.
    """
    streams = [
        Declared(name, kind, setting, media, table)
        for kind, settings, all_media, tables in (
            ("video", cameras, out_videos, out_frames),
            ("sound", microphones, out_sounds, out_clocks),
        )
        for (name, setting), media, table in zip(settings.items(), all_media, tables, strict=True)
    ]
    try:
        max_bytes = round(max_message_mb * 2**20)
        with Bag(bag, salvage=salvage, max_bytes=max_bytes) as source:
            takers = _find_takers(streams, source, crf, max_bytes)
            _read(source, takers, *want_part(takers, source, start_s, stop_s))
            topics = _list_topics(source, takers)
            bag_notes = source.notes
    except BaseException:
        for stream in streams:
            stream.discard()
        raise
    for stream in streams:
        stream.finish()
        if stream.error is None:
            stream.notes += bag_notes
    warnings = [f"{stream.name}: {note}" for stream in streams for note in stream.notes if note not in bag_notes]
    warnings += bag_notes
    manifest.write(
        out_manifest,
        recording=recording,
        source=bag,
        streams={stream.name: stream.entry() for stream in streams},
        topics=topics,
        warnings=warnings,
    )
    ledger.write(out_ledger, [stream.row(STEP, recording) for stream in streams])
    failures = [f"{stream.name}: {stream.error.message}" for stream in streams if stream.error]
    for line in failures + warnings:
        log.warning("%s: %s", recording, line)


def _find_takers(streams: list[Declared], bag: Bag, crf: int, max_bytes: int) -> dict[int, list[Taker]]:
    """Who takes the messages of which connection. A stream without a fitting topic fails here."""
    takers: dict[int, list[Taker]] = {}
    topics: list[tuple[Declared, Topic]] = []
    for stream in streams:
        try:
            topics.append((stream, _find_topic(stream, bag)))
        except InputError as error:
            stream.fail(error)
    delays_ns = [_usual_delay_ns(stream, bag, topic) for stream, topic in topics]
    for (stream, topic), delay_ns, offset_ns in zip(topics, delays_ns, clock_offsets(delays_ns), strict=True):
        try:
            # Such a delay is that of the clock and the whole block, which is logged when it is over.
            block_ns = _usual_block_ns(stream, bag, topic) if offset_ns and stream.kind == "sound" else 0
            stream.open(topic, crf, delay_ns, offset_ns - block_ns)
            _add_takers(stream, bag, topic, _kinds(stream), takers, max_bytes)
            if stream.kind == "sound":
                for info in _find_infos(stream, bag, topic):
                    _add_takers(stream, bag, info, (SOUND_INFO,), takers, max_bytes)
        except InputError as error:
            stream.fail(error)
    return takers


def _kinds(stream: Declared) -> tuple[str, ...]:
    return PICTURES if stream.kind == "video" else SOUNDS


def _usual_delay_ns(stream: Declared, bag: Bag, topic: Topic) -> int | None:
    """See `usual_delay_ns`; what is placed by its log times has none."""
    if stream.time == "log":
        return 0
    return usual_delay_ns(_first_stamps(bag, topic, _kinds(stream)))


def _find_topic(stream: Declared, bag: Bag) -> Topic:
    """The stream's topic, by its name, or by the pattern and type that it alone fits. Raises InputError that names
    what the bag has instead."""
    kinds, what = (PICTURES, "pictures") if stream.kind == "video" else (SOUNDS, "sound")
    carrying = [t for t in bag.topics.values() if any(_carrier(bag, key, kinds) for key in t.connections)]
    kind = str(stream.setting.get("type", "")).replace("/msg/", "/")
    fitting = [
        topic
        for topic in carrying
        if (topic.name == stream.topic or fnmatchcase(topic.name, stream.topic)) and kind in ("", topic.type)
    ]
    exact = [topic for topic in fitting if topic.name == stream.topic]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    wanted = f"`{stream.topic}`" + (f" of type {kind}" if kind else "")
    if fitting:
        names = ", ".join(topic.name for topic in fitting)
        raise InputError("ambiguous", f"{len(fitting)} topics fit {wanted}: {names}; narrow it, or name one")
    others = [topic.name for topic in carrying]
    hint = nearest(stream.topic, others) or f"; none of the bag's {len(bag.topics)} topics carries {what}"
    topic = bag.topics.get(stream.topic)
    if topic is None:
        raise InputError("no_topic", f"the bag has no topic {wanted}{hint}")
    if topic in carrying:
        raise InputError("no_topic", f"its topic `{topic.name}` has the type {topic.type}, not {kind}")
    raise InputError("unsupported", f"its topic `{topic.name}` carries {topic.type}, no known {what}{hint}")


def _find_infos(stream: Declared, bag: Bag, topic: Topic) -> list[Topic]:
    """Topics that say what the sound is: the one in the rig, else those beside the sound's own."""
    named = stream.setting.get("info_topic")
    if named:
        if named not in bag.topics:
            raise InputError("no_topic", f"the bag has no topic `{named}`{nearest(named, bag.topics)}")
        return [bag.topics[named]]
    folder = topic.name.rpartition("/")[0]
    return [t for t in bag.topics.values() if t.name.rpartition("/")[0] == folder and t.type.endswith("Info")]


def _first_stamps(bag: Bag, topic: Topic, kinds: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Stamp, 0 without one, and log time of the first messages of a topic."""
    readers: dict[int, Read] = {}
    for key in topic.connections:
        carrier = _carrier(bag, key, kinds)
        if carrier:
            stamped = "sec" in carrier.fields
            stamp = (carrier.fields["sec"], carrier.fields["nanosec"]) if stamped else ()
            readers[key] = bag.reader(key, stamp) if stamped else lambda _: (0, 0)
    for _, log_ns, (sec, nanosec) in _first_messages(bag, topic, readers):
        yield sec * 10**9 + nanosec, log_ns


def _usual_block_ns(stream: Declared, bag: Bag, topic: Topic) -> int:
    """How long the blocks of a sound are whose stamps are their starts; 0 of other streams."""
    rule = stream.setting.get("stamp", "auto")
    carriers = {key: carrier for key in topic.connections if (carrier := _carrier(bag, key, SOUNDS))}
    starts = {key: one for key, one in carriers.items() if (one.stamp if rule == "auto" else rule) == "block_start"}
    readers = {key: bag.reader(key, tuple(carrier.fields.values())) for key, carrier in starts.items()}
    return usual_block_ns(
        (starts[key], dict(zip(starts[key].fields, values, strict=True)))
        for key, _, values in _first_messages(bag, topic, readers)
    )


def _first_messages(bag: Bag, topic: Topic, readers: dict[int, Read]) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Connection, log time and what is read of the first messages of a topic."""
    # Damage is said where the bag is read for good.
    with suppress(InputError):
        for key, log_ns, raw in islice(bag.messages([topic.name]), SURVEYED):
            if key not in readers or raw is None:
                continue
            with suppress(CorruptMessageError):
                yield key, log_ns, readers[key](raw)


def _add_takers(
    stream: Declared, bag: Bag, topic: Topic, kinds: tuple[str, ...], takers: dict[int, list[Taker]], max_bytes: int
) -> None:
    for key in topic.connections:
        carrier = _carrier(bag, key, kinds)
        if carrier:
            read = bag.reader(key, tuple(carrier.fields.values()))
            takers.setdefault(key, []).append(Taker(stream, carrier, read, max_bytes, bag.moves))


def _carrier(bag: Bag, key: int, kinds: tuple[str, ...]) -> Carrier | None:
    carrier = recognise(bag.leaves(key))
    return carrier if carrier and carrier.kind in kinds else None


def _read(bag: Bag, takers: dict[int, list[Taker]], start_ns: int | None, stop_ns: int | None) -> None:
    """Give every message between two log times to its takers: the one pass."""
    wanted = [topic for topic in bag.topics.values() if not takers.keys().isdisjoint(topic.connections)]
    if not wanted:
        return
    total = sum(topic.messages for topic in wanted)
    for count, (key, log_ns, raw) in enumerate(bag.messages((t.name for t in wanted), start_ns, stop_ns)):
        for taker in takers[key]:
            taker.take(log_ns, raw)
        if count % 1024 == 0:
            progress(count, total, "messages")


def _list_topics(bag: Bag, takers: dict[int, list[Taker]]) -> list[dict[str, Any]]:
    """The topics of the bag for the manifest, and why each was taken or not."""
    found = []
    for topic in bag.topics.values():
        names = sorted({taker.stream.name for key in topic.connections for taker in takers.get(key, ())})
        found.append(
            {
                "name": topic.name,
                "type": topic.type,
                "messages": topic.messages,
                "taken": bool(names),
                "why": f"for {', '.join(names)}" if names else "no camera or microphone of the rig names it",
            }
        )
    return found


if __name__ == "__main__":
    run(export_bag)
