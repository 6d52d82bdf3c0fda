"""A clip by its packets: as fast as the disk, from keyframe to keyframe."""

from fractions import Fraction
from pathlib import Path

import av

from scripts.common.video_item import open_item


def copy_packets(url: str, path: Path, start: Fraction, stop: Fraction) -> int:
    """Copy the packets of the first video and audio shown in [start, stop); times then begin at 0. Returns how many."""
    count = 0
    with (
        open_item(url) as source,
        av.open(f"file:{path}", "w", format="mp4", options={"fflags": "+bitexact"}) as target,
    ):
        kept = [streams[0] for streams in (source.streams.video, source.streams.audio) if streams]
        made = {stream.index: target.add_stream_from_template(stream) for stream in kept}
        if start > 0:
            source.seek(int(start / kept[0].time_base), stream=kept[0])
        tick = Fraction(1, 2_000)
        for packet in source.demux(kept):
            if packet.pts is None or packet.dts is None:
                continue
            shown = packet.pts * packet.time_base
            if shown < start - tick or shown >= stop - tick:
                if shown > stop + 5 and packet.stream is kept[0]:
                    break
                continue
            offset = round(start / packet.time_base)
            packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
            packet.stream = made[packet.stream.index]
            target.mux(packet)
            count += 1
    return count
