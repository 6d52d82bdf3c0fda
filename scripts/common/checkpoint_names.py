"""Which file a checkpoint is that somebody names: by its path, or by a model and a step."""

import os
import re
from glob import escape, glob

from scripts.common.errors import ConfigError
from scripts.common.names import folder_of, nearest, place_of, told_apart

# What TensorFlow 1 calls the parts of a checkpoint `model.ckpt-1200`, of which there are several with weights.
TENSORFLOW = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# And the list of the checkpoints of a folder.
TENSORFLOW_LIST = "checkpoint"
REFUSED = (
    "is a checkpoint of TensorFlow 1, whose graph cannot be read here: train again on the same windows "
    "(folders of npz can be taken over), and give a file of checkpoints/"
)


def is_tensorflow(path: str) -> bool:
    """Whether `path` is a checkpoint of TensorFlow 1: one of its files, their common name, their list, or folder."""
    if TENSORFLOW.search(path) or any(TENSORFLOW.search(file) for file in glob(f"{escape(path)}.*")):
        return True
    if os.path.isdir(path):
        return any("-of-" in name and TENSORFLOW.search(name) for name in os.listdir(path)) or _is_list(
            f"{path}/{TENSORFLOW_LIST}"
        )
    return _is_list(path)


def _is_list(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(100).startswith(b"model_checkpoint_path")


def find_checkpoint(named: str, models: str) -> tuple[str, str]:
    """The file of a checkpoint, and what to call it, alike for no two files. Raises ConfigError, also for TensorFlow's.

    named: a path; or a model below the folder `models`, alone for its best checkpoint, or with `:last`, `:best` or
    the number of a step.
    """
    if is_tensorflow(named):
        raise ConfigError(f"checkpoint: {named} {REFUSED}")
    if os.path.isfile(named):
        return named, _label(named, models)
    model, _, which = named.partition(":")
    folder = f"{models}/{model}/checkpoints"
    if "/" in model or not os.path.isdir(folder):
        known = [os.path.basename(os.path.dirname(path)) for path in glob(f"{escape(models)}/*/checkpoints")]
        raise ConfigError(f"checkpoint: `{named}` is no file, nor a model that was trained{nearest(model, known)}")
    which = which or "best"
    found = _checkpoints(folder)
    if not found:
        results = os.path.dirname(models)
        raise ConfigError(
            f"checkpoint: {model} has no checkpoint: its training failed, or has not run; see "
            f"{results}/logs/train_speech_landmarks/{model}.log"
        )
    if which.isdecimal():
        which = f"step {int(which)}"
    if which not in found:
        raise ConfigError(f"checkpoint: {model} has none of `{which}`; it has {', '.join(found)}")
    return found[which], f"{model}.{which.replace(' ', '_')}"


def _label(path: str, models: str) -> str:
    """`lips.best` for a checkpoint of this project; one of elsewhere may be called so, too, and gets eight digits."""
    real = os.path.realpath(path)
    folder, file = os.path.split(real)
    above, model = os.path.split(os.path.dirname(folder))
    stem, ending = os.path.splitext(file)
    which = re.sub(r"^epoch_\d+\.step_0*(\d+)$", r"step_\1", stem)
    name = f"{model}.{which}" if os.path.basename(folder) == "checkpoints" else which
    own = os.path.basename(folder) == "checkpoints" and above == os.path.realpath(models) and ending == ".ckpt"
    return name if own and folder_of(name) == name else told_apart(name, place_of(path))


def _checkpoints(folder: str) -> dict[str, str]:
    """The files in the `checkpoints` of a model, by what names them: best, last, step 168, …"""
    kept = {which: f"{folder}/{which}.ckpt" for which in ("best", "last")}
    steps = {int(path.rpartition(".step_")[2].removesuffix(".ckpt")): path for path in _with_steps(folder)}
    both = {**kept, **{f"step {step}": steps[step] for step in sorted(steps)}}
    return {which: path for which, path in both.items() if os.path.isfile(path)}


def _with_steps(folder: str) -> list[str]:
    return [path for path in sorted(glob(f"{escape(folder)}/*.step_*.ckpt")) if re.search(r"\.step_\d+\.ckpt$", path)]
