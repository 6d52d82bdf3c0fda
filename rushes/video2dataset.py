"""Coming from video2dataset: its arguments and its config make a dataset of shards.

    python -m rushes.video2dataset --url_list=urls.csv --output_folder=out --output_format=webdataset
    rushes.video2dataset(url_list="urls.csv", output_folder="out")

The arguments are translated into a config of this project, which stands in the output folder, and Snakemake runs it.
docs/video2dataset.md lists every argument with what becomes of it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

REPO = Path(__file__).parents[1]
NAME = "dataset"
# Where our own files stand in the output folder.
INSIDE = "_rushes"
FORMATS = ("files", "webdataset", "parquet", "tfrecord", "dummy")
INPUTS = ("txt", "csv", "tsv", "tsv.gz", "json", "parquet", "webdataset")
PRECISIONS = {"low": "keyframe", "keyframe_adjusted": "keyframe_adjusted", "exact": "exact"}
# A length that its users write for "no limit".
NO_LIMIT_S = 999_999.0
# How pages of other sites are asked. What a page says is always kept.
YT_ARGS = {"download_size": "height", "download_audio_rate": "rate_hz"}
YT_METADATA = ("writesubtitles", "subtitleslangs", "writeautomaticsub", "get_info")

DEFAULT: dict[str, Any] = {
    "subsampling": {},
    "reading": {"yt_args": {"download_size": 360, "download_audio_rate": 44100}},
    "storage": {},
    "distribution": {},
}

# What is refused, and why.
REFUSED = {
    "enable_wandb": "progress stands in the logs and on the card; nothing is sent anywhere",
    "stage=optical_flow": "there is no stage of optical flow yet",
    "stage=caption": "there is no stage of captions yet",
    "stage=whisper": "there is no stage of transcripts yet",
    "OpticalFlowSubsampler": "there is no stage of optical flow yet",
    "CaptionSubsampler": "there is no stage of captions yet",
    "WhisperSubsampler": "there is no stage of transcripts yet",
    "framerates": "cuts are found at the video's own frame rate",
    "downsample_method": "only `fps` is known",
    "encode_format": "pictures are written as mp4, sound as m4a",
    "oom_clip_count": "clips have five digits",
    "dataloader_args": "they belong to a stage that is not here",
    "sampler": "a table's rows are taken as they are; leave out rows in the table",
    "subjob_size": "lots are sized by the number of rows; `lot_shards` in our config changes that",
    "distributor=pyspark": "there is no Spark; one machine or SLURM",
    "distributor_args": "partitions and accounts stand in profiles/slurm",
}
# Values of refused keys that ask for nothing.
HARMLESS: dict[str, tuple[Any, ...]] = {
    "framerates": (None, []),
    "downsample_method": ("fps",),
    "encode_format": ("mp4", "m4a"),
    "oom_clip_count": (5,),
    "sampler": (None,),
    "subjob_size": (1000,),
    "distributor_args": (None,),
}


class ArgumentError(ValueError):
    """An argument that cannot be taken: its name, and why."""


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
    del wandb_project, save_additional_columns  # nothing is sent; every column is kept
    if enable_wandb:
        raise ArgumentError(f"enable_wandb: {REFUSED['enable_wandb']}")
    whole = read_config(config)
    entry = translate(
        url_list,
        whole,
        output_format=output_format,
        input_format=input_format,
        encode_formats=encode_formats or {"video": "mp4"},
        stage=stage,
        columns={"url": url_col, "caption": caption_col, "clips": clip_col},
    )
    entry["fetch"] |= {"allow_private_hosts": allow_private_hosts}
    if allowed_roots:
        entry["fetch"]["allowed_roots"] = [str(Path(root).resolve()) for root in allowed_roots]
    folder = Path(output_folder).resolve()
    if incremental_mode not in ("incremental", "overwrite"):
        raise ArgumentError(f"incremental_mode: `{incremental_mode}` is neither incremental nor overwrite")
    if incremental_mode == "overwrite" and folder.exists() and any(folder.iterdir()):
        remove(folder, confirm)
    write_run(folder, entry)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile"), *options(whole)]
    command += ["--retries", str(max_shard_retry), "--default-resources", f"tmpdir='{tmp_dir}'"]
    subprocess.run([*command, "--directory", str(folder / INSIDE)], check=True, stdin=subprocess.DEVNULL)
    publish(folder)


def read_config(config: Any) -> dict[str, Any]:
    """The config: "default", a path of YAML, YAML text, or the mapping itself. Raises ArgumentError."""
    if config == "default":
        return DEFAULT
    if isinstance(config, str):
        text = Path(config).read_text(encoding="utf-8") if "\n" not in config and Path(config).is_file() else config
        try:
            config = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ArgumentError(f"config: {' '.join(str(error).split())}") from None
    if not isinstance(config, Mapping):
        raise ArgumentError("config: it is neither `default`, a file, YAML, nor a mapping")
    for section in config:
        if section not in DEFAULT:
            raise ArgumentError(f"config: unknown section `{section}`; known: {', '.join(DEFAULT)}")
    return {section: dict(config.get(section) or {}) for section in DEFAULT}


def translate(
    url_list: str,
    config: Mapping[str, Any],
    *,
    output_format: str,
    input_format: str,
    encode_formats: Mapping[str, str],
    stage: str,
    columns: Mapping[str, str | None],
) -> dict[str, Any]:
    """Our dataset's entry of the config. Raises ArgumentError for what is refused."""
    if f"stage={stage}" in REFUSED:
        raise ArgumentError(f"stage: `{stage}`: {REFUSED[f'stage={stage}']}")
    for name, value, known in (
        ("output_format", output_format, FORMATS),
        ("input_format", input_format, INPUTS),
        ("stage", stage, ("download", "subset")),
    ):
        if value not in known:
            raise ArgumentError(f"{name}: `{value}` is not one of {', '.join(known)}")
    if not set(encode_formats.items()) <= {("video", "mp4"), ("audio", "m4a")}:
        raise ArgumentError(f"encode_formats: {dict(encode_formats)} is not of video: mp4 and audio: m4a")
    entry: dict[str, Any] = {
        "kind": "shards",
        "table": _absolute(url_list),
        "columns": {name: column for name, column in columns.items() if column},
        "output": output_format,
        "encode_formats": dict(encode_formats),
        "scan": {"thumbnails": False},
        "video": {},
        "audio": {},
        "fetch": {},
        "clips": "auto",
    }
    for section, take in (
        ("subsampling", _take_subsampling),
        ("reading", _take_reading),
        ("storage", _take_storage),
        ("distribution", _take_distribution),
    ):
        take(config[section], entry)
    return entry


def _take_subsampling(given: Mapping[str, Any], entry: dict[str, Any]) -> None:
    for name, described in given.items():
        if name in REFUSED:
            raise ArgumentError(f"config.subsampling.{name}: {REFUSED[name]}")
        if name not in SUBSAMPLERS:
            raise ArgumentError(f"config.subsampling: unknown `{name}`; known: {', '.join(SUBSAMPLERS)}")
        # Without arguments, what the metadata holds is used: the clips of the table.
        arguments = dict((described or {}).get("args") or {})
        place = f"config.subsampling.{name}.args"
        if name == "CutDetectionSubsampler":
            if (described or {}).get("args") is not None and (described or {}).get("cuts_are_clips", False):
                mode = arguments.get("cut_detection_mode", "all")
                if mode not in ("all", "longest"):
                    raise ArgumentError(f"{place}.cut_detection_mode: `{mode}` is neither all nor longest")
                entry["clips"] = {"all": "cuts", "longest": "longest_cut"}[mode]
            arguments.pop("cut_detection_mode", None)
        for key, value in arguments.items():
            if key in REFUSED:
                _refuse(f"{place}.{key}", key, value)
            elif key not in SUBSAMPLERS[name]:
                raise ArgumentError(f"{place}: unknown `{key}`; known: {', '.join(SUBSAMPLERS[name])}")
            else:
                SUBSAMPLERS[name][key](entry, value)


def _into(section: str, key: str, convert: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    def put(entry: dict[str, Any], value: Any) -> None:
        place = entry.setdefault(section, {}) if section else entry
        # -1 and nothing: as it is.
        if value is not None and value != -1:
            place[key] = convert(value)

    return put


def _resize(entry: dict[str, Any], value: Any) -> None:
    entry["video"]["resize"] = [mode for mode in ("scale", "crop", "pad") if mode in (value or [])]


def _video_size(entry: dict[str, Any], value: Any) -> None:
    if value is not None and value > 0:
        entry["video"] |= {"height": value, "width": value}


def _longest(entry: dict[str, Any], value: Any) -> None:
    entry["max_s"] = 0 if value is None or value >= NO_LIMIT_S else value


def _precision(entry: dict[str, Any], value: Any) -> None:
    if value not in PRECISIONS:
        raise ArgumentError(f"precision: `{value}` is not one of {', '.join(PRECISIONS)}")
    entry["precision"] = PRECISIONS[value]


def _nothing(entry: dict[str, Any], value: Any) -> None:
    """Ours always does it."""


SUBSAMPLERS: dict[str, dict[str, Callable[..., None]]] = {
    "ResolutionSubsampler": {
        "video_size": _video_size,
        "height": _into("video", "height"),
        "width": _into("video", "width"),
        "resize_mode": _resize,
    },
    "FrameSubsampler": {"frame_rate": _into("video", "fps", str)},
    "AudioRateSubsampler": {
        "sample_rate": _into("audio", "rate_hz"),
        "n_audio_channels": _into("audio", "channels"),
    },
    "CutDetectionSubsampler": {
        "threshold": _into("scan", "threshold"),
        "min_scene_len": _into("scan", "min_scene_frames"),
    },
    "ClippingSubsampler": {
        "min_length": _into("", "min_s"),
        "max_length": _longest,
        "max_length_strategy": _into("", "strategy"),
        "precision": _precision,
    },
    "FFProbeSubsampler": {"extract_keyframes": _nothing},
    "NoOpSubsampler": {},
}


def _take_reading(given: Mapping[str, Any], entry: dict[str, Any]) -> None:
    for key, value in given.items():
        if key == "timeout":
            entry["fetch"]["silence_s"] = value
        elif key == "yt_args":
            entry["fetch"]["sites"] = _sites(value or {}, bool(value))
        elif key in REFUSED:
            _refuse(f"config.reading.{key}", key, value)
        else:
            raise ArgumentError(f"config.reading: unknown `{key}`; known: timeout, yt_args, sampler, dataloader_args")


def _sites(given: Mapping[str, Any], wanted: bool) -> dict[str, Any]:
    """How pages of other sites are asked for their media."""
    sites: dict[str, Any] = {"extract": wanted}
    of_pages = dict(given.get("yt_metadata_args") or {})
    for key, value in given.items():
        if key in YT_ARGS:
            sites[YT_ARGS[key]] = value
        elif key != "yt_metadata_args":
            raise ArgumentError(f"config.reading.yt_args.{key}: unknown; known: {', '.join(YT_ARGS)}, yt_metadata_args")
    for key in of_pages:
        if key not in YT_METADATA:
            raise ArgumentError(
                f"config.reading.yt_args.yt_metadata_args.{key}: not taken; known: {', '.join(YT_METADATA)}"
            )
    if of_pages.get("writesubtitles"):
        sites["subtitles"] = list(of_pages.get("subtitleslangs") or ["en"])
    return sites


def _take_storage(given: Mapping[str, Any], entry: dict[str, Any]) -> None:
    names = {"number_sample_per_shard": "shard_rows", "oom_shard_count": "shard_digits"}
    for key, value in given.items():
        if key in names:
            entry[names[key]] = value
        elif key == "captions_are_subtitles":
            if value:
                entry["clips"] = "subtitles"
        else:
            raise ArgumentError(f"config.storage: unknown `{key}`; known: {', '.join(names)}, captions_are_subtitles")


def _take_distribution(given: Mapping[str, Any], entry: dict[str, Any]) -> None:
    for key, value in given.items():
        if key == "thread_count":
            entry["fetch"]["connections"] = value
        elif key == "distributor":
            if f"distributor={value}" in REFUSED:
                raise ArgumentError(f"config.distribution.distributor: `{value}`: {REFUSED[f'distributor={value}']}")
            if value not in ("multiprocessing", "slurm"):
                raise ArgumentError(f"config.distribution.distributor: `{value}` is neither multiprocessing nor slurm")
        elif key in REFUSED:
            _refuse(f"config.distribution.{key}", key, value)
        elif key != "processes_count":
            known = "processes_count, thread_count, subjob_size, distributor, distributor_args"
            raise ArgumentError(f"config.distribution: unknown `{key}`; known: {known}")


def _refuse(place: str, key: str, value: Any) -> None:
    if value not in HARMLESS.get(key, ()):
        raise ArgumentError(f"{place}: {REFUSED[key]}")


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
    (place / "recordings.tsv").write_text("recording\trig\tsource\n")
    (place / "models.yaml").write_text("{}\n")
    content = {"datasets": {NAME: entry}}
    (place / "config.yaml").write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def publish(folder: Path) -> None:
    """Shards, metadata and counts where video2dataset puts them: `{shard}.tar`, `.parquet`, `_stats.json`."""
    made = folder / INSIDE / "results" / "datasets" / NAME / "shards"
    for path in sorted((made / "data").rglob("*")):
        target = folder / path.relative_to(made / "data")
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif not path.name.startswith("."):
            target.unlink(missing_ok=True)
            os.link(path, target)
    metadata = pq.read_table(made / "metadata.parquet")
    output = yaml.safe_load((folder / INSIDE / "config" / "config.yaml").read_text())["datasets"][NAME]["output"]
    shards = sorted(set(metadata["shard"].to_pylist())) if "shard" in metadata.column_names else []
    for shard in shards:
        of_shard = metadata.filter(pc.equal(metadata["shard"], shard))
        if output != "parquet":
            pq.write_table(of_shard, folder / f"{shard}.parquet")
        (folder / f"{shard}_stats.json").write_text(json.dumps({"successes": of_shard.num_rows}, indent=1) + "\n")
    shutil.copyfile(made / "card.json", folder / "card.json")


def _absolute(url_list: str) -> str:
    """The table as seen from another folder; an address of a store stays."""
    return url_list if "://" in url_list else os.path.abspath(url_list)


def main(arguments: list[str] | None = None) -> int:
    """The command line: every argument as --name=value."""
    parser = argparse.ArgumentParser(prog="python -m rushes.video2dataset", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url_list", required=True)
    for name, default in ARGUMENTS.items():
        parser.add_argument(f"--{name}", default=default)
    chosen = vars(parser.parse_args(arguments))
    read = {name: _value(value) if name not in TEXTS else value for name, value in chosen.items()}
    try:
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


def _value(text: Any) -> Any:
    """Python's literals as YAML reads them: {"video": "mp4"}, true, 3."""
    return yaml.safe_load(text.replace("True", "true").replace("False", "false")) if isinstance(text, str) else text


class _Module(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> None:
        video2dataset(*arguments, **named)


# `rushes.video2dataset(…)` is the module, and the function.
sys.modules[__name__].__class__ = _Module

if __name__ == "__main__":
    sys.exit(main())
