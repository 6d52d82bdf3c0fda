"""One microphone of a bag: whatever carries its samples, they become a WAV with a clock."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common.clock import Clock
from scripts.common.cut_clock import cut_clock
from scripts.common.errors import InputError
from scripts.common.sample_rate import check_rate
from scripts.common.sound_writer import SAMPLE_FORMATS, SoundWriter
from scripts.sources.audio_clock import Fit, begun_anew, fit_clock
from scripts.sources.carriers import CODED_SOUND, Carrier
from scripts.sources.early_stamps import mend_early, stamped_bytes
from scripts.sources.late_blocks import late_runs
from scripts.sources.message_layout import text
from scripts.sources.row_spool import RowSpool
from scripts.sources.sound_decoder import MP3, SoundDecoder, codec_named
from scripts.sources.sound_form import Form, format_named, format_told, is_mp3, stored_as, to_stored
from scripts.sources.sound_message import block_of, said_form
from scripts.sources.stamp_belief import UNKNOWN, StampBelief, StampTimes
from scripts.sources.wanted_part import WHOLE

DEFAULT_FORMAT = "s16le"
# What decoders are asked for.
DECODED_FORMAT = "s16le"
# So many blocks in a row that look like mp3 are mp3.
MP3_BLOCKS = 4
# What AudioInfo calls samples that are not compressed.
UNCODED = ("", "wave", "wav", "pcm", "raw")
# Points that the manifest keeps of the stamps' lateness, for a plot.
RESIDUAL_POINTS = 500
# Later than any sample.
LATEST_NS = 2**62


@dataclass
class Sound:
    """What has become of a microphone.

    stamp: what instant of a block its stamp was taken for; residuals: [time_s, residual_ms], how late the stamps are;
    dropped: messages that gave no sample, by reason; stamps: what was wrong with them; notes: for a person.
    """

    clock: Clock
    sample_format: str
    stamp: str
    residuals: list[list[float]]
    dropped: Counter[str]
    stamps: dict[str, int]
    notes: list[str] = field(default_factory=list)


class SoundStream:
    """Takes the messages of a microphone and writes its sound to `path`.

    stamp: "auto", "block_start" or "block_end"; latency_ms: constant delay of the device; rate_hz, channels,
    sample_format: where the bag does not say; stamps: see StampBelief. `part`: what of it is wanted; what is taken may
    begin and end outside.
    """

    def __init__(
        self,
        path: Path,
        *,
        stamp: str = "auto",
        latency_ms: float = 0.0,
        rate_hz: int = 0,
        channels: int = 0,
        sample_format: str = "",
        stamps: StampTimes = UNKNOWN,
    ) -> None:
        self.part = WHOLE
        self._writer = SoundWriter(path)
        self._stamp = stamp
        self._latency_ms = latency_ms
        self._told = Form(rate_hz, channels, format_named(sample_format) or "")
        self._form: Form | None = None
        self._said: list[Any] = []
        self._info = Form()
        # Stamp of each block, its bytes, its log time.
        self._blocks = RowSpool(3)
        self._decoder: SoundDecoder | None = None
        self._held: list[tuple[dict[str, Any], int]] = []
        self._belief = StampBelief(stamps)
        self._dropped: Counter[str] = Counter()
        self._stamps: Counter[str] = self._belief.counts

    def take(self, carrier: Carrier, log_ns: int, values: tuple[Any, ...]) -> None:
        """Take a message: the values of its carrier's fields, in their order. Raises InputError for what is no PCM."""
        value = dict(zip(carrier.fields, values, strict=True))
        if self._stamp == "auto":
            self._stamp = carrier.stamp
        if carrier.kind == CODED_SOUND:
            self._take_coded(codec_named(text(value["format"])), text(value["format"]), value, log_ns)
            return
        if self._decoder is not None:
            self._decode(value, log_ns)
            return
        data, said = block_of(carrier, value)
        if len(data) == 0:
            self._dropped["empty"] += 1
            return
        if self._form is None:
            self._form = said_form(carrier, value, said)
            self._said = [bytes(v) if isinstance(v, memoryview) else v for v in said]
        elif said != self._said:
            self._dropped["of another format"] += 1
            return
        if not self._form.rate_hz and self._looks_like_mp3(value, log_ns):
            return
        self._append(value, log_ns, data)

    def take_info(self, carrier: Carrier, values: tuple[Any, ...]) -> None:
        """Take a message that says what the sound is."""
        value = dict(zip(carrier.fields, values, strict=True))
        coding = text(value["coding"]).lower() if "coding" in value else ""
        if coding not in UNCODED:
            codec = codec_named(coding)
            if codec is None:
                raise InputError("unsupported", f"its sound is `{coding}`; known: opus, mp4a.40.2, mp3")
            if self._decoder is None and not self._blocks:
                self._begin_decoding(codec)
            return
        named = text(value["format"]) if "format" in value else ""
        form = format_told(named, self._told.sample_format)
        self._info = Form(int(value["rate"]), int(value["channels"]), form).or_else(self._info)

    def skip(self, why: str) -> None:
        """Count a message that could not be read."""
        self._dropped[why] += 1

    def finish(self) -> Sound:
        """Fit the clock, fill the holes, close the file. Raises InputError where there is no sample."""
        if len(self._held) * 2 > MP3_BLOCKS and self._decoder is None:
            self._begin_decoding(MP3)
        self._let_go()
        if self._decoder is not None and not self._blocks:
            what = f"{self._decoder.codec}, and none of its packets can be decoded"
            raise InputError("undecodable", f"its sound looks like {what}; if it is not, set sample_format in the rig")
        if not self._blocks or self._form is None:
            raise InputError("no_samples", "its topic has no sample in this part of the bag")
        notes = []
        if self._decoder is not None:
            notes.append(f"its sound is {self._decoder.codec}, decoded")
            if self._decoder.broken:
                self._dropped["undecodable"] += self._decoder.broken
        form = self.form_of(self._form)
        if not self._form.or_else(self._info).or_else(self._told).sample_format:
            notes.append(f"nothing says its sample format: {DEFAULT_FORMAT} is taken")
        if not form.rate_hz or not form.channels:
            raise InputError(
                "no_format", "nothing in the bag says its rate and channels: give rate_hz and channels in the rig"
            )
        check_rate(form.rate_hz, "its topic, or the rig,")
        stamp_ns, sizes = self._in_order()
        per_byte_ns = 1e9 / (form.rate_hz * form.frame_bytes)
        due_ns = stamped_bytes(sizes, at_start=self._stamp == "block_start") * per_byte_ns
        self._stamps += mend_early(stamp_ns, due_ns)
        fit = fit_clock(
            sizes,
            stamp_ns,
            nominal_rate_hz=form.rate_hz,
            channels=form.channels,
            stamp=self._stamp,
            frame_bytes=form.frame_bytes,
            latency_ms=self._latency_ms,
        )
        if np.any(sizes % form.frame_bytes) and not (fit.fits_rate and fit.clock.samples):
            raise InputError(
                "no_format",
                f"its blocks are no whole samples of {form.channels} channels {form.sample_format}, nor do its stamps "
                f"fit those at {form.rate_hz} Hz",
            )
        clock, ranges = self._cut(fit)
        self._close(form, fit, ranges)
        if fit.left and self.part.stop_ns is None:
            notes.append(f"bytes that are part of no whole sample, left out: {fit.left}")
        notes += [note for note in fit.notes if note not in begun_anew(fit.clock)] + begun_anew(clock)
        return Sound(
            clock=clock,
            sample_format=form.sample_format,
            stamp=self._stamp,
            residuals=_residuals(stamp_ns, fit, clock),
            dropped=self._dropped,
            stamps=dict(self._stamps),
            notes=notes,
        )

    def form_of(self, said: Form) -> Form:
        """The form of samples of which messages say so much."""
        return said.or_else(self._info).or_else(self._told).or_else(Form(sample_format=DEFAULT_FORMAT))

    def discard(self) -> None:
        """Let go of the file."""
        self._writer.discard()

    def _append(self, value: dict[str, Any], log_ns: int, data: memoryview | bytes) -> None:
        """A block need not end with a whole sample: the next one goes on where it stops."""
        stamp_ns = self._belief.of_block(value, log_ns)
        self._writer.write(data)
        self._blocks.append(stamp_ns, len(data), log_ns)

    def _in_order(self) -> tuple[np.ndarray, np.ndarray]:
        """Stamps and sizes of the blocks, int64 (N,) each, those that came late where they belong."""
        stamp_ns, sizes, log_ns = self._blocks.rows().T
        starts = np.cumsum(sizes) - sizes
        # What was decoded stands in the order in which it was.
        for first, order in late_runs(stamp_ns, log_ns) if self._decoder is None else ():
            run = slice(first, first + len(order))
            self._writer.reorder(int(starts[first]), sizes[run].tolist(), order.tolist())
            stamp_ns[run], sizes[run] = stamp_ns[run][order], sizes[run][order]
            came = np.argsort(order)
            self._stamps["late_messages"] += int(np.count_nonzero(came < np.maximum.accumulate(came)))
        return stamp_ns, sizes

    def _looks_like_mp3(self, value: dict[str, Any], log_ns: int) -> bool:
        """Drivers send mp3 in the same messages as PCM, and nothing says so: blocks are held until that is plain."""
        if self._blocks or self._info.rate_hz or self._told.sample_format:
            return False
        if is_mp3(value["data"]):
            # The reader's memory goes with the message.
            self._held.append(({**value, "data": memoryview(bytes(value["data"]))}, log_ns))
            if len(self._held) >= MP3_BLOCKS:
                self._begin_decoding(MP3)
            return True
        self._let_go()
        return False

    def _let_go(self) -> None:
        """What was held is PCM after all."""
        held, self._held = self._held, []
        for value, log_ns in held:
            self._append(value, log_ns, value["data"])

    def _begin_decoding(self, codec: str) -> None:
        self._decoder = SoundDecoder(codec)
        self._form = Form(0, 0, DECODED_FORMAT)
        held, self._held = self._held, []
        for value, log_ns in held:
            self._decode(value, log_ns)

    def _take_coded(self, codec: str | None, form: str, value: dict[str, Any], log_ns: int) -> None:
        if codec is None:
            raise InputError("unsupported", f"its sound is `{form}`; known: opus, mp4a.40.2, mp3")
        if self._decoder is None:
            self._begin_decoding(codec)
        if self._decoder is not None and codec != self._decoder.codec:
            self._dropped["of another format"] += 1
        else:
            self._decode(value, log_ns)

    def _decode(self, value: dict[str, Any], log_ns: int) -> None:
        assert self._decoder is not None
        if len(value["data"]) == 0:
            self._dropped["empty"] += 1
            return
        samples = self._decoder.decode(value["data"])
        self._form = Form(self._decoder.rate_hz, self._decoder.channels, DECODED_FORMAT)
        if samples:
            self._append(value, log_ns, samples)

    def _cut(self, fit: Fit) -> tuple[Clock, list[tuple[int, int]]]:
        """The clock of the part, and its ranges of samples where it is not all. Raises InputError where it is empty."""
        if self.part == WHOLE:
            return fit.clock, []
        start_ns = fit.clock.start_ns if self.part.start_ns is None else self.part.start_ns
        stop_ns = LATEST_NS if self.part.stop_ns is None else self.part.stop_ns
        clock, ranges = cut_clock(fit.clock, start_ns, stop_ns)
        if clock.samples == sum(gap.stop_sample - gap.start_sample for gap in clock.gaps):
            raise InputError("no_samples", "its topic has no sample in this part of the bag")
        return clock, ranges

    def _close(self, form: Form, fit: Fit, ranges: list[tuple[int, int]]) -> None:
        self._writer.keep(fit.pieces)
        stored = stored_as(form.sample_format)
        if stored != form.sample_format:
            self._writer.rewrite(partial(to_stored, form.sample_format))
        holes = [(sample * form.frame_bytes, count * form.frame_bytes) for sample, count in fit.holes]
        if holes:
            self._writer.insert(holes, SAMPLE_FORMATS[stored][2])
        if ranges:
            frame = form.frame_bytes
            self._writer.keep([(first * frame, (stop - first) * frame) for first, stop in ranges])
        self._writer.close(rate_hz=form.rate_hz, channels=form.channels, sample_format=stored)


def _residuals(stamp_ns: np.ndarray, fit: Fit, clock: Clock) -> list[list[float]]:
    part = np.arange(len(stamp_ns))
    if clock is not fit.clock:
        part = np.flatnonzero((stamp_ns >= clock.start_ns) & (stamp_ns <= clock.stop_ns))
    count = len(part)
    chosen = part[np.unique(np.linspace(0, count - 1, min(count, RESIDUAL_POINTS)).astype(np.int64))]
    time_s = (stamp_ns[chosen] - clock.start_ns) / 1e9
    return np.stack([time_s, fit.residual_ns[chosen] / 1e6], axis=1).round(6).tolist()
