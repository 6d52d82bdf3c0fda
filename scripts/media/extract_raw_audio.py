"""The samples of a microphone as they came: interleaved, little endian, no header, and nothing that fills gaps."""

from pathlib import Path

import av

from scripts.common import ledger
from scripts.common.clock import Clock
from scripts.common.errors import UpstreamError
from scripts.common.job import run
from scripts.common.sound_writer import SAMPLE_FORMATS


def extract_raw_audio(
    sound: Path, clock: Path, out_raw: Path, out_ledger: Path, *, recording: str, product: str, microphone: str
) -> None:
    """Write the payload of `sound`, a WAV, less the gaps that `clock` lists as holes.

    Raises InputError if the import of the microphone failed.
    """
    heard = Clock.read(clock)
    if not heard.samples:
        raise UpstreamError(f"{recording}, {microphone}")
    holes = sorted((gap.start_sample, gap.stop_sample) for gap in heard.gaps if gap.reason == "hole")
    written = position = 0
    with av.open(f"file:{sound}") as container, out_raw.open("wb") as raw:
        stream = container.streams.audio[0]
        width = SAMPLE_FORMATS[stream.codec_context.name.removeprefix("pcm_")][0] * heard.channels
        for packet in container.demux(stream):
            payload = bytes(packet)
            stop = position + len(payload) // width
            for first, end in kept(position, stop, holes):
                written += raw.write(payload[(first - position) * width : (end - position) * width])
            position = stop
    ledger.write(out_ledger, [ledger.Row("extract_raw_audio", recording, product, "written", value=written // width)])


def kept(start: int, stop: int, holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of the samples [start, stop) lies in none of `holes`, which are sorted and do not overlap."""
    parts = []
    for first, end in holes:
        if first < stop and end > start:
            parts.append((start, max(start, first)))
            start = min(end, stop)
    return [(first, end) for first, end in [*parts, (start, stop)] if first < end]


if __name__ == "__main__":
    run(extract_raw_audio)
