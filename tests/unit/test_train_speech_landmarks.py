"""Training from speech to landmarks: what it learns, what it leaves behind, and what a kill costs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.common.sound_features import FEATURES
from scripts.models.checkpoint import Identity, read_checkpoint
from scripts.models.fitting import hand_over
from scripts.models.landmark_layout import LAYOUT, in_pixels, normalised
from scripts.models.log_mel import LogMel
from scripts.models.measures import figures, pck
from tests.unit.examples import REPO
from tests.unit.speech_model import train
from tests.unit.talking_windows import write_dataset

pytestmark = pytest.mark.torch

# The better baseline's error, at most this share of it on recordings of people whom the model has never heard.
GOAL = 0.7


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """12 recordings to learn from, 2 to choose by and 2 held out, each of another person."""
    splits = ["train"] * 12 + ["val"] * 2 + ["test"] * 2
    folder = tmp_path_factory.mktemp("talking")
    return write_dataset(folder, {f"r{number:02d}": split for number, split in enumerate(splits)}, hop=16)


@pytest.fixture(scope="module")
def trained(talking, tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    train(talking, root / "out", root / "working", epochs=24, checkpoint_every=8, sample_every=10, samples=2)
    return root / "out"


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    """Two recordings of three windows each: enough to train, not to learn."""
    return write_dataset(tmp_path_factory.mktemp("little"), {"a": "train", "b": "val"}, seconds=5.2)


def weights(folder: Path, name: str = "last.ckpt") -> dict[str, "torch.Tensor"]:
    return read_checkpoint(folder / "checkpoints" / name)["state_dict"]


def equal(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_small_model_beats_both_baselines_on_held_out_recordings(trained):
    found = json.loads((trained / "metrics.json").read_text())
    held_out = found["test"]
    assert held_out["l1_px"] <= GOAL * min(held_out["l1_px_mean_face"], held_out["l1_px_first_frame"])
    assert held_out["ratio"] == pytest.approx(
        held_out["l1_px"] / min(held_out["l1_px_mean_face"], held_out["l1_px_first_frame"])
    )
    assert found["windows"] == {"train": 180, "val": 30, "test": 30}


def test_the_mouth_follows_the_sound_and_not_the_first_frame_alone(trained, talking):
    """With another sound and the same first frame, the mouth opens otherwise, by the other sound's loudness."""
    from scripts.models.speech_training import SpeechTraining
    from scripts.models.window_samples import Windows, files_of

    read = read_checkpoint(trained / "checkpoints" / "best.ckpt")
    training = SpeechTraining(Identity.of(read, "best.ckpt"))
    training.load_state_dict(read["state_dict"])
    training.eval()
    mean, std = np.load(talking["mean"]), np.load(talking["std"])
    windows = Windows(files_of(talking["index"], "test"), mean, std)
    gaps = []
    with torch.inference_mode():
        for window in (windows[0], windows[7], windows[20]):
            said = training.network(window["sound"][None], torch.zeros(1, 136))[0].numpy()
            face, true = in_pixels(said, mean, std), in_pixels(window["pose"].numpy(), mean, std)
            gaps.append(np.corrcoef(face[:, 1, 66] - face[:, 1, 62], true[:, 1, 66] - true[:, 1, 62])[0, 1])
    assert min(gaps) > 0.7


def test_checkpoints_are_the_best_the_last_and_every_eighth_with_the_step_in_the_name(trained):
    steps = -(-180 // 16)
    names = {f"epoch_{epoch:05d}.step_{epoch * steps:07d}.ckpt" for epoch in (8, 16, 24)}
    assert {file.name for file in (trained / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", *names}
    assert equal(weights(trained), weights(trained, f"epoch_00024.step_{24 * steps:07d}.ckpt"))


def test_a_checkpoint_says_what_it_is_for_and_is_read_without_pickle(trained, talking):
    read = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    identity = Identity.of(read, "last.ckpt")
    assert identity.mean == np.load(talking["mean"]).tolist()
    assert identity.std == np.load(talking["std"]).tolist()
    assert (identity.rate_hz, identity.fps, identity.frames) == (16_000, "25", 64)
    assert (identity.features, identity.layout) == (FEATURES, LAYOUT)
    assert len(identity.card_sha256) == 64


def test_samples_hold_prediction_truth_and_sound(trained):
    folders = sorted(folder.name for folder in (trained / "val_samples").iterdir())
    assert folders == ["epoch_00010", "epoch_00020", "epoch_00024", "epochs_plot"]
    for file in (trained / "val_samples" / "epoch_00010").iterdir():
        with np.load(file, allow_pickle=False) as arrays:
            assert set(arrays) == {"pred", "gt", "audio"}
            assert arrays["pred"].shape == arrays["gt"].shape == (64, 2, 68)
            assert arrays["audio"].shape == (1, 40_960)
            assert np.abs(arrays["gt"][:, :, 33]).max() == 0
            assert np.abs(arrays["pred"] - arrays["gt"]).mean() < 5


def test_the_end_leaves_pictures_a_video_with_sound_and_logs_for_tensorboard(trained):
    plot = trained / "val_samples" / "epochs_plot"
    assert len(list(plot.glob("*.png"))) == 2
    with av.open(str(plot / "epochs.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 64
        assert video.streams.audio
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "tf_logs"))
    events.Reload()
    assert len(events.Scalars("val_l1")) == 24


def test_training_ends_in_the_ledger(trained):
    (row,) = ledger.rows(ledger.read([trained / "ledger.parquet"]))
    assert (row.step, row.item, row.outcome) == ("train_speech_landmarks", "lips", "written")


def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_been(little, tmp_path):
    folder, working = little["index"].parent, tmp_path / "working"
    changes = {"epochs": 40, "batch": 2, "sound_only": 0.5}
    command = [sys.executable, "-m", "tests.unit.speech_model", str(folder), str(tmp_path / "x"), str(working)]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    job = subprocess.Popen([*command, json.dumps(changes)], cwd=REPO, env=environment)
    kept = working / "checkpoints" / "epoch_00014.step_0000028.ckpt"
    stop = time.monotonic() + 60
    while not kept.exists() and job.poll() is None and time.monotonic() < stop:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL, "it was not killed while it trained"
    assert not (tmp_path / "x" / "metrics.json").exists()
    reached = read_checkpoint(working / "checkpoints" / "last.ckpt")["epoch"] + 1
    assert 13 <= reached < 40
    train(little, tmp_path / "resumed", working, **changes)
    train(little, tmp_path / "whole", tmp_path / "other", **changes)
    assert equal(weights(tmp_path / "resumed"), weights(tmp_path / "whole"))
    names = [{file.name for file in (tmp_path / name / "checkpoints").iterdir()} for name in ("resumed", "whole")]
    assert names[0] == names[1]
    # It did go on: the epochs before the kill were not trained again.
    assert len(list((tmp_path / "resumed" / "tf_logs").glob("events*"))) == 2


def test_a_training_that_is_told_to_end_has_failed_and_says_how_far_it_came(little, tmp_path):
    folder, working = little["index"].parent, tmp_path / "working"
    command = [sys.executable, "-m", "tests.unit.speech_model", str(folder), str(tmp_path / "x"), str(working)]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    changes = json.dumps({"epochs": 400, "batch": 2})
    job = subprocess.Popen([*command, changes], cwd=REPO, env=environment, stderr=subprocess.PIPE, text=True)
    stop = time.monotonic() + 60
    while not (working / "checkpoints" / "last.ckpt").exists() and job.poll() is None and time.monotonic() < stop:
        time.sleep(0.01)
    job.terminate()
    assert re.search(r"RunError: it was told to end \(SIGTERM\) after \d+ of 400 epochs", job.communicate()[1])
    assert job.returncode == 1
    assert not (tmp_path / "x" / "metrics.json").exists()


def test_more_epochs_go_on_and_another_setting_begins_anew(little, tmp_path):
    short = train(little, tmp_path / "a", tmp_path / "w", epochs=2)
    assert short["epoch"] <= 2
    train(little, tmp_path / "b", tmp_path / "w", epochs=4)
    train(little, tmp_path / "c", tmp_path / "other", epochs=4)
    assert equal(weights(tmp_path / "b"), weights(tmp_path / "c"))
    train(little, tmp_path / "d", tmp_path / "w", epochs=2, seed=1)
    assert not equal(weights(tmp_path / "d"), weights(tmp_path / "a"))
    assert read_checkpoint(tmp_path / "d" / "checkpoints" / "last.ckpt")["epoch"] == 1


def test_what_a_killed_training_was_writing_becomes_no_output(little, tmp_path):
    changes = {"checkpoint_every": 1, "sample_every": 1, "samples": 1}
    train(little, tmp_path / "a", tmp_path / "w", epochs=1, **changes)
    left = [tmp_path / "w" / place / ".part.host-99.x" for place in ("", "checkpoints", "val_samples", "tf_logs")]
    for part in left:
        part.mkdir()
        (part / "half.npz").write_bytes(b"x")
    train(little, tmp_path / "b", tmp_path / "w", epochs=2, **changes)
    assert not any(part.exists() for part in left)
    for root in (tmp_path / "b", tmp_path / "w"):
        assert not list(root.rglob(".part.*")), root
    # A part that a job elsewhere is about to write meanwhile is handed over neither.
    left[2].mkdir()
    hand_over(tmp_path / "w" / "val_samples", tmp_path / "c")
    assert {folder.name for folder in (tmp_path / "c").iterdir()} == {"epoch_00001", "epoch_00002"}


@pytest.mark.parametrize("epochs", [2, 1])
def test_fewer_epochs_than_were_trained_give_what_a_new_training_gives(little, tmp_path, epochs):
    """The best weights, the sheets and the logs of the longer one are not those of the shorter one."""
    changes = {"checkpoint_every": 1, "sample_every": 1, "samples": 1}
    train(little, tmp_path / "long", tmp_path / "w", epochs=3, **changes)
    lowered = train(little, tmp_path / "lowered", tmp_path / "w", epochs=epochs, **changes)
    assert lowered == train(little, tmp_path / "new", tmp_path / "other", epochs=epochs, **changes)
    for name in ("last.ckpt", "best.ckpt"):
        assert equal(weights(tmp_path / "lowered", name), weights(tmp_path / "new", name))
    for part in ("checkpoints", "val_samples"):
        names = [{file.name for file in (tmp_path / run / part).rglob("*")} for run in ("lowered", "new")]
        assert names[0] == names[1]
    assert len(list((tmp_path / "lowered" / "tf_logs").glob("events*"))) == 1


def test_an_adversarial_training_trains_both_networks(little, tmp_path):
    train(little, tmp_path / "a", tmp_path / "w", epochs=2, adversarial=0.1)
    after = weights(tmp_path / "a")
    train(little, tmp_path / "b", tmp_path / "v", epochs=1, adversarial=0.1)
    before = weights(tmp_path / "b")
    for part in ("network.out.weight", "discriminator.layers.2.weight"):
        assert not torch.equal(after[part], before[part])


def test_a_dataset_without_validation_windows_is_a_row_and_no_model(tmp_path):
    inputs = write_dataset(tmp_path / "d", {"a": "train"}, seconds=3)
    with pytest.raises(InputError, match="no window of the dataset stands in split val"):
        train(inputs, tmp_path / "out", tmp_path / "w", epochs=1)


def test_log_mel_has_254_frames_and_is_that_of_a_plain_computation():
    sound = np.random.default_rng(0).normal(0, 0.1, 40_960).astype(np.float32)
    found = LogMel(16_000)(torch.from_numpy(sound)[None])[0].numpy()
    assert found.shape == (64, 254)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    hz = np.arange(257) * 16_000 / 512
    edges = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    for frame in (0, 100, 253):
        spectrum = np.abs(np.fft.fft(sound[frame * 160 : frame * 160 + 400] * window, 512)[:257])
        for band in (0, 31, 63):
            mel = 1127 * np.log(1 + hz / 700)
            rise = (mel - edges[band]) / (edges[band + 1] - edges[band])
            fall = (edges[band + 2] - mel) / (edges[band + 2] - edges[band + 1])
            energy = sum(s * w for s, w in zip(spectrum, np.minimum(rise, fall), strict=True) if w > 0)
            assert found[band, frame] == pytest.approx(np.log(energy + 1e-6), abs=2e-4)


def test_normalising_is_undone_up_to_the_nose():
    pose = np.random.default_rng(1).normal(200, 30, (5, 2, 68))
    mean, std = np.arange(136.0), np.linspace(1, 4, 136)
    again = in_pixels(normalised(pose, mean, std), mean, std)
    assert np.abs(again - (pose - pose[:, :, 33:34])).max() < 1e-3


def test_pck_counts_points_within_a_fifth_of_the_box():
    true = np.zeros((1, 2, 68))
    true[0, 0] = np.linspace(0, 100, 68)
    off = true.copy()
    off[0, 1, :17] = 20.1
    off[0, 1, 17:34] = 19.9
    assert pck(off, true) == pytest.approx(51 / 68)


def test_the_ratio_is_taken_to_the_better_baseline():
    true = np.zeros((1, 4, 2, 68))
    true[0, 1:] = 1.0
    found = figures(true + 0.3, true, np.full((2, 68), 5.0))
    assert found["l1_px_first_frame"] == pytest.approx(0.75)
    assert found["l1_px_mean_face"] == pytest.approx(4.25)
    assert found["ratio"] == pytest.approx(0.4)
