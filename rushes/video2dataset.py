"""Coming from video2dataset: its arguments and its config make a dataset of shards.

    python -m rushes.video2dataset --url_list=urls.csv --output_folder=out --output_format=webdataset
    rushes.video2dataset(url_list="urls.csv", output_folder="out")

The arguments are translated into a config of this project, which stands in the output folder, and Snakemake runs it.
docs/video2dataset.md lists every argument with what becomes of it.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from rushes.video2dataset_arguments import INSIDE, NAME, read_config, translate
from rushes.video2dataset_refused import ArgumentError

REPO = Path(__file__).parents[1]


def video2dataset(
    url_list: str,
    output_folder: str = "dataset",
    output_format: str = "files",
    input_format: str = "csv",
    encode_formats: Mapping[str, str] | None = None,
    stage: str = "download",
    url_col: str = "url",
    caption_col: str | None = None,
    clip_col: str | None = None,
    save_additional_columns: list[str] | None = None,
    enable_wandb: bool = False,
    wandb_project: str = "video2dataset",
    incremental_mode: str = "incremental",
    max_shard_retry: int = 1,
    tmp_dir: str = "/tmp",
    config: Any = "default",
    *,
    allowed_roots: list[str] | None = None,
    allow_private_hosts: bool = False,
    confirm: Callable[[str], str] = input,
) -> None:
    """Make the dataset. The first sixteen arguments are those of video2dataset 1.3.0.

    allowed_roots, allow_private_hosts: see our key `fetch`.  confirm: asked before `overwrite` deletes anything.
    Raises ArgumentError for what cannot be taken, subprocess.CalledProcessError if the run fails.
    """
    kept = save_additional_columns or []
    whole = read_config(config)
    entry = translate(
        url_list,
        whole,
        output_format=output_format,
        input_format=input_format,
        encode_formats=encode_formats or {"video": "mp4"},
        stage=stage,
        columns={"url": url_col, "caption": caption_col, "clips": clip_col},
        kept=[kept] if isinstance(kept, str) else kept,
    )
    entry["wandb"] = wandb_project if enable_wandb else ""
    entry["fetch"] |= {"allow_private_hosts": allow_private_hosts, "folder": os.getcwd()}
    if allowed_roots:
        entry["fetch"]["allowed_roots"] = [str(Path(root).resolve()) for root in allowed_roots]
    folder = Path(output_folder).resolve()
    if not isinstance(max_shard_retry, int) or max_shard_retry < 0:
        raise ArgumentError(f"max_shard_retry: `{max_shard_retry}` is no number of retries")
    if incremental_mode not in ("incremental", "overwrite"):
        raise ArgumentError(f"incremental_mode: `{incremental_mode}` is neither incremental nor overwrite")
    if incremental_mode == "overwrite" and folder.exists() and any(folder.iterdir()):
        remove(folder, confirm)
    write_run(folder, entry)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile"), *options(whole)]
    command += ["--retries", str(max_shard_retry), "--default-resources", f"tmpdir='{tmp_dir}'"]
    subprocess.run([*command, "--directory", str(folder / INSIDE)], check=True, stdin=subprocess.DEVNULL)
    # Only where a run of a checkout has ended: it reads by the checkout's own modules.
    from rushes.video2dataset_published import publish

    publish(folder)


def options(config: Mapping[str, Any]) -> list[str]:
    """Snakemake's options for the section `distribution`."""
    distribution = config["distribution"]
    if distribution.get("distributor") == "slurm":
        return ["--profile", str(REPO / "profiles" / "slurm")]
    return ["--profile", str(REPO / "profiles" / "local"), "--cores", str(distribution.get("processes_count") or "all")]


def remove(folder: Path, confirm: Callable[[str], str]) -> None:
    """Delete what an earlier run has made, if a person says yes. Raises ArgumentError otherwise."""
    if not (folder / INSIDE).is_dir():
        raise ArgumentError(f"incremental_mode: {folder} holds other files than a dataset of ours; nothing is deleted")
    try:
        answer = confirm(f"overwrite: delete everything in {folder}? [yes/no] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise ArgumentError("incremental_mode: overwrite was not confirmed; nothing is deleted")
    shutil.rmtree(folder)


def write_run(folder: Path, entry: dict[str, Any]) -> None:
    """The config of the run, beside what it makes."""
    place = folder / INSIDE / "config"
    place.mkdir(parents=True, exist_ok=True)
    (place / "recordings.tsv").write_text("recording\trig\tsource\n", encoding="utf-8")
    (place / "models.yaml").write_text("{}\n", encoding="utf-8")
    content = {"datasets": {NAME: entry}}
    (place / "config.yaml").write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command line: every argument as --name=value."""
    parser = argparse.ArgumentParser(prog="python -m rushes.video2dataset", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url_list", required=True)
    for name, default in ARGUMENTS.items():
        parser.add_argument(f"--{name}", default=default)
    chosen = vars(parser.parse_args(arguments))
    try:
        read = {name: value if name in TEXTS else _value(name, value) for name, value in chosen.items()}
        video2dataset(**read)
    except ArgumentError as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


# Every argument but the first, with its default.
ARGUMENTS: dict[str, Any] = {
    "output_folder": "dataset",
    "output_format": "files",
    "input_format": "csv",
    "encode_formats": None,
    "stage": "download",
    "url_col": "url",
    "caption_col": None,
    "clip_col": None,
    "save_additional_columns": None,
    "enable_wandb": False,
    "wandb_project": "video2dataset",
    "incremental_mode": "incremental",
    "max_shard_retry": 1,
    "tmp_dir": "/tmp",
    "config": "default",
    "allowed_roots": None,
    "allow_private_hosts": False,
}
TEXTS = {"url_list", "output_folder", "url_col", "caption_col", "clip_col", "tmp_dir", "config", "wandb_project"}


def _value(name: str, text: Any) -> Any:
    """Python's literals as YAML reads them: {"video": "mp4"}, true, 3. Raises ArgumentError for what is none."""
    if not isinstance(text, str):
        return text
    try:
        return yaml.safe_load(text.replace("True", "true").replace("False", "false"))
    except yaml.YAMLError as error:
        raise ArgumentError(f"{name}: {' '.join(str(error).split())}") from None


class _Module(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> None:
        video2dataset(*arguments, **named)


# `rushes.video2dataset(…)` is the module, and the function.
sys.modules[__name__].__class__ = _Module

if __name__ == "__main__":
    sys.exit(main())
