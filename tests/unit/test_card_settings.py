"""Which settings make another dataset of a dataset, and which do not."""

from typing import Any

import pytest

from scripts.planning.card_settings import of_frames, of_windows
from scripts.planning.plan import load
from tests.unit.examples import House

COLUMNS = ["recording", "rig", "source", "subject", "split", "labels"]
WINDOWS: dict[str, Any] = {"kind": "windows", "rig": "booth", "landmarks": "openseeface"}
ACTS: dict[str, Any] = {"kind": "frames", "rig": "booth"}


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("train.mp4", "val.mp4", "test.mp4", "labels.csv", "sync.onnx", "npz/train/Ann/a.npz")
    splits = ("train", "val", "test")
    house.sheet(COLUMNS, [[split, "booth", f"{split}.mp4", split, split, "labels.csv"] for split in splits])
    return house


def on_card(house, entry, **changes):
    plan = load(house.config(datasets={"visemes": WINDOWS, "d": entry}, **changes))
    if entry["kind"] == "frames":
        return of_frames(plan.rooms["frames"].datasets["d"].entry)
    return of_windows(plan.datasets["d"], plan.config["datasets"]["d"])


@pytest.mark.parametrize(
    ("entry", "same"),
    [
        (WINDOWS, {"formats": ["folders", "shards"]}),
        (WINDOWS, {"formats": ["shards"], "shard_samples": 7}),
        (WINDOWS, {"hop": 32}),
        (WINDOWS, {"camera": "front", "microphone": "voice", "fps": "25/1"}),
        (WINDOWS, {"limits": {"low_sync": 5, "sync_offset": 2}}),
        ({"kind": "windows", "npz": "npz"}, {"limits": {"jump": 1}, "hop": 3, "split": {"seed": 1}}),
        ({"kind": "windows", "from": ["visemes"]}, {"limits": {"jump": 1}, "speaker": "active"}),
        (ACTS, {"formats": ["folders", "webdataset", "clips"]}),
        (ACTS, {"clips": {"crf": 30}, "shard_rows": 10}),
    ],
)
def test_how_a_dataset_is_written_or_said_makes_no_other(house, entry, same):
    assert on_card(house, {**entry, **same}) == on_card(house, entry)


@pytest.mark.parametrize(
    ("entry", "other"),
    [
        (WINDOWS, {"hop": 16}),
        (WINDOWS, {"frames": 32}),
        (WINDOWS, {"limits": {"jump": 0.5}}),
        (WINDOWS, {"landmarks": "fan"}),
        (WINDOWS, {"speaker": "largest"}),
        (WINDOWS, {"features": ["raw", "pitch"]}),
        (WINDOWS, {"split": {"seed": 1}}),
        ({"kind": "windows", "npz": "npz"}, {"rate_hz": 8000}),
        (ACTS, {"size": 96}),
        (ACTS, {"classes": ["walk"]}),
        (ACTS, {"split": {"seed": 1}}),
    ],
)
def test_what_decides_what_stands_in_a_dataset_makes_another(house, entry, other):
    assert on_card(house, {**entry, **other}) != on_card(house, entry)


def test_limits_of_lips_and_sound_decide_where_a_model_scores_them(house):
    scored = {"faces": {"sync": {"model": "sync.onnx"}}}
    strict = {**WINDOWS, "limits": {"low_sync": 5}}
    assert on_card(house, strict, **scored) != on_card(house, WINDOWS, **scored)
    assert on_card(house, strict, **scored)["limits"]["low_sync"] == 5
    assert "low_sync" not in on_card(house, strict)["limits"]
