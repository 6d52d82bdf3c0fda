import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from rushes.synthetic import (
    brows_raised,
    demo,
    draw_flash,
    draw_number,
    find_beeps,
    is_flash,
    make_demo,
    mouth_opening,
    read_number,
    read_truth,
    write_aviary_bag,
    write_garbage,
    write_mcap,
    write_talking_head,
)
from rushes.synthetic.__main__ import main
from rushes.synthetic.encode import encode_packets
from rushes.synthetic.scene import Scene
from rushes.synthetic.sounds import BEEP_LEVEL

Recording = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def aviary(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("aviary") / "aviary.bag"
    return path, write_aviary_bag(path, seconds=4)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("bench") / "bench.mcap"
    return path, write_mcap(path, seconds=3)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("Week#2") / "Speaker One.MOV"
    return path, write_talking_head(path, seconds=3, faceless_s=(1.0, 1.5))


def read_messages(path: Path) -> dict[str, list[Any]]:
    with AnyReader([path]) as reader:
        messages: dict[str, list[Any]] = {connection.topic: [] for connection in reader.connections}
        for connection, _, raw in reader.messages():
            messages[connection.topic].append(reader.deserialize(raw, connection.msgtype))
    return messages


def decode(payloads: list[bytes]) -> list[np.ndarray]:
    context = av.CodecContext.create("h264", "r")
    frames = [frame for payload in payloads for frame in context.decode(av.Packet(payload))] + context.decode(None)
    return [frame.to_ndarray(format="bgr24") for frame in frames]


def stamp_ns(message: Any) -> int:
    stamp = message.header.stamp if hasattr(message, "header") else message.timestamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def in_flash(times_ns: list[int], flashes_ns: list[int]) -> list[bool]:
    return [any(0 <= time - flash < 100_000_000 for flash in flashes_ns) for time in times_ns]


@pytest.mark.parametrize("number", [0, 1, 799, 0x5555, 0xFFFF])
@pytest.mark.parametrize("size", [(640, 360), (160, 120), (80, 60)])
def test_a_number_that_is_drawn_is_read(number: int, size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 99, np.uint8)
    draw_number(image, number)
    assert read_number(image) == number
    assert read_number(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) == number


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_a_plain_picture_has_no_number(level: int) -> None:
    assert read_number(np.full((120, 160, 3), level, np.uint8)) is None


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="65536"):
        draw_number(np.zeros((120, 160), np.uint8), 65536)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_bar_code_and_the_flash_survive_h264_and_scaling(scale: float) -> None:
    scene = Scene(320, 240, seed=1)
    images = [scene.draw(200 + k, k / 25, flash=k % 3 == 0) for k in range(12)]
    packets = encode_packets(images, (320, 240), Fraction(25), gop=12, b_frames=0, crf=23)
    seen = [cv2.resize(image, None, fx=scale, fy=scale) for image in decode([packet.data for packet in packets])]
    assert [read_number(image) for image in seen] == list(range(200, 212))
    assert [is_flash(image) for image in seen] == [k % 3 == 0 for k in range(12)]


def test_the_flash_survives_jpeg() -> None:
    image = np.full((240, 320, 3), 120, np.uint8)
    draw_flash(image, True)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])
    assert is_flash(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)))
    draw_flash(image, False)
    assert not is_flash(image)


def test_the_bag_holds_what_its_truth_says(aviary: Recording) -> None:
    path, truth = aviary
    messages = read_messages(path)
    for stream in [*truth["cameras"].values(), *truth["microphones"].values()]:
        assert len(messages.pop(stream["topic"])) == stream.get("sent", stream.get("blocks_sent"))
    assert list(messages) == truth["other_topics"]


def test_the_bag_loses_six_pictures_by_trigger_and_one_packet(aviary: Recording) -> None:
    path, truth = aviary
    camera = truth["cameras"]["cam0"]
    packets = read_messages(path)[camera["topic"]]
    assert len(camera["dropped"]) == 6
    numbers = camera["numbers"] + camera["dropped"] + camera["lost"]
    assert sorted(numbers) == list(range(160))
    assert [stamp_ns(packet) for packet in packets] == camera["stamps_ns"]
    pts = np.array([packet.pts for packet in packets])
    assert np.diff(pts).tolist().count(1) == len(pts) - 2
    after_loss = int(np.flatnonzero(np.diff(pts) == 2)[0]) + 1
    next_key = next(k for k in range(after_loss, len(packets)) if packets[k].flags & 1)
    assert camera["numbers"][after_loss:next_key] == camera["tainted"]
    assert [n for n, packet in zip(camera["numbers"], packets, strict=True) if packet.flags & 1] == camera["keyframes"]


def test_every_picture_of_the_bag_shows_its_number_but_the_tainted(aviary: Recording) -> None:
    path, truth = aviary
    messages = read_messages(path)
    cameras = truth["cameras"]
    images: dict[str, list[Any]] = {
        "cam0": decode([bytes(message.data) for message in messages[cameras["cam0"]["topic"]]]),
        "cam1": [cv2.imdecode(message.data, cv2.IMREAD_COLOR) for message in messages[cameras["cam1"]["topic"]]],
        "cam2": [
            message.data.reshape(message.height, message.step)[:, : message.width * 3].reshape(120, 160, 3)
            for message in messages[cameras["cam2"]["topic"]]
        ],
    }
    for name, camera in cameras.items():
        assert len(images[name]) == camera["sent"]
        shown = {n: read_number(image) for n, image in zip(camera["numbers"], images[name], strict=True)}
        wrong = {number for number, read in shown.items() if read != number}
        assert wrong <= set(camera["tainted"])
        assert bool(wrong) == (name == "cam0")
        assert [is_flash(image) for image in images[name]] == in_flash(camera["stamps_ns"], camera["flash_times_ns"])
        assert set(camera["flash_times_ns"]) <= set(camera["stamps_ns"])


def test_the_bags_sound_is_stamped_late_has_one_hole_and_beeps_with_the_flash(aviary: Recording) -> None:
    path, truth = aviary
    array = truth["microphones"]["array"]
    blocks = read_messages(path)[array["topic"]]
    (hole,) = array["holes"]
    assert hole["samples"] == 30 * array["block_samples"]
    assert array["samples_span"] - hole["samples"] == array["samples_sent"]
    captured = [k for k in range(array["samples_span"] // 480) if not 0 <= k * 480 - hole["start_sample"] < 14400]
    ends_ns = array["true_start_ns"] + np.rint((np.array(captured) + 1) * 480 / array["true_rate_hz"] * 1e9)
    late_ns = np.array([stamp_ns(block) for block in blocks]) - ends_ns
    assert late_ns.min() >= 0
    assert late_ns.min() < 20_000
    assert 1_500_000 < late_ns.max() <= 2_000_000
    wide = np.zeros((array["samples_sent"] * 4, 4), np.uint8)
    wide[:, 1:] = np.concatenate([block.data for block in blocks]).reshape(-1, 3)
    sound = np.zeros((array["samples_span"], 4))
    kept = (np.array(captured)[:, None] * 480 + np.arange(480)).reshape(-1)
    sound[kept] = wide.view("<i4").reshape(-1, 4)
    for channel, gain in enumerate(array["gains"]):
        first = find_beeps(sound[:, channel], array["true_rate_hz"])
        error_s = first / array["true_rate_hz"] - (np.array(array["beep_times_ns"]) - array["true_start_ns"]) / 1e9
        assert len(first) == len(truth["flash_times_ns"]) > 0
        assert (np.abs(error_s) < 1 / 48_000).all()
        assert np.abs(sound[:, channel]).max() / 2**31 == pytest.approx(BEEP_LEVEL * gain, rel=0.01)


def test_flashes_keep_away_from_what_is_lost(tmp_path: Path) -> None:
    truth = write_aviary_bag(tmp_path / "other.bag", seconds=6, seed=7)
    camera = truth["cameras"]["cam0"]
    start_ns = camera["stamps_ns"][0]
    gone_ns = [start_ns + n * 25_000_000 for n in camera["dropped"] + camera["lost"] + camera["tainted"]]
    gone_ns += [hole[edge] for hole in truth["microphones"]["array"]["holes"] for edge in ("start_ns", "stop_ns")]
    assert truth["flash_times_ns"]
    assert all(not -150_000_000 < gone - flash < 250_000_000 for flash in truth["flash_times_ns"] for gone in gone_ns)


def test_a_bag_without_room_for_its_losses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 s"):
        write_aviary_bag(tmp_path / "short.bag", seconds=2)


def test_the_mcap_is_one_file_with_packets_in_decode_order(bench: Recording) -> None:
    path, truth = bench
    camera = truth["cameras"]["front"]
    packets = read_messages(path)[camera["topic"]]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert [packet.pts for packet in packets] != sorted(packet.pts for packet in packets)
    assert [stamp_ns(packet) for packet in packets] == [camera["stamps_ns"][packet.pts] for packet in packets]
    images = decode([bytes(packet.data) for packet in packets])
    assert [read_number(image) for image in images] == camera["numbers"]
    assert [is_flash(image) for image in images] == in_flash(camera["stamps_ns"], camera["flash_times_ns"])


def test_the_mcaps_sound_is_stamped_at_the_start_of_its_blocks(bench: Recording) -> None:
    path, truth = bench
    voice = truth["microphones"]["voice"]
    blocks = read_messages(path)[voice["topic"]]
    assert [stamp_ns(block) for block in blocks[:3]] == [voice["true_start_ns"] + k * 20_000_000 for k in range(3)]
    assert voice["true_start_ns"] > truth["start_ns"]
    sound = np.concatenate([block.data for block in blocks]).view("<i2")
    beeps_ns = voice["true_start_ns"] + find_beeps(sound, 16_000) * 62_500
    assert beeps_ns.tolist() == truth["flash_times_ns"]


def test_the_landmarks_are_those_of_the_frames_that_can_be_decoded(speaker: Recording) -> None:
    path, truth = speaker
    camera = truth["cameras"]["front"]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        times_ns = [round((frame.time or 0) * 1e6) * 1000 for frame in frames]
    images = [frame.to_ndarray(format="bgr24") for frame in frames]
    landmarks = np.load(path.parent / truth["landmarks"])
    assert landmarks.dtype == np.float32
    assert landmarks.shape == (camera["sent"], 68, 2) == (len(images), 68, 2)
    assert [read_number(image) for image in images] == camera["numbers"]
    assert times_ns == pytest.approx(camera["stamps_ns"], abs=1000)
    first, stop = camera["faceless_frames"]
    assert np.flatnonzero(np.isnan(landmarks).any(axis=(1, 2))).tolist() == list(range(first, stop))
    assert (np.ptp(np.delete(landmarks, range(first, stop), axis=0)[:, :, 0], axis=1) > 110).all()
    flash = np.array(in_flash(camera["stamps_ns"], truth["flash_times_ns"]))
    assert [is_flash(image) for image in images] == flash.tolist()
    seen = ~np.isnan(landmarks).any(axis=(1, 2))
    assert brows_raised(landmarks[seen]).tolist() == flash[seen].tolist()


@pytest.mark.parametrize("name", ["speaker.MOV", "speaker.mp4"])
def test_the_sound_starts_first_and_the_mouth_follows_it(tmp_path: Path, name: str) -> None:
    truth = write_talking_head(tmp_path / name, seconds=3, seed=4, b_frames=2 * name.endswith("4"))
    with av.open(str(tmp_path / name)) as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        assert container.streams.audio[0].start_time == 0
    sound = np.concatenate(blocks).astype(np.float64)
    assert 0 <= len(sound) - truth["microphones"]["voice"]["samples_sent"] < 1024
    stamps_s = np.array(truth["cameras"]["front"]["stamps_ns"]) / 1e9
    assert stamps_s[0] == 0.4
    beeps_s = np.array(truth["flash_times_ns"]) / 1e9
    assert find_beeps(sound, 44_100) / 44_100 == pytest.approx(beeps_s, abs=1e-4)
    quiet = ~np.array([(np.abs(stamp - beeps_s - 0.05) < 0.1).any() for stamp in stamps_s])
    loudness = np.sqrt(np.convolve(sound**2, np.ones(882) / 882, "same"))[np.rint(stamps_s * 44_100).astype(int)]
    opening = mouth_opening(np.load(tmp_path / truth["landmarks"]))
    assert np.corrcoef(loudness[quiet], opening[quiet])[0, 1] > 0.95


def test_garbage_cannot_be_opened(tmp_path: Path) -> None:
    truth = write_garbage(tmp_path / "garbage.mp4")
    assert truth["kind"] == "garbage"
    with pytest.raises(av.error.FFmpegError):
        av.open(str(tmp_path / "garbage.mp4"))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, bench: Recording, speaker: Recording) -> None:
    assert write_mcap(tmp_path / "bench.mcap", seconds=3) == bench[1]
    assert (tmp_path / "bench.mcap").read_bytes() == bench[0].read_bytes()
    path = tmp_path / "Speaker One.MOV"
    assert write_talking_head(path, seconds=3, faceless_s=(1.0, 1.5)) == speaker[1]
    assert path.read_bytes() == speaker[0].read_bytes()


def small_demo(folder: Path) -> None:
    """Stands for the demo's recordings, which take seconds."""
    folder.mkdir()
    truth = {"generator": {"name": demo.GENERATOR, "version": demo.VERSION}, "recordings": {"garbage": {}}}
    (folder / demo.TRUTH).write_text(json.dumps(truth))


def test_the_demo_is_made_once_for_each_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_write_all", small_demo)
    folder = tmp_path / "demo" / "recordings"
    assert main([str(folder)]) == 0
    assert not make_demo(folder)
    assert list(read_truth(folder)) == ["garbage"]
    monkeypatch.setattr(demo, "VERSION", demo.VERSION + 1)
    assert make_demo(folder)
    assert [entry.name for entry in folder.parent.iterdir()] == ["recordings"]
    assert "made" in capsys.readouterr().out


def test_a_folder_of_other_files_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_write_all", small_demo)
    (tmp_path / "thesis.txt").write_text("precious")
    assert main([str(tmp_path)]) == 1
    assert "other files" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "precious"
