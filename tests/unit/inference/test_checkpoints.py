"""Which checkpoints are found and taken, and what is refused of them."""

import pytest
import torch

from scripts.common.checkpoint_names import find_checkpoint, is_tensorflow
from scripts.common.errors import ConfigError, InputError
from scripts.models.checkpoint import read_checkpoint
from scripts.models.speech_inference import Speaker

pytestmark = pytest.mark.torch


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def test_a_checkpoint_with_code_in_it_does_not_run_it(tmp_path):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(InputError, match="cannot be read as weights alone") as error:
        Speaker(tmp_path / "evil.ckpt", hop=16)
    assert "PyTorch" not in error.value.message
    assert "weights_only" not in error.value.message


def test_weights_that_say_nothing_of_themselves_are_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "bare.ckpt")
    with pytest.raises(InputError, match="does not say which dataset"):
        Speaker(tmp_path / "bare.ckpt", hop=16)


@pytest.mark.parametrize(
    "named", ["model.ckpt-1200", "model.ckpt-1200.index", "checkpoint", "", "model.ckpt-12.data-00000-of-00002"]
)
def test_a_checkpoint_of_tensorflow_1_is_refused_in_a_clear_line(tmp_path, named):
    for ending in (".index", ".meta", ".data-00000-of-00001"):
        (tmp_path / f"model.ckpt-1200{ending}").write_bytes(b"\0")
    for part in range(2):
        (tmp_path / f"model.ckpt-12.data-0000{part}-of-00002").write_bytes(b"\0")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1200"\n')
    with pytest.raises(ConfigError, match="is a checkpoint of TensorFlow 1") as error:
        find_checkpoint(str(tmp_path / named), str(tmp_path))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="TensorFlow 1"):
        read_checkpoint(tmp_path / named)


def test_parts_of_a_checkpoint_of_tensorflow_are_known_by_their_common_name(tmp_path):
    (tmp_path / "model.ckpt-12.data-00001-of-00002").touch()
    (tmp_path / "lips.ckpt").touch()
    (tmp_path / "lips.ckpt.txt").touch()
    assert is_tensorflow(str(tmp_path / "model.ckpt-12"))
    assert is_tensorflow(str(tmp_path))
    assert not is_tensorflow(str(tmp_path / "lips.ckpt"))


def test_a_checkpoint_is_found_by_its_path_by_its_model_and_by_its_step(tmp_path):
    folder = tmp_path / "lips" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("best.ckpt", "last.ckpt", "epoch_00014.step_0000168.ckpt"):
        (folder / name).touch()
    found = {named: find_checkpoint(named, str(tmp_path)) for named in ("lips", "lips:last", "lips:168")}
    assert [path.removeprefix(f"{folder}/") for path, _ in found.values()] == [
        "best.ckpt",
        "last.ckpt",
        "epoch_00014.step_0000168.ckpt",
    ]
    by_path = [find_checkpoint(path, str(tmp_path)) for path, _ in found.values()]
    assert by_path == list(found.values())
    assert [label for _, label in by_path] == ["lips.best", "lips.last", "lips.step_168"]
    for named, message in (("lisp", "did you mean `lips`"), ("lips:169", "168"), ("../lips", "is no file")):
        with pytest.raises(ConfigError, match=message):
            find_checkpoint(named, str(tmp_path))


def test_a_model_without_a_checkpoint_is_said_with_the_log_of_its_training(tmp_path):
    folder = tmp_path / "results" / "models" / "lips" / "checkpoints"
    folder.mkdir(parents=True)
    for named in ("lips", "lips:last", "lips:77"):
        with pytest.raises(ConfigError, match="lips has no checkpoint: its training failed, or has not run") as error:
            find_checkpoint(named, str(tmp_path / "results" / "models"))
        assert str(error.value).endswith("results/logs/train_speech_landmarks/lips.log")
    (folder / "last.ckpt").touch()
    (folder / "epoch_00014.step_0000168.ckpt").touch()
    for named, which in (("lips", "best"), ("lips:77", "step 77"), ("lips:x", "x")):
        with pytest.raises(ConfigError, match=f"lips has none of `{which}`; it has last, step 168"):
            find_checkpoint(named, str(tmp_path / "results" / "models"))


def test_no_two_checkpoints_are_called_alike(tmp_path):
    files = ["models/lips/checkpoints/best.ckpt", "ck/lips/checkpoints/best.ckpt", "ck2/lips/checkpoints/best.ckpt"]
    files += ["best.ckpt", "best.pt", "a/best.ckpt", "models/lips/checkpoints/best.pt", "models/lips/best.ckpt"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    labels = [find_checkpoint(str(tmp_path / name), str(tmp_path / "models"))[1] for name in files]
    assert len(set(labels)) == len(files)
    assert labels[0] == "lips.best"
    assert [label.rpartition("-")[0] for label in labels[1:5]] == ["lips.best", "lips.best", "best", "best"]
