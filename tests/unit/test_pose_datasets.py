"""Windows of keypoints in space: which are taken, what stands in them, and what models make of them."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rushes.windows import Windows
from scripts.common import ledger, sample_index, table_file
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.keypoints import Poses, Skeleton
from scripts.common.statistics import Moments
from scripts.datasets import split_table
from scripts.datasets.compute_stats import compute_stats
from scripts.datasets.extract_poses import extract_poses
from scripts.datasets.index_dataset import index_dataset
from scripts.datasets.pack_windows import pack_windows

STEP_NS = 20_000_000
START_NS = 1_700_000_000_000_000_000
LIMITS = {"missing": 0.1, "error_px": 5.0, "gap": 0.1}
NAMES = ("nose", "tail", "paw")
OUTPUTS = ("windows", "index.parquet", "stats.npz", "ledger.parquet")


def moving(frames: int, people: int = 1, points: int = 3) -> np.ndarray:
    """Places float64 (people, frames, K, 3) that are all different."""
    return np.random.default_rng(0).normal(0, 100, (people, frames, points, 3)) + np.arange(people)[:, None, None, None]


def write_poses(folder: Path, xyz: np.ndarray, error_px: float = 1.0, names: tuple[str, ...] = NAMES) -> list[Path]:
    """The files that the rule reads. xyz: (P, F, K, 3); who is nowhere in a frame has no row there."""
    folder.mkdir(parents=True, exist_ok=True)
    people, frames, count = xyz.shape[:3]
    times = START_NS + np.arange(frames, dtype=np.int64) * STEP_NS
    person, frame = (axis.ravel() for axis in np.meshgrid(np.arange(people), np.arange(frames), indexing="ij"))
    kept = np.isfinite(xyz).any(axis=(2, 3)).ravel()
    person, frame, xyz = person[kept].astype(np.int32), frame[kept].astype(np.int64), xyz.reshape(-1, count, 3)[kept]
    rows = len(frame)
    Poses(
        Skeleton(names, ()),
        frame,
        person,
        times[frame],
        xyz,
        np.full((rows, count), error_px, np.float32),
        np.full((rows, count), 3, np.uint8),
        np.full((rows, count), 3, np.uint8),
        np.zeros((rows, count, 3, 3)),
        {"unit": "mm"},
    ).write(folder / "smoothed.parquet")
    AlignedFrames(("top",), times, np.arange(frames, dtype=np.int32)[:, None]).write(folder / "aligned.parquet")
    FrameTable.make(times // 1000, times).write(folder / "top.frames.parquet")
    return [folder / "smoothed.parquet", folder / "aligned.parquet", folder / "top.frames.parquet"]


def cut(folder: Path, xyz: np.ndarray, recording: str = "r", error_px: float = 1.0, **changes: Any) -> dict[str, Any]:
    """What the rule makes: its files, the rows of its ledger, and its samples."""
    poses, aligned, frames = write_poses(folder / "in" / recording, xyz, error_px, changes.pop("names", NAMES))
    made = {name: folder / f"{recording}.{name}" for name in OUTPUTS}
    made["windows"] = folder / "npz" / recording
    made["windows"].parent.mkdir(exist_ok=True)
    given = {"window_frames": 8, "hop": 4, "limits": LIMITS, "start_s": 0.0, "excluded": [], **changes}
    extract_poses(poses, aligned, [frames], *made.values(), recording=recording, **given)
    rows = ledger.rows(ledger.read([made["ledger.parquet"]]))
    return {**made, "rows": rows, "samples": sample_index.read(made["index.parquet"]).to_pylist()}


def test_every_window_of_the_common_frames_is_a_sample_with_its_points_and_times(tmp_path: Path) -> None:
    xyz = moving(22)
    made = cut(tmp_path, xyz)
    assert [sample["first_frame"] for sample in made["samples"]] == [0, 4, 8, 12]
    for sample in made["samples"]:
        first = sample["first_frame"]
        with np.load(tmp_path / sample["file"], allow_pickle=False) as arrays:
            np.testing.assert_allclose(arrays["pose"], xyz[0, first : first + 8].transpose(0, 2, 1), rtol=1e-6)
            assert arrays["time_ns"][0] == sample["start_ns"] == START_NS + first * STEP_NS
            assert tuple(arrays["names"]) == NAMES
    assert [row.outcome for row in made["rows"]] == ["written"] * 4


def test_each_person_has_windows_of_its_own_and_nobody_is_said_so(tmp_path: Path) -> None:
    xyz = moving(24, people=2)
    xyz[0, 12:] = np.nan
    xyz[1, :12] = np.nan
    made = cut(tmp_path, xyz, hop=8)
    assert [(s["sample"], s["track"]) for s in made["samples"]] == [("r_000000_0", 0), ("r_000016_1", 1)]
    both = [row for row in made["rows"] if row.item.startswith("r_000008")]
    assert [(row.item, row.reason, row.value) for row in both] == [
        ("r_000008_0", "missing", 0.5),
        ("r_000008_1", "missing", 0.5),
    ]
    xyz[:] = np.nan
    xyz[0, 20:] = 1.0
    empty = cut(tmp_path / "empty", xyz, hop=8)
    assert [row.reason for row in empty["rows"]] == ["no_pose", "no_pose", "missing"]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("missing", {"limits": {**LIMITS, "missing": 0.0}}),
        ("gap", {"limits": {**LIMITS, "gap": 0.019}}),
        ("error_px", {"error_px": 5.5}),
        ("excluded", {"excluded": [[0.1, 0.2, "escaped"]], "start_s": 0.0}),
    ],
)
def test_a_window_beyond_a_limit_is_filtered_with_the_value(tmp_path: Path, reason: str, changes: Any) -> None:
    xyz = moving(8)
    xyz[0, 3, 1] = np.nan
    (row,) = cut(tmp_path / reason, xyz, **changes)["rows"]
    assert (row.outcome, row.reason) == ("filtered", reason)
    assert row.value is not None
    assert row.limit is not None
    assert row.value > row.limit
    (sample,) = cut(tmp_path / "good", xyz, excluded=[[0.1, 0.2, "escaped"]], start_s=60.0)["samples"]
    with np.load(tmp_path / "good" / sample["file"], allow_pickle=False) as arrays:
        assert np.isnan(arrays["pose"]).sum() == 3


def test_a_recording_shorter_than_a_window_and_one_that_failed_say_so(tmp_path: Path) -> None:
    (row,) = cut(tmp_path, moving(7))["rows"]
    assert (row.reason, row.value, row.limit) == ("short", 7, 8)
    poses, aligned, frames = write_poses(tmp_path / "failed", moving(9))
    table_file.write(poses, sample_index.SCHEMA.empty_table().select([]))
    with pytest.raises(InputError, match="it has no poses"):
        extract_poses(
            poses, aligned, [frames], *(tmp_path / name for name in "abcd"), recording="r", window_frames=8, hop=4,
            limits=LIMITS, start_s=0.0, excluded=[],
        )  # fmt: skip


def test_statistics_are_of_points_about_their_middle_and_the_loader_undoes_them(tmp_path: Path) -> None:
    folder = tmp_path / "postures"
    folder.mkdir()
    xyz = {name: moving(40) + np.array([500.0, 0, 0]) for name in ("a", "b")}
    xyz["b"][0, 5, 2] = np.nan
    made = {name: cut(folder, points, name, hop=8) for name, points in xyz.items()}
    members = {
        name: split_table.Membership(split=split, subject=name) for name, split in (("a", "train"), ("b", "val"))
    }
    split_table.write(folder / "splits.tsv", members)
    compute_stats(
        [found["stats.npz"] for found in made.values()],
        folder / "splits.tsv",
        folder / "lm_mean.npy",
        folder / "lm_std.npy",
    )
    inputs = [[found[name] for found in made.values()] for name in ("index.parquet", "ledger.parquet")]
    index_dataset(
        *inputs, folder / "splits.tsv", folder / "index.parquet", folder / "card.json", dataset="postures",
        settings={"kind": "poses"},
    )  # fmt: skip
    points = xyz["a"][0, :40].transpose(0, 2, 1)
    middle = (points - points.mean(axis=2, keepdims=True)).reshape(40, 9)
    mean, std = np.load(folder / "lm_mean.npy"), np.load(folder / "lm_std.npy")
    np.testing.assert_allclose(mean, middle.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(std, middle.std(axis=0), atol=1e-4)
    pack_windows(folder / "index.parquet", [made["a"]["windows"]], folder / "shards", split="train", shard_samples=10)
    with tarfile.open(next((folder / "shards").glob("*.tar"))) as tar:
        member = next(member for member in tar if member.name.endswith(".npz"))
        content = tar.extractfile(member)
        assert content is not None
        with np.load(io.BytesIO(content.read()), allow_pickle=False) as arrays:
            assert arrays["pose"].shape == (8, 3, 3)
    windows = Windows(folder, "val")
    assert windows[0]["pose"].shape == (8, 9)
    assert np.isnan(windows[0]["pose"]).sum() == 3
    seen = xyz["b"][0, 8:16].transpose(0, 2, 1)
    wanted = ((seen - seen.mean(axis=2, keepdims=True)).reshape(8, 9) - mean) / (std + 1e-6)
    np.testing.assert_allclose(windows[1]["pose"], wanted, rtol=1e-4, atol=1e-4)


def test_recordings_with_other_keypoints_are_not_mixed(tmp_path: Path) -> None:
    stats = [
        cut(tmp_path, moving(8), "a")["stats.npz"],
        cut(tmp_path, moving(8, points=2), "b", names=("nose", "tail"))["stats.npz"],
    ]
    members = {name: split_table.Membership(split="train", subject=name) for name in "ab"}
    split_table.write(tmp_path / "splits.tsv", members)
    with pytest.raises(RunError, match="need the same points"):
        compute_stats(stats, tmp_path / "splits.tsv", tmp_path / "mean.npy", tmp_path / "std.npy")
    Moments.empty(136).write(stats[1])
    compute_stats(stats, tmp_path / "splits.tsv", tmp_path / "mean.npy", tmp_path / "std.npy")
    assert np.load(tmp_path / "mean.npy").shape == (9,)
