"""What every source writes: packets with true times, PCM with holes filled, the manifest."""

import errno
import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import manifest, sound_writer
from scripts.common.clock import Clock, Gap, Segment
from scripts.common.frame_table import FrameTable
from scripts.common.packet_writer import PacketWriter
from scripts.common.sound_writer import HEADER_BYTES, SAMPLE_FORMATS, SoundWriter
from tests.unit.bag_maker import encode


@pytest.mark.parametrize(("b_frames", "reorder"), [(0, 0), (2, 2), (0, 3)])
def test_every_packet_is_shown_at_its_pts(tmp_path: Path, b_frames: int, reorder: int) -> None:
    packets = encode("h264", 30, b_frames=b_frames)
    times_us = np.cumsum(np.random.default_rng(0).integers(900, 80_000, 30))
    times_us -= times_us[0]
    with av.open(io.BytesIO(packets[0][0]), format="h264") as probe:
        writer = PacketWriter(tmp_path / "a.mp4", probe.streams.video[0], reorder=reorder)
    for data, number, key in packets:
        writer.write(data, int(times_us[number]), keyframe=key)
    writer.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [frame.pts for frame in container.decode(video=0)] == times_us.tolist()


def test_a_packet_without_room_is_refused(tmp_path: Path) -> None:
    packets = encode("h264", 3)
    with av.open(io.BytesIO(packets[0][0]), format="h264") as probe:
        writer = PacketWriter(tmp_path / "a.mp4", probe.streams.video[0])
    writer.write(packets[0][0], 0, keyframe=True)
    assert not writer.fits(0)
    with pytest.raises(ValueError, match="no room"):
        writer.write(packets[1][0], 0, keyframe=False)


def test_a_file_of_one_packet_shows_it(tmp_path: Path) -> None:
    ((data, _, _),) = encode("h264", 1)
    with av.open(io.BytesIO(data), format="h264") as probe:
        writer = PacketWriter(tmp_path / "a.mp4", probe.streams.video[0])
    writer.write(data, 0, keyframe=True)
    writer.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [frame.pts for frame in container.decode(video=0)] == [0]


def test_a_full_disk_is_an_error_of_the_machine() -> None:
    packets = encode("h264", 40)
    with av.open(io.BytesIO(packets[0][0]), format="h264") as probe:
        writer = PacketWriter(Path("/dev/full"), probe.streams.video[0])
    with pytest.raises(OSError, match="No space left") as caught:  # noqa: PT012 - whenever the buffer is full
        for data, number, key in packets:
            writer.write(data, number * 40_000, keyframe=key)
        writer.close()
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("channels", [1, 2, 3, 24])
@pytest.mark.parametrize("sample_format", SAMPLE_FORMATS)
def test_a_wav_is_read_by_others_as_it_was_written(tmp_path: Path, sample_format: str, channels: int) -> None:
    width = SAMPLE_FORMATS[sample_format][0]
    payload = np.random.default_rng(1).integers(0, 60, 501 * channels * width, dtype=np.uint8).tobytes()
    writer = SoundWriter(tmp_path / "a.wav")
    writer.write(memoryview(payload)[:777])
    writer.write(payload[777:])
    writer.close(rate_hz=44_100, channels=channels, sample_format=sample_format)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.frames, info.channels, info.samplerate) == (501, channels, 44_100)
    with av.open(str(tmp_path / "a.wav")) as container:
        stream = container.streams.audio[0]
        assert b"".join(bytes(packet) for packet in container.demux(stream)) == payload
        assert stream.codec_context.name == f"pcm_{sample_format}"


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90)), max_size=5),
    st.integers(1, 64),
)
def test_filling_goes_where_it_belongs_however_small_the_pieces_are(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes, holes: list[tuple[int, int]], piece: int
) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    wanted = bytearray(payload)
    holes = sorted((min(offset, len(payload)), count) for offset, count in holes)
    for offset, count in reversed(holes):
        wanted[offset:offset] = b"\x80" * count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sound_writer, "CHUNK_BYTES", piece)
        writer = SoundWriter(path)
        writer.write(payload)
        writer.insert(holes, 0x80)
        writer.close(rate_hz=8_000, channels=1, sample_format="u8")
    assert path.read_bytes()[HEADER_BYTES : HEADER_BYTES + len(wanted)] == wanted
    assert soundfile.info(path).frames == len(wanted)


def test_above_4_gb_it_is_rf64_and_the_last_sample_is_found(tmp_path: Path) -> None:
    path, last = tmp_path / "a.wav", np.arange(24, dtype=np.int32) * 1_000
    count = 2**32 // 72 + 1_000
    writer = SoundWriter(path)
    writer.write(b"\0")
    writer.insert([], 0)  # puts what is buffered on disk; the rest of the file is a hole in the file system
    writer._file.seek(HEADER_BYTES + 72 * (count - 1))
    writer._file.write(last.astype("<i4").view(np.uint8).reshape(24, 4)[:, :3].tobytes())
    writer.size = 72 * count
    writer.close(rate_hz=48_000, channels=24, sample_format="s24le")
    with soundfile.SoundFile(path) as sound:
        assert (sound.format, sound.frames, sound.channels) == ("RF64", count, 24)
        sound.seek(count - 1)
        assert (sound.read(1, dtype="int32")[0] >> 8).tolist() == last.tolist()
    with av.open(str(path)) as container:
        assert container.streams.audio[0].duration == count
    path.unlink()


def test_the_timeline_ends_with_the_last_picture_or_without_pictures_with_the_last_sound() -> None:
    frames = FrameTable.make(np.array([0, 40_000]), np.array([2_000, 40_002_000]))
    clock = Clock(1_000, 48_000.0, 48_000, 96_000, 1, segments=[Segment(0, 1_000, 96_000)])
    picture, sound = manifest.picture_entry(frames, topic="/c"), manifest.sound_entry(clock, topic="/m")
    failed = manifest.failed_entry("video", "no_topic", "none")
    assert manifest.timeline({"c": picture, "m": sound, "x": failed}) == {"start_ns": 1_000, "stop_ns": 80_002_000}
    assert manifest.timeline({"m": sound, "x": failed}) == {"start_ns": 1_000, "stop_ns": 2_000_001_000}
    assert manifest.timeline({"x": failed}) == {"start_ns": 0, "stop_ns": 0}


def test_the_manifest_counts_all_gaps_and_lists_a_thousand(tmp_path: Path) -> None:
    clock = Clock(
        0,
        10.0,
        10,
        9_000,
        1,
        segments=[Segment(0, 0, 9_000)],
        gaps=[Gap(k * 4, k * 4 + 1, "hole") for k in range(1_500)],
    )
    manifest.write(
        tmp_path / "m.json",
        recording="r",
        source=[Path("/somewhere/a b.bag")],
        streams={"m": manifest.sound_entry(clock)},
    )
    read = manifest.read(tmp_path / "m.json")
    assert (read["streams"]["m"]["gaps"], len(read["streams"]["m"]["gap_list"])) == (1_500, 1_000)
    assert read["source"] == ["a b.bag"]
    assert "/somewhere" not in (tmp_path / "m.json").read_text()
