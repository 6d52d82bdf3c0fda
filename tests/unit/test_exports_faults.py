"""What goes wrong with exports: sources that failed, jobs that break half way, and what the old system lost."""

import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rushes.synthetic.bars import read_number
from scripts.common import ledger, manifest
from scripts.common.empty import write_empty
from scripts.common.encoder import Coding
from scripts.common.ffmpeg_program import SoundEncoder
from scripts.common.job import execute
from scripts.common.product_writer import ProductWriter
from scripts.common.synchronised import Synchronised
from scripts.media import compress_audio as compress_module
from scripts.media import render_mosaic as mosaic_module
from scripts.media.compress_audio import compress_audio
from scripts.media.copy_matroska import copy_matroska
from scripts.media.cut_clips import cut_clips
from scripts.media.extract_all_frames import extract_all_frames
from scripts.media.extract_raw_audio import extract_raw_audio
from scripts.media.extract_stills import extract_stills
from scripts.media.link_aviary_names import link_aviary_names
from scripts.media.merge_video_audio import merge_video_audio
from scripts.media.render_mosaic import render_mosaic
from scripts.planning.plan import load
from tests.unit.examples import House
from tests.unit.side_by_side import decoded, stamps, write_camera, write_microphone

SCENE = {
    "rows": [["left", "right"]], "columns": 0, "explicit": False, "cell": [], "missing": "black", "fps": "own",
    "codec": "h264", "crf": 30, "preset": "ultrafast", "encoder": "cpu",
}  # fmt: skip
SOUND = {"sides": [["array"]], "codec": "aac", "kbps": 96, "rate_hz": 48_000}


def jobs(folder: Path):
    """Function, inputs, outputs and settings of every rule of the exports."""
    videos, frames = ([folder / f"{c}.{e}" for c in ("left", "right")] for e in ("mp4", "frames.parquet"))
    sounds, clocks = [folder / "array.wav"], [folder / "array.clock.json"]
    table = folder / "clips.csv"
    table.write_text("start,end\n0.1,0.3\n")
    grid = {"videos": videos, "frames": frames, "sounds": sounds, "clocks": clocks}
    common = {"recording": "take"}
    cameras, microphones = {"cameras": ["left", "right"]}, {"microphones": ["array"]}
    sound, frame, facts = (
        {"sound": sounds[0], "clock": clocks[0]},
        {"video": videos[0], "frames": frames[0]},
        {"manifest": folder / "manifest.json"},
    )
    made = folder / "exports"
    return [
        (
            render_mosaic,
            grid,
            {"video": made / "full.mp4", "instants": made / "full.instants.parquet", "ledger": made / "a.parquet"},
            {**common, **cameras, **microphones, "product": "full", "scene": SCENE, "sound": SOUND},
        ),
        (
            merge_video_audio,
            {"video": videos[0], "times": frames[0], "sounds": sounds, "clocks": clocks},
            {"video": made / "merge.mp4", "ledger": made / "b.parquet"},
            {**common, **microphones, "product": "merge", "sound": SOUND},
        ),
        (
            copy_matroska,
            {"video": videos[0], "frames": frames[0]},
            {"video": made / "left.mkv", "ledger": made / "i.parquet"},
            {**common, "product": "separate/left.mkv", "camera": "left", "tmpdir": folder},
        ),
        (
            extract_raw_audio,
            sound,
            {"raw": made / "array.raw", "ledger": made / "c.parquet"},
            {**common, "product": "audio/array.raw", "microphone": "array"},
        ),
        (
            compress_audio,
            sound,
            {"folder": made / "array.flac", "ledger": made / "d.parquet"},
            {**common, "product": "audio/array.flac", "microphone": "array", "coding": "flac"},
        ),
        (
            extract_stills,
            {**frame, **facts},
            {"folder": made / "left", "ledger": made / "e.parquet"},
            {**common, "product": "frame/left", "camera": "left", "every_s": 1, "quality": 90},
        ),
        (
            extract_all_frames,
            {"videos": videos, "frames": frames},
            {"folder": made / "allframes", "ledger": made / "f.parquet"},
            {**common, **cameras, "product": "allframes", "scene": SCENE, "views": ["grid"], "form": "folder",
             "shard_mb": 1, "quality": 90},
        ),
        (
            cut_clips,
            {**grid, **facts, "table": table},
            {"folder": made / "clips", "ledger": made / "g.parquet"},
            {**common, **cameras, **microphones, "product": "clips", "time": "auto", "zone": "UTC", "mode": "copy",
             "coding": {name: SCENE[name] for name in ("codec", "crf", "preset", "encoder")}},
        ),
        (
            link_aviary_names,
            {"files": videos, "frames": frames, "clocks": clocks, "raws": sounds, "instants": [], **facts},
            {"folder": made / "aviary", "ledger": made / "h.parquet"},
            {**common, **microphones, "product": "aviary", "names": ["a", "b"], "source": "x.bag"},
        ),
    ]  # fmt: skip


def test_a_recording_that_failed_gives_whole_empty_exports_and_one_row_each(tmp_path):
    for name in ("left.mp4", "right.mp4", "array.wav", "left.frames.parquet", "right.frames.parquet",
                 "array.clock.json", "manifest.json"):  # fmt: skip
        write_empty(tmp_path / name, name)
    for function, inputs, outputs, settings in jobs(tmp_path):
        execute(function, inputs=inputs, outputs=outputs, settings=settings)
        assert all(path.exists() for path in outputs.values())
        rows = ledger.rows(ledger.read([outputs["ledger"]]))
        assert [(row.item, row.outcome, row.reason) for row in rows] == [
            (settings["product"], "failed", ledger.UPSTREAM)
        ]
    assert len(Synchronised.read(tmp_path / "exports" / "full.instants.parquet")) == 0


def test_a_recording_that_is_whole_gives_whole_exports(tmp_path):
    tables = {name: write_camera(tmp_path, name, stamps(25, 1)) for name in ("left", "right")}
    write_microphone(tmp_path, "array", 1)
    streams = {name: manifest.picture_entry(table) for name, table in tables.items()}
    manifest.write(tmp_path / "manifest.json", recording="take", source=[], streams=streams)
    for function, inputs, outputs, settings in jobs(tmp_path):
        execute(function, inputs=inputs, outputs=outputs, settings=settings)
        rows = ledger.rows(ledger.read([outputs["ledger"]]))
        assert {row.outcome for row in rows} == {"written"}, rows


@pytest.mark.parametrize("stale", [False, True])
def test_what_breaks_half_way_leaves_no_half_file_under_its_name(tmp_path, monkeypatch, stale):
    """The old system killed each step after 120 s, and took what it left for done."""
    for name in ("left", "right"):
        write_camera(tmp_path, name, stamps(25, 1))
    write_microphone(tmp_path, "array", 1)
    monkeypatch.setattr(mosaic_module, "progress", breaking_at(3))
    monkeypatch.setattr(compress_module, "progress", breaking_at(1))
    for function, inputs, outputs, settings in jobs(tmp_path):
        if function not in (render_mosaic, compress_audio):
            continue
        if stale:
            outputs["ledger"].parent.mkdir(exist_ok=True)
            outputs["ledger"].write_bytes(b"of an earlier run")
        with pytest.raises(KeyboardInterrupt):
            execute(function, inputs=inputs, outputs=outputs, settings=settings)
        left = sorted(path.name for path in outputs["ledger"].parent.iterdir())
        assert left == ([outputs["ledger"].name] if stale else [])
        outputs["ledger"].unlink(missing_ok=True)


def breaking_at(count):
    calls = []

    def progress(*_):
        calls.append(1)
        if len(calls) >= count:
            raise KeyboardInterrupt

    return progress


def noise():
    pixels = np.random.default_rng(1).integers(0, 256, (720, 640), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="yuv420p")


def write_pictures(path, count):
    with ProductWriter(path, (640, 480), Coding("h264", 5, "ultrafast"), rate=Fraction(25)) as writer:
        for number in range(count):
            writer.write(noise(), number * 40_000)


def write_sound(path):
    sound = SoundEncoder(path, sample_format="s16le", rate_hz=48_000, channels=2, options=["-f", "wv"])
    for seed in range(20):
        sound.write(np.random.default_rng(seed).bytes(1_000_000))
    sound.close()


@pytest.mark.parametrize("write", [lambda path: write_pictures(path, 200), write_sound], ids=["pictures", "sound"])
def test_a_full_disk_is_said_as_one(write):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(OSError, match="No space left") as error:
        write(full)
    assert error.value.errno == errno.ENOSPC


def test_an_encoder_that_breaks_ends_the_job_and_does_not_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(ProductWriter, "_mux", lambda self, picture: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_pictures(tmp_path / "x.mp4", 50)


def test_ten_cameras_lose_none(tmp_path):
    """The old system had eight topics wired in, and lost two of ten."""
    cameras = [f"cam{index}" for index in range(10)]
    for index, name in enumerate(cameras):
        write_camera(tmp_path, name, stamps(25, 0.4)[: index + 1], size=(160, 120))
    render_mosaic(
        [tmp_path / f"{name}.mp4" for name in cameras],
        [tmp_path / f"{name}.frames.parquet" for name in cameras],
        [],
        [],
        tmp_path / "full.mp4",
        tmp_path / "full.instants.parquet",
        tmp_path / "full.ledger.parquet",
        recording="take",
        product="full",
        cameras=cameras,
        microphones=[],
        scene={**SCENE, "rows": [cameras]},
        sound={},
    )
    pictures = decoded(tmp_path / "full.mp4", 640, 360)
    assert len(pictures) == 10
    for index in range(10):
        row, column = divmod(index, 4)
        cell = pictures[:, row * 120 : row * 120 + 120, column * 160 : column * 160 + 160]
        wanted = [number if number <= index else None for number in range(10)]
        assert [read_number(picture) for picture in np.asarray(cell)] == wanted


def test_thirteen_bags_are_thirteen_jobs(tmp_path, monkeypatch):
    """The 13th task of the old system's 12-way array did nothing."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    names = [f"take{number:02d}" for number in range(13)]
    house.files_of_sources(*(f"{name}.bag" for name in names))
    house.sheet(["recording", "rig", "source"], [[name, "aviary", f"{name}.bag"] for name in names])
    house.rigs["aviary"]["exports"] = ["full"]
    made = load(house.config()).targets("media")
    assert [path for path in made if "/exports/" in path] == [
        f"results/exports/aviary/{name}/full.ledger.parquet" for name in names
    ]
