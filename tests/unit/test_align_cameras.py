"""Frames that belong together are found by stamps, triggers, a flash, a clap, or a table made by hand."""

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from scripts.cameras.align_cameras import align_cameras, clap_ns, flash_ns
from scripts.cameras.frame_numbers import Triggers, align_given, align_triggers, read_triggers, unrolled
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.clock import Clock
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from tests.unit.arena_room import room
from tests.unit.examples import every_ms
from tests.unit.made_media import Pictures, write_media


def table(count: int, step_ms: float = 33.3, start_ms: float = 0) -> FrameTable:
    times = every_ms(step_ms, count, start_ms)
    return FrameTable.make((times - times[0]) // 1000, times)


def numbers_of(path: Path) -> list[int]:
    with path.open() as file:
        return [int(row["frame_id"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("camera", ["basler", "flir"])
def test_losses_that_a_counter_did_not_count_are_found_by_the_stamps(data, camera):
    folder = data / "multicam" / "dattalab_acquisition_csv"
    found = read_triggers(folder / f"example.corrupted.{camera}.metadata.csv")
    assert found.numbers.tolist() == numbers_of(folder / f"corrected.example.corrupted.{camera}.metadata.csv")
    assert found.corrected == 3
    whole = read_triggers(folder / f"example.{camera}.metadata.csv")
    assert whole.numbers.tolist() == list(range(1, 301))
    assert whole.corrected == 0


def test_frames_of_the_same_trigger_stand_in_one_row_and_dropped_ones_are_missing(data):
    folder = data / "multicam" / "dattalab_acquisition_csv"
    triggers = {
        "top": read_triggers(folder / "example.flir.metadata.csv"),
        "side": read_triggers(folder / "example.corrupted.basler.metadata.csv"),
    }
    aligned = align_triggers(triggers, {"top": table(300), "side": table(295)})
    assert len(aligned) == 300
    assert (aligned.of("top") == np.arange(300)).all()
    assert np.flatnonzero(aligned.of("side") < 0).tolist() == [24, 46, 51, 52, 100]
    assert np.abs(np.diff(aligned.time_ns) - 33.3e6).max() < 1e6


@given(st.integers(0, 65535), st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_a_counter_of_16_bits_that_comes_round_goes_on(first, steps):
    true = first + np.concatenate([[0], np.cumsum(steps)])
    wrapped = true % 65536
    # One that never had so many bits is a counter of fewer.
    assume(wrapped.max() >= 256)
    assert (unrolled(wrapped) == true).all()


def test_a_table_with_more_rows_than_its_video_has_frames_is_refused():
    triggers = {"a": Triggers(np.arange(10), None, 0)}
    with pytest.raises(InputError, match="its table has 10 rows, its video 9 frames"):
        align_triggers(triggers, {"a": table(9)})


def test_a_number_that_stands_twice_is_refused():
    with pytest.raises(InputError, match="stands there twice"):
        unrolled(np.array([1, 2, 2, 3]))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([*range(50), *range(50)], "falls from 49 to 0 at row 51"),
        ([60_000, 7], "falls from 60000 to 7 at row 2"),
        ([1, 2**33, 2], "falls from 8589934592 to 2 at row 3"),
    ],
)
def test_a_counter_that_began_anew_has_not_come_round(numbers, said):
    with pytest.raises(InputError, match=said):
        unrolled(np.array(numbers))


@pytest.mark.parametrize(("numbers", "said"), [("0.5\n1.7", "0.5 in row 1"), ("1\n1e30", r"1e\+30 in row 2")])
def test_a_number_of_a_trigger_is_whole(tmp_path, numbers, said):
    path = tmp_path / "a.csv"
    path.write_text(f"frame_id\n{numbers}\n")
    with pytest.raises(InputError, match=f"`frame_id` has {said}, which is no whole number"):
        read_triggers(path)


def test_a_table_made_by_hand_is_taken_by_the_names_of_cameras(tmp_path):
    path = tmp_path / "aligned_frame_numbers.csv"
    path.write_text("trigger,side,Desktop,top\n1,0,5,0\n2,NaN,6,1\n3,1,7,\n")
    aligned = align_given(path, ["top", "side"], {"top": table(3), "side": table(3)})
    assert aligned.of("top").tolist() == [0, 1, -1]
    assert aligned.of("side").tolist() == [0, -1, 1]
    path.write_text("Desktop,side\n0,0\n")
    with pytest.raises(InputError, match="it has no column `top`"):
        align_given(path, ["top"], {"top": table(3)})
    path.write_text("top\n0\n3\n")
    with pytest.raises(InputError, match=r"line 3: `3` is no frame of top, which has 3"):
        align_given(path, ["top"], {"top": table(3)})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bytes(range(256)), "is no text"),
        (b'frame_id\n"' + b"1" * 200_000 + b'"\n', "is not as a csv has it"),
        (b"frame_id,x\n\n", "it has no rows"),
        (b"time,x\n1,2,3\n", "none of its columns is called frame_id"),
    ],
    ids=["bytes", "cell", "rows", "columns"],
)
def test_a_table_that_is_none_is_one_line_with_its_name(tmp_path, content, said):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"a.csv.*{said}") as caught:
        read_triggers(path)
    assert caught.value.reason == "bad_table"
    with pytest.raises(InputError, match=r"a\.csv"):
        align_given(path, ["top"], {"top": table(3)})


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_a_table_may_be_in_any_encoding_that_spreadsheets_write(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("frame_id,größe\n1,2\n2,3\n".encode(encoding))
    assert read_triggers(path).numbers.tolist() == [1, 2]
    path.write_bytes("top,größe\n0,2\n1\n".encode(encoding))
    assert align_given(path, ["top"], {"top": table(3)}).of("top").tolist() == [0, 1]


def test_spaces_around_the_names_of_columns_hide_none(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("frame_id, timestamp\n1, 2\n2, 3\n3, 5\n4, 6\n")
    found = read_triggers(path)
    assert found.numbers.tolist() == [1, 2, 4, 5]
    assert found.corrected == 1


def test_a_row_of_empty_cells_is_a_common_frame_that_no_camera_has(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("top,side\n0,0\n,\n1,1\n\n")
    assert align_given(path, ["top"], {"top": table(3)}).of("top").tolist() == [0, -1, 1]


def by_hand(tmp_path, columns: dict[str, list[int | None]], tables: dict[str, FrameTable]) -> AlignedFrames:
    """A table made by hand of frames by camera, None for a dropped one."""
    rows = [
        ",".join("NaN" if cell is None else str(cell) for cell in row) for row in zip(*columns.values(), strict=True)
    ]
    path = tmp_path / "aligned_frame_numbers.csv"
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return align_given(path, list(columns), tables)


def test_rows_of_a_table_made_by_hand_are_a_period_apart_whichever_cameras_have_them(tmp_path):
    # Files begin at 0 whenever their camera began, and leave no time where a frame was dropped.
    top = [*range(60), None, *range(60, 99), *[None] * 20]
    side = [*[None] * 30, *range(10), None, None, *range(10, 88)]
    aligned = by_hand(tmp_path, {"side": side, "top": top}, {"side": table(88, 40), "top": table(99, 40)})
    assert aligned.time_ns.tolist() == [row * 40_000_000 for row in range(120)]


def test_a_table_made_by_hand_keeps_the_clock_of_its_fullest_camera(tmp_path):
    generator = np.random.default_rng(0)
    true = 10**18 + np.arange(200) * 40_000_000 + generator.integers(-900_000, 900_000, 200)
    true[120:] += 10**9
    clocks = {"top": true, "side": true + 7_000_000 + generator.integers(-900_000, 900_000, 200)}
    columns, tables = {}, {}
    for name, rest in (("side", 3), ("top", 9)):
        frames = [None if n % 10 == rest or n < rest else 0 for n in range(200)]
        shown = [n for n, frame in enumerate(frames) if frame is not None]
        columns[name] = [shown.index(n) if n in shown else None for n in range(200)]
        times = clocks[name][shown]
        tables[name] = FrameTable.make((times - times[0]) // 1000, times)
    aligned = by_hand(tmp_path, columns, tables)
    fullest = np.array([cell is not None for cell in columns["side"]])
    assert (aligned.time_ns[fullest] == clocks["side"][fullest]).all()
    assert np.abs(aligned.time_ns - clocks["side"]).max() < 3_000_000
    assert (np.diff(aligned.time_ns) > 0).all()


@pytest.mark.parametrize("cell", [0, None])
def test_a_table_of_one_row_or_of_none_with_a_frame_is_no_trouble(tmp_path, cell):
    aligned = by_hand(tmp_path, {"top": [cell]}, {"top": table(1, 40, 120)})
    assert aligned.time_ns.tolist() == [120_000_000 if cell == 0 else 0]


def test_cameras_without_a_frame_in_common_fail_and_say_what_to_look_at(tmp_path):
    files, tables = [], []
    for name, first in (("a", 65_530), ("b", 65_560)):
        table(20, 10).write(tmp_path / f"{name}.frames.parquet")
        numbers = (first + np.arange(20)) % 65_536
        (tmp_path / f"{name}.csv").write_text("frame_id\n" + "".join(f"{n}\n" for n in numbers))
        files.append(tmp_path / f"{name}.frames.parquet")
        tables.append(tmp_path / f"{name}.csv")
    with pytest.raises(
        InputError, match="r: by triggers, no frame of a camera belongs to one of another; their"
    ) as caught:
        align_cameras(
            files, [], [], [], tables, tmp_path / "o", tmp_path / "l", recording="r", cameras=["a", "b"], by="triggers"
        )
    assert caught.value.reason == "no_common_frame"


def test_stamps_bring_together_what_stands_at_the_same_time_and_dropped_frames_are_missing():
    root, truth = room()
    aligned = AlignedFrames.read(root / "cube.aligned.parquet")
    assert len(aligned) == truth["cube"]["frames"]
    for name, facts in truth["cube"]["cameras"].items():
        shown = aligned.of(name)
        assert np.flatnonzero(shown < 0).tolist() == facts["dropped"]
        assert shown[shown >= 0].tolist() == list(range(len(facts["numbers"])))


def aligned_by(folder: Path, by: str, tables: list[Path], **cameras: FrameTable) -> AlignedFrames:
    files = []
    for name, mine in cameras.items():
        files.append(folder / f"{name}.frames.parquet")
        mine.write(files[-1])
    out = folder / "aligned.parquet"
    names = {"recording": "r", "cameras": list(cameras), "by": by}
    align_cameras(files, [], [], [], tables, out, folder / "l.parquet", **names)
    return AlignedFrames.read(out)


def test_a_camera_of_half_the_rate_is_in_every_other_common_frame(tmp_path):
    aligned = aligned_by(tmp_path, "stamps", [], fast=table(20, 1000 / 60), slow=table(10, 1000 / 30))
    assert aligned.of("fast").tolist() == list(range(20))
    assert aligned.of("slow")[::2].tolist() == list(range(10))
    assert (aligned.of("slow")[1::2] < 0).all()


def test_a_flash_is_the_frame_in_which_it_becomes_bright():
    luma = np.full(20, 80.0)
    luma[7:9] = 160
    assert flash_ns(luma, table(20, 40), "top") == 280_000_000
    # Light that comes on within an exposure, and a second flash.
    luma[6], luma[15] = 110, 170
    assert flash_ns(luma, table(20, 40), "top") == 280_000_000
    with pytest.raises(InputError, match="no frame is suddenly bright"):
        flash_ns(80 + 10 * np.sin(np.arange(20)), table(20, 40), "top")


def test_cameras_that_started_apart_are_aligned_by_a_flash_in_their_pictures(tmp_path):
    frames, videos = [], []
    for name, flash in (("a", 9), ("b", 4)):
        pictures = Pictures(
            [Fraction(n, 25) for n in range(20)], draw=lambda n, flash=flash: _lit(200 if n == flash else 90)
        )
        videos.append(write_media(tmp_path / f"{name}.mp4", pictures))
        frames.append(tmp_path / f"{name}.frames.parquet")
        table(20, 40).write(frames[-1])
    out = tmp_path / "aligned.parquet"
    align_cameras(
        frames, videos, [], [], [], out, tmp_path / "l.parquet", recording="r", cameras=["a", "b"], by="flash"
    )
    aligned = AlignedFrames.read(out)
    both = (aligned.shown >= 0).all(axis=1)
    assert both.sum() == 15
    assert set((aligned.of("a") - aligned.of("b"))[both].tolist()) == {5}


def _lit(level: int) -> np.ndarray:
    return np.full((64, 64), level, np.uint8)


def test_cameras_that_started_apart_are_aligned_by_their_clap(tmp_path):
    generator = np.random.default_rng(0)
    frames, sounds, clocks = [], [], []
    for name, start_s in (("a", 0.0), ("b", 0.2)):
        sound = generator.normal(0, 0.001, 16_000)
        clap = round((0.5 - start_s) * 16_000)
        sound[clap : clap + 200] = 0.7
        soundfile.write(tmp_path / f"{name}.wav", sound, 16_000, subtype="PCM_16")
        Clock(0, 16_000.0, 16_000, 16_000, 1).write(tmp_path / f"{name}.clock.json")
        table(20, 40).write(tmp_path / f"{name}.frames.parquet")
        frames.append(tmp_path / f"{name}.frames.parquet")
        sounds.append(tmp_path / f"{name}.wav")
        clocks.append(tmp_path / f"{name}.clock.json")
    out = tmp_path / "aligned.parquet"
    align_cameras(
        frames, [], sounds, clocks, [], out, tmp_path / "l.parquet", recording="r", cameras=["a", "b"], by="clap"
    )
    aligned = AlignedFrames.read(out)
    both = (aligned.shown >= 0).all(axis=1)
    assert set((aligned.of("a") - aligned.of("b"))[both].tolist()) == {5}
    assert ledger.rows(ledger.read([tmp_path / "l.parquet"]))[0].outcome == "written"
    soundfile.write(tmp_path / "a.wav", generator.normal(0, 0.1, 16_000), 16_000, subtype="PCM_16")
    with pytest.raises(InputError, match="no sound stands out"):
        clap_ns(tmp_path / "a.wav", Clock.read(clocks[0]), "a")


def test_a_camera_whose_import_failed_fails_the_alignment_and_is_named(tmp_path):
    table(3).write(tmp_path / "a.parquet")
    FrameTable.empty().write(tmp_path / "b.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    with pytest.raises(InputError, match="b: its import failed") as caught:
        align_cameras(
            files, [], [], [], [], tmp_path / "o", tmp_path / "l", recording="r", cameras=["a", "b"], by="stamps"
        )
    assert caught.value.reason == ledger.UPSTREAM


def test_a_table_of_common_frames_comes_back_as_it_was_written(tmp_path):
    aligned = AlignedFrames(("top", "b"), np.array([0, 10, 20]), np.array([[0, -1], [1, 0], [-1, 1]], np.int32))
    aligned.write(tmp_path / "a.parquet")
    again = AlignedFrames.read(tmp_path / "a.parquet")
    assert again.cameras == aligned.cameras
    assert (again.shown == aligned.shown).all()
    assert (again.time_ns == aligned.time_ns).all()
    assert len(AlignedFrames.read(_empty(tmp_path / "e.parquet"))) == 0


def _empty(path: Path) -> Path:
    from scripts.common.empty import write_empty

    write_empty(path, "aligned.parquet")
    return path
