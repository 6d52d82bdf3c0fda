"""One video, copied packet by packet, with sound at its place: sample 0 stands at the instant of the first picture."""

import logging
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common import ledger, mp4, table_file
from scripts.common.clock import Clock
from scripts.common.edit_list import set_edit_length
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import frame_period_ns
from scripts.common.job import run
from scripts.common.packet_writer import MP4_OPTIONS, disk_errors
from scripts.common.packets import packets
from scripts.common.product_writer import SoundCoding, SoundTrack
from scripts.common.video import OPEN_OPTIONS
from scripts.media.product_sound import lacking, mix_of

log = logging.getLogger("rushes")


def merge_video_audio(
    video: Path,
    times: Path,
    sounds: list[Path],
    clocks: list[Path],
    out_video: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    microphones: list[str],
    sound: dict[str, Any],
) -> None:
    """Copy `video`, whose pictures stand at the `time_ns` of `times`, and add the mix of microphones.

    Raises InputError if the picture or every sound failed before, or a channel is not there.
    """
    time_ns = np.unique(table_file.read(times, columns=["time_ns"])["time_ns"].to_numpy())
    if not len(time_ns):
        raise UpstreamError(recording, f"what {product} shows failed")
    known = {name: (path, Clock.read(clock)) for name, path, clock in zip(microphones, sounds, clocks, strict=True)}
    if not any(clock.samples for _, clock in known.values()):
        raise UpstreamError(recording, f"the import of every microphone of {product} failed")
    start_ns, stop_ns = int(time_ns[0]), int(time_ns[-1]) + frame_period_ns(time_ns)
    mix = mix_of(sound, known, start_ns=start_ns, stop_ns=stop_ns, where=f"{recording}, {product}")
    assert mix is not None
    with ExitStack() as stack:
        source = stack.enter_context(av.open(f"file:{video}", **OPEN_OPTIONS))
        stack.enter_context(disk_errors(out_video))
        picture = source.streams.video[0]
        # Its own unit of time: microseconds do not hold a gap of an hour.
        assert picture.time_base is not None
        options = {**MP4_OPTIONS, "video_track_timescale": str(picture.time_base.denominator)}
        target = stack.enter_context(mp4.create(out_video, **options))
        stack.enter_context(mix)
        copy = target.add_stream_from_template(picture, opaque=True)
        copy.time_base = picture.time_base
        mp4.tag(copy, picture.codec_context.name)
        track = SoundTrack(target, mix, SoundCoding(sound["codec"], sound["kbps"]))
        hidden_end = False
        for packet in packets(source, [picture]):
            if packet.dts is None:
                continue
            hidden_end = hidden_end or (packet.is_discard and (packet.pts or 0) > 0)
            track.write_until(max(Fraction(0), packet.dts * picture.time_base))
            packet.stream = copy
            target.mux(packet)
        track.finish()
    if hidden_end:
        set_edit_length(out_video, (stop_ns - start_ns) // 1000)
    message = "; ".join(lacking(sound, known))
    if message:
        log.warning("%s, %s: %s", recording, product, message)
    ledger.write(
        out_ledger,
        [
            ledger.Row(
                "merge_video_audio",
                recording,
                product,
                "written",
                message=message,
                start_ns=start_ns,
                stop_ns=stop_ns,
            )
        ],
    )


if __name__ == "__main__":
    run(merge_video_audio)
