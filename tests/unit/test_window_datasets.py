"""Datasets of windows beside those cut from a rig: adopted from a folder, joined from others, packed and loaded."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from rushes.windows import Windows
from scripts.common import ledger, sample_index
from scripts.common.errors import ConfigError, InputError
from scripts.common.face_shape import relative_to_nose
from scripts.common.statistics import Moments, merge_all
from scripts.datasets import split_table
from scripts.datasets.adopt_windows import adopt_windows
from scripts.datasets.compute_stats import compute_stats
from scripts.datasets.extract_windows import extract_windows
from scripts.datasets.index_dataset import index_dataset
from scripts.datasets.pack_windows import pack_windows
from scripts.planning.plan import load
from tests.unit.examples import House, conformed_clock, conformed_frames, face_points, one_face, ramp
from tests.unit.test_extract_windows import LIMITS

ADOPTION = {"fps": "25", "rate_hz": 16_000, "window_frames": 64}


def write_windows(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Windows as the seed leaves them."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    files = [folder / f"{number:03d}.npz" for number in range(count)]
    for file in files:
        pose = random.uniform(0, 300, (64, 2, 68)).astype(np.float32)
        np.savez(file, pose=pose, audio=random.uniform(-1, 1, (1, 40_960)).astype(np.float32))
    return files


def adopt(source: Path, root: Path, recording: str, **changes: Any) -> dict[str, Path]:
    """What the rule makes of a speaker's folder."""
    names = ("windows", "index.parquet", "stats.npz", "ledger.parquet")
    made = {name: root / f"{recording}.{name}" for name in names}
    made["windows"] = root / "npz" / recording
    made["windows"].parent.mkdir(parents=True, exist_ok=True)
    adopt_windows(source, *made.values(), recording=recording, **ADOPTION, **changes)
    return made


def cut(root: Path, recording: str, frames: int) -> dict[str, Path]:
    """What the rule makes of a recording of one face, in windows of 64 frames that overlap by half."""
    root.mkdir(exist_ok=True)
    given = {what: root / f"{recording}.{what}" for what in ("frames", "sound.wav", "clock", "landmarks")}
    conformed_frames(frames).write(given["frames"])
    conformed_clock(frames).write(given["clock"])
    soundfile.write(given["sound.wav"], ramp(frames), 16_000, subtype="PCM_16")
    one_face(face_points(frames)).write(given["landmarks"])
    made = {what: root / f"{recording}.{what}" for what in ("windows", "index.parquet", "stats.npz", "ledger.parquet")}
    extract_windows(
        *given.values(), *made.values(), recording=recording, fps="25", window_frames=64, hop=32, limits=LIMITS,
        start_s=0.0, excluded=[],
    )  # fmt: skip
    return made


def test_windows_of_a_folder_are_adopted_without_a_copy(tmp_path):
    files = write_windows(tmp_path / "old" / "train" / "ann", 5)
    made = adopt(files[0].parent, tmp_path / "new", "ann")
    assert all(file.samefile(made["windows"] / f"ann_{file.name}") for file in files)
    poses = [np.load(file, allow_pickle=False)["pose"] for file in files]
    whole = np.concatenate([relative_to_nose(pose) for pose in poses])
    assert np.abs(Moments.read(made["stats.npz"]).mean - whole.mean(axis=0)).max() < 1e-9
    rows = ledger.rows(ledger.read([made["ledger.parquet"]]))
    assert [row.item for row in rows] == sample_index.read(made["index.parquet"])["sample"].to_pylist()
    assert len(rows) == 5


def test_what_is_no_window_fails_alone_with_what_is_wrong_with_it(tmp_path):
    good, short, wrong, broken, nan, pickled = write_windows(tmp_path / "ann", 6)
    arrays = dict(np.load(good, allow_pickle=False))
    np.savez(short, pose=arrays["pose"], audio=arrays["audio"][:, :100])
    np.savez(wrong, pose=arrays["pose"])
    broken.write_bytes(good.read_bytes()[:1000])
    np.savez(nan, pose=np.full((64, 2, 68), np.nan, np.float32), audio=arrays["audio"])
    np.savez(pickled, pose=np.array([{"a": 1}], object), audio=arrays["audio"])
    good.rename(good.with_name("it's good.npz"))
    made = adopt(tmp_path / "ann", tmp_path / "new", "ann")
    said = [row.message for row in ledger.rows(ledger.read([made["ledger.parquet"]]))]
    for message, part in zip(
        said, ["(1, 100)", "no `audio`", "no npz", "no numbers", "holds objects", "rename|letters"], strict=True
    ):
        assert any(word in message for word in part.split("|")), (message, part)
    assert not any("\n" in message or "allow_pickle" in message for message in said)
    assert not list(made["windows"].iterdir())


def test_a_window_with_an_array_that_no_loader_reads_fails_alone(tmp_path):
    good, odd = write_windows(tmp_path / "ann", 2)
    np.savez(odd, **np.load(good), words=np.array(["a", 1], object))
    np.savez(good, **np.load(good), words=np.array(["a", "b"]))
    made = adopt(tmp_path / "ann", tmp_path / "new", "ann")
    rows = ledger.rows(ledger.read([made["ledger.parquet"]]))
    assert [(row.outcome, row.reason) for row in rows] == [("written", ""), ("failed", "bad_window")]
    assert "001.npz: `words` is damaged, or holds objects of Python; write it anew" in rows[1].message
    assert [file.name for file in made["windows"].iterdir()] == ["ann_000.npz"]


def test_windows_that_lack_a_declared_feature_or_hold_another_shape_of_it_fail_alone(tmp_path):
    good, _, short, blank = write_windows(tmp_path / "ann", 4)
    wanted = ["raw", "log_mel", "pitch"]
    for file, rows, fill in ((good, 254, 0), (short, 253, 0), (blank, 254, np.nan)):
        features = {"log_mel": np.full((rows, 64), fill, np.float32), "pitch": np.zeros(254, np.float32)}
        np.savez(file, **np.load(file), **features)
    made = adopt(tmp_path / "ann", tmp_path / "new", "ann", features=wanted)
    found = [(row.outcome, row.message) for row in ledger.rows(ledger.read([made["ledger.parquet"]]))]
    assert found == [
        ("written", ""),
        ("failed", "001.npz has no `log_mel`"),
        ("failed", "002.npz: `log_mel` is float32 (253, 64), not floats (254, 64)"),
        ("failed", "003.npz: `log_mel` holds values that are no numbers"),
    ]


def test_what_an_adopted_window_holds_in_doubles_is_loaded_as_float32(tmp_path):
    (file,) = write_windows(tmp_path / "old" / "train" / "ann", 1)
    arrays = dict(np.load(file))
    double = {name: array.astype(np.float64) for name, array in arrays.items()}
    np.savez(file, **double, pitch=np.zeros(254), time_s=np.arange(64) / 25)
    (window,) = Windows(tmp_path / "old", "train", normalise=False)
    assert {name: array.dtype for name, array in window.items()} == {
        "pose": np.float32, "audio": np.float32, "pitch": np.float32, "time_s": np.float64
    }  # fmt: skip
    assert np.array_equal(window["pose"], arrays["pose"])


def test_an_npz_below_the_speaker_s_folder_is_a_row_and_the_case_of_an_ending_is_none(tmp_path):
    first, second = write_windows(tmp_path / "ann", 2)
    (tmp_path / "ann" / "sess2").mkdir()
    second.rename(tmp_path / "ann" / "sess2" / "x.npz")
    (tmp_path / "ann" / "UP.NPZ").write_bytes(first.read_bytes())
    (tmp_path / "ann" / "000.NPZ").write_bytes(first.read_bytes())
    (tmp_path / "ann" / "loop").symlink_to(tmp_path / "ann")
    made = adopt(tmp_path / "ann", tmp_path / "new", "ann")
    rows = ledger.rows(ledger.read([made["ledger.parquet"]]))
    assert [(row.outcome, row.reason) for row in rows] == [
        ("written", ""), ("failed", "same_name"), ("written", ""), ("failed", "bad_place")
    ]  # fmt: skip
    assert "sess2/x.npz lies too deep" in rows[-1].message
    assert sorted(file.name for file in made["windows"].iterdir()) == ["ann_000.npz", "ann_UP.npz"]


def test_a_window_that_would_be_called_as_another_speaker_s_is_a_row(tmp_path):
    (one,) = write_windows(tmp_path / "a", 1)
    (tmp_path / "a" / "b_000.npz").write_bytes(one.read_bytes())
    write_windows(tmp_path / "a_b", 1)
    made = adopt(tmp_path / "a", tmp_path / "new", "a", others=["a_b"])
    rows = ledger.rows(ledger.read([made["ledger.parquet"]]))
    assert [(row.outcome, row.reason) for row in rows] == [("written", ""), ("failed", "same_name")]
    assert "b_000.npz becomes a_b_000, as a window of a_b may be called; rename it" in rows[1].message
    other = adopt(tmp_path / "a_b", tmp_path / "new", "a_b")
    samples = [sample_index.read(m["index.parquet"])["sample"].to_pylist() for m in (made, other)]
    assert samples == [["a_000"], ["a_b_000"]]


def test_an_empty_folder_is_one_line(tmp_path):
    (tmp_path / "ann").mkdir()
    with pytest.raises(InputError, match="has no npz"):
        adopt(tmp_path / "ann", tmp_path / "new", "ann")


@pytest.fixture
def house(tmp_path, monkeypatch) -> House:
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    columns = ["recording", "rig", "source", "subject", "split"]
    house.sheet(columns, [["one", "booth", "a.mp4", "s1", "train"], ["two", "booth", "b.mp4", "s2", "val"]])
    house.files_of_sources("a.mp4", "b.mp4")
    house.datasets["booths"] = {"kind": "windows", "rig": "booth", "landmarks": "openseeface"}
    house.datasets["old"] = {"kind": "windows", "npz": "old"}
    house.datasets["both"] = {"kind": "windows", "from": ["booths", "old"], "formats": ["folders", "shards"]}
    write_windows(tmp_path / "old" / "train" / "ann", 1)
    write_windows(tmp_path / "old" / "val" / "bob", 1)
    return house


def test_a_joined_dataset_has_the_recordings_of_its_parts_in_their_splits(house):
    plan = load(house.config())
    both = plan.datasets["both"]
    assert both.splits == {"one": "train", "two": "val", "ann": "train", "bob": "val"}
    assert both.places == {"one": "../booths/", "two": "../booths/", "ann": "../old/", "bob": "../old/"}
    assert not both.own
    assert f"{plan.path.results}/datasets/both/shards/val" in plan.targets("datasets")
    assert len(plan.ledgers()) == len(set(plan.ledgers()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"both": {"kind": "windows"}}, "one of `rig`"),
        ({"both": {"kind": "windows", "from": ["booth"]}}, "did you mean `booths`"),
        ({"both": {"kind": "windows", "from": ["booths", "booths2"]}}, "did you mean `booths`"),
        ({"old": {"kind": "windows", "npz": "old", "frames": 32}}, "window_frames is 64 in booths and 32 in old"),
        ({"old": {"kind": "windows", "npz": "nowhere"}}, "nowhere is no folder"),
        ({"old": {"kind": "windows", "npz": "."}}, "no folder train/"),
        ({"old": {"kind": "windows", "npz": "old", "fps": "24000/1001"}}, "cannot be divided evenly"),
    ],
)
def test_what_cannot_be_joined_or_adopted_is_one_line(house, changes, said):
    house.datasets |= changes
    with pytest.raises(ConfigError, match=said):
        load(house.config())


def test_a_speaker_or_recording_of_two_places_is_refused(house, tmp_path):
    write_windows(tmp_path / "old" / "test" / "ann", 1)
    with pytest.raises(ConfigError, match="ann stands in train and in test"):
        load(house.config())
    (tmp_path / "old" / "test" / "ann").rename(tmp_path / "old" / "test" / "one")
    with pytest.raises(ConfigError, match="one stands in booths and in old"):
        load(house.config())
    (tmp_path / "old" / "test" / "one").rename(tmp_path / "old" / "test" / "s1")
    with pytest.raises(ConfigError, match="`s1` stands in train and, by old, in test"):
        load(house.config())


def test_a_model_on_windows_without_samples_is_refused_before_the_run(house):
    models = {"lips": {"kind": "speech_landmarks", "dataset": "booths"}}
    assert load(house.config(models=models)).rooms["models"].targets("models")
    house.datasets["booths"]["features"] = ["log_mel", "pitch"]
    del house.datasets["both"]
    said = (
        r"models.lips.dataset: the windows of {} hold no samples.*set datasets.booths.features: \[raw, log_mel, pitch\]"
    )
    with pytest.raises(ConfigError, match=said.format("booths")):
        load(house.config(models=models))
    house.datasets["joined"] = {"kind": "windows", "from": ["booths"]}
    models["lips"]["dataset"] = "joined"
    with pytest.raises(ConfigError, match=said.format("joined")):
        load(house.config(models=models))
    house.files_of_sources("talks/a.wav", "lips.ckpt")
    (house.root / "config" / "recordings.tsv").unlink()
    assert load(house.config(models=models, audio_dir="talks", checkpoint="lips.ckpt")).datasets == {}


def test_npz_that_no_speaker_s_folder_holds_are_listed_before_the_run(house, tmp_path):
    (window,) = (tmp_path / "old" / "train" / "ann").iterdir()
    for place in ("train/loose.npz", "validation/d/1.npz", "top.NPZ"):
        (tmp_path / "old" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "old" / place).write_bytes(window.read_bytes())
    with pytest.raises(
        ConfigError, match=r"must hold train/<speaker>.*: top\.NPZ, train/loose\.npz, validation/d/1\.npz"
    ):
        load(house.config())


def test_a_dataset_of_this_project_is_adopted_with_what_stands_beside_its_splits(house, tmp_path):
    for place in ("npz/ann", "windows"):
        write_windows(tmp_path / "old" / place, 1)
    (tmp_path / "old" / "card.json").write_text("{}")
    assert load(house.config()).datasets["old"].recordings == ("ann", "bob")


def test_the_recordings_whose_windows_may_be_called_alike_are_known(house, tmp_path):
    for name in ("ann_1", "ann_b", "anna"):
        write_windows(tmp_path / "old" / "train" / name, 1)
    plan = load(house.config())
    assert plan.datasets["both"].named_after("ann") == ["ann_1", "ann_b"]
    assert plan.datasets["booths"].named_after("one") == []


def joined(root: Path, speakers: dict[str, str]) -> Path:
    """Two adopted datasets and the one of both, made by the functions of the rules; speaker -> split."""
    made = {}
    for number, name in enumerate(speakers):
        source = root / "old" / name
        write_windows(source, 3 + number, seed=number)
        made[name] = adopt(source, root / "parts", name)
    both = root / "both"
    both.mkdir()
    split_table.write(root / "splits.tsv", {n: split_table.Membership(n, s) for n, s in speakers.items()})
    compute_stats(
        [m["stats.npz"] for m in made.values()], root / "splits.tsv", both / "lm_mean.npy", both / "lm_std.npy"
    )
    index_dataset(
        *([m[what] for m in made.values()] for what in ("index.parquet", "ledger.parquet")),
        root / "splits.tsv",
        both / "index.parquet",
        both / "card.json",
        dataset="both",
        settings={},
        places=dict.fromkeys(speakers, "../parts/"),
    )
    return both


SPEAKERS = {"ann": "train", "bob": "val", "cid": "train"}


def test_statistics_of_a_joined_dataset_are_those_of_all_its_train_windows(tmp_path):
    both = joined(tmp_path, SPEAKERS)
    train = sorted(p for name in ("ann", "cid") for p in (tmp_path / "old" / name).glob("*.npz"))
    values = np.concatenate([relative_to_nose(np.load(file)["pose"]) for file in train])
    mean, std = np.load(both / "lm_mean.npy"), np.load(both / "lm_std.npy")
    assert np.abs(mean - values.mean(axis=0)).max() < 1e-12 * 300
    assert np.abs(std - values.std(axis=0)).max() < 1e-12 * 300


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 2**31))
def test_merged_statistics_equal_a_full_recomputation_to_1e_12(sizes, seed):
    random = np.random.default_rng(seed)
    parts = [random.normal(0.3, 1, (size, 4)) for size in sizes]
    merged = merge_all((Moments.of(part) for part in parts), 4)
    whole = np.concatenate(parts)
    if len(whole):
        assert np.abs(merged.mean - whole.mean(axis=0)).max() < 1e-12
        assert np.abs(merged.std - whole.std(axis=0)).max() < 1e-12


def test_windows_are_loaded_normalised_from_files_shards_and_the_seeds_folders(tmp_path):
    both = joined(tmp_path, SPEAKERS)
    folders = [tmp_path / "parts" / "npz" / name for name in SPEAKERS]
    pack_windows(both / "index.parquet", folders, both / "shards" / "train", split="train", shard_samples=3)
    by_file, by_shard = Windows(both, "train"), Windows(both, "train", shards=True)
    assert len(by_file) == len(by_shard) == 3 + 5
    assert all(np.array_equal(a[k], b[k]) for a, b in zip(by_file, by_shard, strict=True) for k in ("pose", "audio"))
    poses = np.concatenate([window["pose"] for window in by_file]).reshape(-1, 136)
    moving = [point for point in range(136) if point % 68 != 33]
    assert np.abs(poses[:, moving].mean(axis=0)).max() < 1e-5
    assert np.abs(poses[:, moving].std(axis=0) - 1).max() < 1e-4
    pack_windows(both / "index.parquet", folders, both / "shards" / "val", split="val", shard_samples=3)
    (both / "shards" / "val").rename(both / "shards" / "test")
    with pytest.raises(ValueError, match=r"the shards of `test` hold \d+ windows that are not the index's 0"):
        Windows(both, "test", shards=True)
    seed = tmp_path / "seed"
    (seed / "train").mkdir(parents=True)
    for name in ("ann", "cid"):
        os.symlink(tmp_path / "old" / name, seed / "train" / name)
    for name in ("lm_mean.npy", "lm_std.npy"):
        (seed / name).write_bytes((both / name).read_bytes())
    assert np.array_equal(np.stack([w["pose"] for w in Windows(seed, "train")]), np.stack([w["pose"] for w in by_file]))
    with pytest.raises(FileNotFoundError, match="no windows of the split `test`"):
        Windows(both, "test")


def test_torch_and_numpy_read_the_same_batches(tmp_path):
    both = joined(tmp_path, SPEAKERS)
    windows = Windows(both, "train")
    by_torch = list(DataLoader(windows, batch_size=3))
    by_numpy = list(windows.batches(3))
    assert [len(batch["pose"]) for batch in by_torch] == [3, 3, 2]
    assert all(np.array_equal(a["audio"].numpy(), b["audio"]) for a, b in zip(by_torch, by_numpy, strict=True))
    orders = [np.concatenate([b["audio"][:, 0] for b in windows.batches(3, shuffle=True, epoch=e)]) for e in (0, 0, 1)]
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert np.array_equal(np.sort(orders[0]), np.sort(orders[2]))


def test_another_program_reads_the_shards(tmp_path):
    both = joined(tmp_path, SPEAKERS)
    folders = [tmp_path / "parts" / "npz" / name for name in SPEAKERS]
    pack_windows(both / "index.parquet", folders, both / "shards" / "val", split="val", shard_samples=3)
    urls = [str(path) for path in sorted((both / "shards" / "val").iterdir())]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == [f"bob_{number:03d}" for number in range(4)]
    assert json.loads(samples[0]["json"])["subject"] == "bob"
    assert np.load(io.BytesIO(samples[0]["npz"]))["pose"].shape == (64, 2, 68)
    with tarfile.open(urls[0]) as tar:
        assert {entry.mtime for entry in tar} == {0}


def test_names_with_dots_are_samples_of_their_own_in_a_shard(tmp_path):
    """Of `a.1_000` webdataset would take `a` for the key, and all windows of a recording for one sample."""
    (only,) = write_windows(tmp_path / "old" / "ann", 1)
    (only.parent / "000.1.npz").write_bytes(only.read_bytes())
    made = adopt(only.parent, tmp_path, "ann")
    split_table.write(tmp_path / "splits.tsv", {"ann": split_table.Membership("ann", "train")})
    index_dataset(
        [made["index.parquet"]], [made["ledger.parquet"]], tmp_path / "splits.tsv",
        tmp_path / "index.parquet", tmp_path / "card.json", dataset="d", settings={},
    )  # fmt: skip
    pack_windows(tmp_path / "index.parquet", [made["windows"]], tmp_path / "shards", split="train", shard_samples=3)
    (shard,) = (tmp_path / "shards").iterdir()
    samples = list(webdataset.WebDataset([str(shard)], shardshuffle=False, empty_check=False))
    assert [json.loads(sample["json"])["sample"] for sample in samples] == ["ann_000.1", "ann_000"]
    assert all(np.load(io.BytesIO(sample["npz"]))["pose"].shape == (64, 2, 68) for sample in samples)


def test_no_second_of_a_source_stands_in_two_splits_of_a_made_dataset(house, tmp_path):
    """Windows overlap, rows of the sheet do, and one source has two names: by the index, no second is in two splits."""
    sources = {f"r{number}": f"{number}.mp4" for number in range(6)} | {"again": "2.mp4", "linked": "link.mp4"}
    house.files_of_sources(*sorted(set(sources.values()) - {"link.mp4"}))
    (tmp_path / "link.mp4").symlink_to(tmp_path / "4.mp4")
    start_s = {"again": 2.0, "linked": 1.0}
    rows = [[name, "booth", source, f"{start_s.get(name, 0):g}", "6"] for name, source in sources.items()]
    house.sheet(["recording", "rig", "source", "start", "end"], rows)
    house.datasets = {"booths": {**house.datasets["booths"], "split": {"train": 0.4, "test": 0.2, "seed": 3}}}
    dataset = load(house.config()).datasets["booths"]
    made = [cut(tmp_path / "made", name, int((6 - start_s.get(name, 0)) * 25)) for name in dataset.recordings]
    split_table.write(
        tmp_path / "splits.tsv",
        {n: split_table.Membership(dataset.subjects[n], dataset.splits[n]) for n in dataset.recordings},
    )
    index_dataset(
        *([files[what] for files in made] for what in ("index.parquet", "ledger.parquet")),
        tmp_path / "splits.tsv", tmp_path / "index.parquet", tmp_path / "card.json", dataset="booths", settings={},
    )  # fmt: skip
    splits_of: dict[tuple[Path, int], set[str]] = {}
    for row in pq.read_table(tmp_path / "index.parquet", partitioning=None).to_pylist():
        source, begun = (tmp_path / sources[row["recording"]]).resolve(), start_s.get(row["recording"], 0)
        for frame in range(row["start_ns"] // 40_000_000, row["stop_ns"] // 40_000_000):
            splits_of.setdefault((source, int(begun + frame / 25)), set()).add(row["split"])
    assert set.union(*splits_of.values()) == {"train", "val", "test"}
    assert all(len(found) == 1 for found in splits_of.values())
