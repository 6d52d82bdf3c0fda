"""What a job asks for follows from its work: from frames that were counted, as soon as they are."""

from types import SimpleNamespace

import numpy as np
import pytest

from scripts.common.frame_table import FrameTable
from scripts.planning.resources import LONGEST_MIN, SHORTEST_MIN, Work, counted

WILDCARDS = SimpleNamespace(recording="walk")


def table(path, count):
    times = np.arange(count, dtype=np.int64)
    FrameTable.make(times, times * 1000).write(path)
    return str(path)


def work(megabytes=600.0, **site):
    return Work({"walk": SimpleNamespace(megabytes=megabytes)}, **site)


def minutes(work, path, attempt=1):
    runtime = work.per_frame("detect_keypoints", seconds=0.5, seconds_per_mb=1)
    return runtime(WILDCARDS, SimpleNamespace(frames=path), attempt)


def test_runtime_follows_the_counted_frames_and_doubles_with_each_attempt(tmp_path):
    path = table(tmp_path / "frames.parquet", 1200)
    assert minutes(work(), path) == SHORTEST_MIN + 10
    assert minutes(work(), path, attempt=3) == 4 * (SHORTEST_MIN + 10)


def test_several_tables_count_together_and_one_that_is_not_there_yet_counts_not_at_all(tmp_path):
    one, two = table(tmp_path / "a.parquet", 3), table(tmp_path / "b.parquet", 4)
    assert counted(one) == 3
    assert counted([one, two]) == 7
    assert counted([one, str(tmp_path / "c.parquet")]) is None


def test_before_frames_are_counted_megabytes_tell(tmp_path):
    assert minutes(work(), str(tmp_path / "later.parquet")) == SHORTEST_MIN + 10


def test_a_site_says_what_a_frame_takes_there(tmp_path):
    path = table(tmp_path / "frames.parquet", 1200)
    assert minutes(work(seconds_per_frame={"detect_keypoints": 1.0}), path) == SHORTEST_MIN + 20
    assert minutes(work(seconds_per_frame={"detect_boards": 9.0}), path) == SHORTEST_MIN + 10
    assert minutes(work(runtime_factor=2.0), path) == 2 * (SHORTEST_MIN + 10)


def test_a_large_weight_file_has_longer_to_come():
    weights = {"small.onnx": {}, "large.onnx": {"size_mb": 3000}, "vast.onnx": {"size_mb": 10**9}}
    runtime = work(runtime_factor=2.0).download(base=30, seconds_per_mb=2, weights=weights)
    found = [runtime(SimpleNamespace(weights=name), attempt) for name in weights for attempt in (1, 2)]
    assert found == [60, 120, 260, 520, 2 * LONGEST_MIN, 4 * LONGEST_MIN]


def test_no_first_attempt_asks_for_more_than_the_longest(tmp_path):
    path = table(tmp_path / "frames.parquet", 200_000)
    assert minutes(work(), path) == LONGEST_MIN


@pytest.mark.parametrize(("attempt", "wanted"), [(1, 1060), (2, 1590)])
def test_memory_follows_the_counted_frames(tmp_path, attempt, wanted):
    path = table(tmp_path / "frames.parquet", 600)
    memory = work().memory_per_frame(base_mb=1000, kb_per_frame=100, per_mb=1, of="aligned")
    assert memory(WILDCARDS, SimpleNamespace(aligned=path), attempt) == wanted
    assert memory(WILDCARDS, SimpleNamespace(aligned="none"), 1) == 1600
