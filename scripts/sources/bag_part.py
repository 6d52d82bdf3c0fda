"""Where a part of a bag lies: counted from the beginning of its earliest stream, as everything that is made of it is.

That beginning is found by the first messages of each topic, so that no more of the bag is read than the part needs.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from scripts.common.errors import InputError
from scripts.sources.bag_reader import Bag
from scripts.sources.bag_streams import Declared, Taker
from scripts.sources.carriers import CODED_SOUND, SOUND_INFO, Carrier
from scripts.sources.early_stamps import mend_early, mend_order, stamped_bytes
from scripts.sources.message_layout import CorruptMessageError
from scripts.sources.picture_stream import can_begin
from scripts.sources.picture_times import PictureTimes
from scripts.sources.sound_message import block_of, said_form
from scripts.sources.sound_stream import SoundStream
from scripts.sources.stamp_belief import BELIEVED_NS, SURVEYED, StampBelief
from scripts.sources.wanted_part import Part

# Read so long before the part, too: encoded video begins with a keyframe.
PRE_ROLL_NS = 10_000_000_000
# Messages that are looked at for the first keyframe.
KEYFRAME_WITHIN = 1_000

# The connections of a stream's topics.
Connections = dict[int, Taker]


class Beginning(NamedTuple):
    """When a stream begins. block_ns: length of its blocks of sound; ragged: whether they end within samples, so that
    these are told apart from the first one on only."""

    time_ns: int
    block_ns: int = 0
    ragged: bool = False


def want_part(takers: dict[int, list[Taker]], bag: Bag, start_s: float, stop_s: float) -> tuple[int | None, int | None]:
    """Tell all streams which part is wanted, seconds, 0: no bound; returns the log times between which to read."""
    if not start_s and not stop_s:
        return None, None
    streams = {id(taker.stream): taker.stream for some in takers.values() for taker in some}
    begun: list[Beginning] = []
    for stream in streams.values():
        connections = {key: taker for key, some in takers.items() for taker in some if taker.stream is stream}
        beginning = _beginning(stream, bag, connections)
        if beginning is not None:
            begun.append(beginning._replace(time_ns=stream.on_recording_ns(beginning.time_ns)))
    origin_ns = min((beginning.time_ns for beginning in begun), default=bag.start_ns)
    block_ns = max((beginning.block_ns for beginning in begun), default=0)
    part = Part(
        origin_ns + round(start_s * 1e9) if start_s else None, origin_ns + round(stop_s * 1e9) if stop_s else None
    )
    for stream in streams.values():
        stream.want(part)
    starts = [s.part.start_ns + s.stamps.lag_ns for s in streams.values() if s.part.start_ns is not None]
    stops = [s.part.stop_ns + s.stamps.lag_ns for s in streams.values() if s.part.stop_ns is not None]
    read_from = None if any(beginning.ragged for beginning in begun) else min(starts, default=None)
    read_to = max(stops, default=None)
    return (
        None if read_from is None else read_from - PRE_ROLL_NS - block_ns,
        # A stamp that is believed is at most so far from where its log time says.
        None if read_to is None else read_to + BELIEVED_NS + block_ns,
    )


def _beginning(stream: Declared, bag: Bag, connections: Connections) -> Beginning | None:
    """When a stream begins; None where nothing of it is found."""
    own = {key: taker for key, taker in connections.items() if taker.carrier.kind != SOUND_INFO}
    if isinstance(stream.writer, SoundStream):
        infos = {key: taker for key, taker in connections.items() if key not in own}
        # What is said of a sound at the beginning of the bag only holds for this part, too.
        for carrier, _, value in islice(_messages(bag, infos), 1):
            with suppress(InputError):
                stream.writer.take_info(carrier, tuple(value.values()))
        return _first_sample(stream, stream.writer, islice(_messages(bag, own), SURVEYED))
    times = PictureTimes(stream.time, stream.stamps)
    for carrier, log_ns, value in islice(_messages(bag, own), KEYFRAME_WITHIN):
        if can_begin(carrier, value):
            stamp_ns = value["sec"] * 10**9 + value["nanosec"] if "sec" in value else 0
            return Beginning(times.choose(stamp_ns, log_ns).time_ns)
    return None


def _messages(bag: Bag, connections: Connections) -> Iterator[tuple[Carrier, int, dict[str, Any]]]:
    """Carrier, log time and fields of the messages of these connections, up to the first damage."""
    topics = [topic.name for topic in bag.topics.values() if not connections.keys().isdisjoint(topic.connections)]
    # Damage is said where the bag is read for good.
    with suppress(InputError):
        for key, log_ns, raw in bag.messages(topics) if topics else ():
            if key not in connections or raw is None:
                continue
            taker = connections[key]
            with suppress(CorruptMessageError):
                yield taker.carrier, log_ns, dict(zip(taker.carrier.fields, taker.values(log_ns, raw), strict=True))


def _first_sample(
    stream: Declared, writer: SoundStream, messages: Iterator[tuple[Carrier, int, dict[str, Any]]]
) -> Beginning | None:
    belief = StampBelief(stream.stamps)
    stamp = str(stream.setting.get("stamp", "auto"))
    sizes, stamps_ns, per_byte_ns, frame = [], [], 0.0, 0
    for carrier, log_ns, value in messages:
        stamp = carrier.stamp if stamp == "auto" else stamp
        size = 1
        if carrier.kind != CODED_SOUND:
            data, said = block_of(carrier, value)
            size = len(data)
            with suppress(InputError):
                form = writer.form_of(said_form(carrier, value, said))
                frame = form.frame_bytes if form.rate_hz else 0
                per_byte_ns = 1e9 / (form.rate_hz * frame) if frame else 0.0
        if size:
            sizes.append(size)
            stamps_ns.append(belief.of_block(value, log_ns))
    if not sizes:
        return None
    first_ns, per_byte_ns = _line(sizes, stamps_ns, per_byte_ns, at_start=stamp == "block_start")
    latency_ns = round(float(stream.setting.get("latency_ms", 0.0)) * 1e6)
    ragged = bool(frame and any(size % frame for size in sizes))
    return Beginning(first_ns - latency_ns, round(per_byte_ns * max(sizes)), ragged)


def _line(sizes: Sequence[int], stamps_ns: Sequence[int], per_byte_ns: float, *, at_start: bool) -> tuple[int, float]:
    """The instant of the first byte, for stamps are late, never early; and the time of one, if 0 by the stamps.

    at_start: whether a stamp is the start of its block, else it is its end.
    """
    stamp_ns = np.array(stamps_ns, np.int64)
    mend_order(stamp_ns)
    x = stamped_bytes(np.array(sizes), at_start=at_start)
    if not per_byte_ns and len(x) > 1:
        per_byte_ns = float((stamp_ns[-1] - stamp_ns[0]) / (x[-1] - x[0]))
    mend_early(stamp_ns, per_byte_ns * x)
    late_ns = (stamp_ns - stamp_ns[0]).astype(np.float64)
    return int(stamp_ns[0]) + round(float(np.min(late_ns - per_byte_ns * x))), per_byte_ns
