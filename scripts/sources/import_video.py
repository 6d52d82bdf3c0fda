"""A media file becomes videos with frame tables and sounds with clocks.

The recording's clock is that of the container: nanoseconds from its zero. A file of sound alone begins at 0.
The packets of a video are copied; where MP4 cannot hold them the pictures are encoded once, and the manifest
says so. Frames are counted by decoding them. Which of several streams is taken: see `container.CHOICES`.
"""

import logging
from pathlib import Path
from typing import Any, cast

from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.video.stream import VideoStream

from scripts.common import ledger, manifest
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.packets import packets
from scripts.common.sample_rate import check_rate
from scripts.common.timeline import NS
from scripts.sources import picture_track
from scripts.sources.container import Cut, codec_of, open_media, plan_copy
from scripts.sources.file_tracks import MP4_FAMILY, Track, cut_of, find_tracks, in_ns, sound_alone
from scripts.sources.imported import refuse_all_failed
from scripts.sources.picture_track import PictureCopy
from scripts.sources.sound_track import SoundTrack

# A sound that ends so much before its container says was cut off; only these know and do not guess.
SHORT_S = 0.5
INDEXED = {MP4_FAMILY, "flac"}

log = logging.getLogger("rushes")
STEP = "import_video"


def import_video(
    source: list[Path],
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
    start_s: float = 0.0,
    stop_s: float = 0.0,
) -> None:
    """Import the streams that `cameras` and `microphones` name, in the order of the outputs.

    Each names its file by `file`, an index into `source` (-1: no file was found), and may name its `stream` by
    its index in the file; a microphone may have `latency_ms`. start_s, stop_s: the part that is wanted, seconds
    after the earliest start of any stream, 0: all.
    A stream that cannot be had is a `failed` row and has whole, empty outputs. Raises InputError if that holds
    for all, and for the same cause.
    """
    pictures = [
        Track(name, "video", cameras[name], video, table)
        for name, video, table in zip(cameras, out_videos, out_frames, strict=True)
    ]
    sounds = [
        Track(name, "sound", microphones[name], sound, clock)
        for name, sound, clock in zip(microphones, out_sounds, out_clocks, strict=True)
    ]
    tracks = [*pictures, *sounds]
    topics = find_tracks(source, tracks, stop_s)
    cut = cut_of(tracks, start_s, stop_s)
    for index, path in enumerate(source):
        own = [track for track in tracks if track.file == index and track.error is None]
        if own:
            import_tracks(path, own, cut)
    refuse_all_failed(tracks)
    for track in tracks:
        if track.error is not None:
            track.write_empty()
    warnings = [f"{track.name}: {note}" for track in tracks for note in track.notes]
    manifest.write(
        out_manifest,
        recording=recording,
        source=source,
        streams={track.name: track.entry() for track in tracks},
        topics=topics,
        warnings=warnings,
    )
    ledger.write(out_ledger, [track.row(STEP, recording) for track in tracks])
    for line in warnings:
        log.warning("%s: %s", recording, line)


def import_tracks(path: Path, tracks: list[Track], cut: Cut) -> None:
    """Import the tracks of one file in one pass over its packets; then each copy is decoded."""
    copies: dict[str, PictureCopy] = {}
    heard: dict[str, SoundTrack] = {}
    with open_media(path) as container:
        for track in tracks:
            stream = container.streams[track.stream]
            if track.kind == "sound":
                heard[track.name] = SoundTrack(
                    track.media, cast(AudioStream, stream), cut=cut, from_zero=sound_alone(container)
                )
            elif track.packets is not None:
                plan = plan_copy(track.packets, cut)
                if plan is not None:
                    copies[track.name] = PictureCopy(track.media, cast(VideoStream, stream), track.packets, plan)
        _feed(container, tracks, {**heard, **copies})
        for track in tracks:
            try:
                if track.kind == "sound":
                    _finish_sound(track, heard[track.name], container, path, cut)
                else:
                    _finish_pictures(track, copies.get(track.name), container, path, cut)
            except InputError as error:
                track.error = error


def _feed(container: InputContainer, tracks: list[Track], takers: dict[str, SoundTrack | PictureCopy]) -> None:
    """Give every packet to those who take its stream; sounds first, a copied packet is changed."""
    by_stream: dict[int, list[SoundTrack | PictureCopy]] = {}
    for track in sorted(tracks, key=lambda track: track.kind):
        if track.name in takers:
            by_stream.setdefault(track.stream, []).append(takers[track.name])
    if not by_stream:
        return
    for packet in packets(container, [container.streams[index] for index in by_stream]):
        for taker in by_stream[packet.stream.index]:
            taker.take(packet)
        if all(taker.done for some in by_stream.values() for taker in some):
            return


def _finish_sound(track: Track, heard: SoundTrack, container: InputContainer, path: Path, cut: Cut) -> None:
    clock = heard.finish(float(track.setting.get("latency_ms", 0.0)))
    stream = container.streams[track.stream]
    if not clock.samples:
        raise InputError("no_sound", f"{path.name}, stream {track.stream}: no sound decodes in the wanted stretch")
    check_rate(clock.nominal_rate_hz, f"{path.name}, stream {track.stream},")
    clock.write(track.table)
    track.count = clock.samples
    track.facts = manifest.sound_entry(
        clock,
        file=path.name,
        stream=track.stream,
        choice=track.choice,
        codec=codec_of(stream),
        sample_format=f"s{heard.bits}le",
    )
    for count, what in (
        (heard.undecoded, "packets did not decode and are silence"),
        (heard.trimmed, "samples overlapped others and were left out"),
        (heard.clipped, "samples were clipped"),
    ):
        if count:
            track.notes.append(f"{count} {what}")
    if heard.changed:
        track.notes.append("its rate or channels change; what follows is left out")
    missing_s = (in_ns(stream, stream.duration or 0) - (clock.stop_ns - clock.start_ns)) / NS
    if container.format.name in INDEXED and cut.start_ns is None and not heard.done and missing_s > SHORT_S:
        track.notes.append(f"the sound ends {missing_s:.2f} s before {path.name} says; it was cut off")


def _finish_pictures(
    track: Track,
    copy: PictureCopy | None,
    container: InputContainer,
    path: Path,
    cut: Cut,
) -> None:
    assert track.packets is not None
    if copy is not None:
        copy.finish()
    elif track.packets.shown.any():
        raise InputError("no_picture", f"{path.name}, stream {track.stream}: no picture in the wanted stretch")
    stream = container.streams[track.stream]
    why_not = "packets without a time" if copy is None else copy.why_not
    frames: FrameTable | str = why_not
    if not why_not:
        frames, size = _read_back(track, path, cut)
    if isinstance(frames, str):
        why_not = frames
        encoded = picture_track.encode_pictures(path, track.stream, track.media, track.packets, cut)
        frames, size = encoded.frames, encoded.size
        track.notes.append(f"encoded anew, not copied: {why_not}")
        if encoded.left_out:
            track.notes.append(f"{encoded.left_out} pictures without a time of their own are left out")
    track_end_ns = None
    if "mov" in container.format.name and stream.duration:
        track_end_ns = in_ns(stream, (stream.start_time or 0) + stream.duration)
    stop_ns = picture_track.end_of_pictures(frames, track.packets, track_end_ns)
    if tainted := int(frames.tainted.sum()):
        track.notes.append(f"{tainted} frames are tainted, for packets that they need are damaged or do not decode")
    frames.write(track.table)
    track.count = len(frames)
    track.facts = manifest.picture_entry(
        frames,
        **picture_track.picture_facts(cast(VideoStream, stream), size),
        file=path.name,
        stream=track.stream,
        choice=track.choice,
        codec=codec_of(stream),
        copied=not why_not,
        **({"why_encoded": why_not} if why_not else {}),
        start_ns=max(frames.start_ns, cut.start_ns or frames.start_ns),
        stop_ns=stop_ns if cut.stop_ns is None else min(stop_ns, cut.stop_ns),
    )


def _read_back(track: Track, path: Path, cut: Cut) -> tuple[FrameTable | str, tuple[int, int]]:
    """The table of a track's copy, or why there is none.

    The copy is made anew where decoding it shows what the container did not say: that the first pictures do
    not decode, or in which order they are shown.
    """
    assert track.packets is not None
    plan = plan_copy(track.packets, cut)
    for _ in range(3):
        assert plan is not None
        decoded = picture_track.decode_all(track.media)
        ordered = picture_track.in_display_order(decoded, track.packets, plan)
        if ordered is not None:
            track.packets = ordered
            track.notes.append(f"{path.name} does not say when its pictures are shown; in their order")
            plan = plan_copy(ordered, cut)
        else:
            frames = picture_track.table_of_copy(decoded, track.packets, plan)
            later = None if isinstance(frames, str) else picture_track.begin_later(frames, track.packets, cut)
            if later is None:
                return frames, decoded.size
            plan = later
        assert plan is not None
        with open_media(path) as container:
            copy = PictureCopy(track.media, cast(VideoStream, container.streams[track.stream]), track.packets, plan)
            _feed(container, [track], {track.name: copy})
            copy.finish()
        if copy.why_not:
            return copy.why_not, decoded.size
    return "its first pictures do not decode", decoded.size


if __name__ == "__main__":
    run(import_video)
