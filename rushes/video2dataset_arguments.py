"""The arguments and the config of video2dataset 1.3.0 as an entry of our config; what cannot be taken, by its name."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rushes.video2dataset_refused import REFUSED, ArgumentError, mapping_of, refuse

# What the dataset is called in our config, and where our own files stand in the output folder.
NAME, INSIDE = "dataset", "_rushes"
FORMATS = ("files", "webdataset", "parquet", "tfrecord", "dummy")
INPUTS = ("txt", "csv", "tsv", "tsv.gz", "json", "parquet", "webdataset")
PRECISIONS = {"low": "keyframe", "keyframe_adjusted": "keyframe_adjusted", "exact": "exact"}
# What our config takes for lengths and sizes, which that program knows nothing of.
LENGTHS = {"seconds": "duration", "bytes": "bytes"}
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


def read_config(config: Any) -> dict[str, Any]:
    """The config: "default", a path of YAML, YAML text, or the mapping itself. Raises ArgumentError."""
    if config == "default":
        return DEFAULT
    if isinstance(config, str):
        text = Path(config).read_text(encoding="utf-8") if "\n" not in config and os.path.isfile(config) else config
        try:
            config = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ArgumentError(f"config: {' '.join(str(error).split())}") from None
    if not isinstance(config, Mapping):
        given = f"`{config}`" if isinstance(config, str) else "it"
        raise ArgumentError(f"config: {given} is neither `default`, a file, YAML, nor a mapping")
    for section in config:
        if section not in DEFAULT:
            raise ArgumentError(f"config: unknown section `{section}`; known: {', '.join(DEFAULT)}")
    return {section: mapping_of(config.get(section), f"config.{section}") for section in DEFAULT}


def translate(
    url_list: str,
    config: Mapping[str, Any],
    *,
    output_format: str,
    input_format: str,
    encode_formats: Mapping[str, str],
    stage: str,
    columns: Mapping[str, str | None],
    kept: Sequence[str] = (),
) -> dict[str, Any]:
    """Our dataset's entry of the config. Raises ArgumentError for what is refused.

    kept: columns of the table that must stand in the json, as all do but those that our config takes for its own.
    """
    if f"stage={stage}" in REFUSED:
        raise ArgumentError(f"stage: `{stage}`: {REFUSED[f'stage={stage}']}")
    for name, value, known in (
        ("output_format", output_format, FORMATS),
        ("input_format", input_format, INPUTS),
        ("stage", stage, ("download", "subset", "optical_flow", "whisper")),
    ):
        if value not in known:
            raise ArgumentError(f"{name}: `{value}` is not one of {', '.join(known)}")
    encode_formats = mapping_of(encode_formats, "encode_formats")
    if not set(encode_formats.items()) <= {("video", "mp4"), ("audio", "m4a")}:
        raise ArgumentError(f"encode_formats: {dict(encode_formats)} is not of video: mp4 and audio: m4a")
    entry: dict[str, Any] = {
        "kind": "shards",
        "table": _absolute(url_list),
        "columns": {name: column for name, column in columns.items() if column}
        | {name: "" for name, column in LENGTHS.items() if column in kept},
        "output": output_format,
        "encode_formats": dict(encode_formats),
        "scan": {"thumbnails": False},
        "video": {},
        "audio": {},
        "fetch": {},
        "clips": "auto",
        "annotations": {},
    }
    for section, take in (
        ("subsampling", _take_subsampling),
        ("reading", _take_reading),
        ("storage", _take_storage),
        ("distribution", _take_distribution),
    ):
        take(config[section], entry)
    for name, words in (("optical_flow", "OpticalFlowSubsampler"), ("whisper", "WhisperSubsampler")):
        if stage == name and words not in config["subsampling"]:
            raise ArgumentError(f"stage: `{name}` without config.subsampling.{words}")
    return entry


def _take_subsampling(given: Mapping[str, Any], entry: dict[str, Any]) -> None:
    for name, described in given.items():
        if name in REFUSED:
            raise ArgumentError(f"config.subsampling.{name}: {REFUSED[name]}")
        if name not in SUBSAMPLERS:
            raise ArgumentError(f"config.subsampling: unknown `{name}`; known: {', '.join(SUBSAMPLERS)}")
        described = mapping_of(described, f"config.subsampling.{name}")
        known = {"args", "cuts_are_clips"} if name == "CutDetectionSubsampler" else {"args"}
        if not set(described) <= known:
            unknown = ", ".join(sorted(set(described) - known))
            raise ArgumentError(f"config.subsampling.{name}: unknown `{unknown}`; known: {', '.join(sorted(known))}")
        # Without arguments, what the metadata holds is used: the clips of the table.
        place = f"config.subsampling.{name}.args"
        arguments = mapping_of(described.get("args"), place)
        if name in ANNOTATIONS:
            entry["annotations"][ANNOTATIONS[name][0]] = dict(ANNOTATIONS[name][1])
        if name == "CutDetectionSubsampler":
            if described.get("args") is not None and described.get("cuts_are_clips", False):
                mode = arguments.get("cut_detection_mode", "all")
                if mode not in ("all", "longest"):
                    raise ArgumentError(f"{place}.cut_detection_mode: `{mode}` is neither all nor longest")
                entry["clips"] = {"all": "cuts", "longest": "longest_cut"}[mode]
            arguments.pop("cut_detection_mode", None)
        for key, value in arguments.items():
            if key in REFUSED:
                refuse(f"{place}.{key}", key, value)
            elif key not in SUBSAMPLERS[name]:
                raise ArgumentError(f"{place}: unknown `{key}`; known: {', '.join(SUBSAMPLERS[name])}")
            else:
                try:
                    SUBSAMPLERS[name][key](entry, value)
                except TypeError:
                    raise ArgumentError(f"{place}.{key}: {value!r} cannot be taken") from None


def _into(section: str, key: str, convert: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    def put(entry: dict[str, Any], value: Any) -> None:
        place = entry.setdefault(section, {}) if section else entry
        # -1 and nothing: as it is.
        if value is not None and value != -1:
            place[key] = convert(value)

    return put


def _resize(entry: dict[str, Any], value: Any) -> None:
    modes = value.split(",") if isinstance(value, str) else list(value or [])
    modes = [str(mode).strip() for mode in modes]
    known = ("scale", "crop", "pad")
    if not set(modes) <= set(known):
        raise ArgumentError(f"resize_mode: {value!r} is not of {', '.join(known)}")
    entry["video"]["resize"] = [mode for mode in known if mode in modes]


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


def _annotated(name: str, key: str, words: Mapping[Any, Any] | None = None) -> Callable[..., None]:
    def put(entry: dict[str, Any], value: Any) -> None:
        if words is not None and value not in words:
            raise ArgumentError(f"{key}: `{value}` is not one of {', '.join(map(str, words))}")
        entry["annotations"][name][key] = words[value] if words is not None else value

    return put


def _model(entry: dict[str, Any], value: Any) -> None:
    if not Path(str(value)).is_dir():
        raise ArgumentError(f"model_name: `{value}` is no folder of a Whisper model; nothing is downloaded")
    entry["annotations"]["transcript"]["model"] = os.path.abspath(str(value))


# What a subsampler of models becomes: the name of our annotation, and how it begins.
ANNOTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "OpticalFlowSubsampler": ("optical_flow", {"kind": "optical_flow", "method": "farneback", "keep": "field"}),
    "WhisperSubsampler": ("transcript", {"kind": "transcripts"}),
}
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
        "framerates": _into("scan", "fps", list),
    },
    "OpticalFlowSubsampler": {
        "detector": _annotated("optical_flow", "method", {"cv2": "farneback"}),
        "dtype": _annotated("optical_flow", "dtype", {"fp16": "float16", "fp32": "float32"}),
    },
    "WhisperSubsampler": {
        "model_name": _model,
        "compute_type": _annotated("transcript", "compute"),
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
            entry["fetch"]["sites"] = _sites(mapping_of(value or None, "config.reading.yt_args"), bool(value))
        elif key in REFUSED:
            refuse(f"config.reading.{key}", key, value)
        else:
            raise ArgumentError(f"config.reading: unknown `{key}`; known: timeout, yt_args, sampler, dataloader_args")


def _sites(given: Mapping[str, Any], wanted: bool) -> dict[str, Any]:
    """How pages of other sites are asked for their media."""
    sites: dict[str, Any] = {"extract": wanted}
    of_pages = mapping_of(given.get("yt_metadata_args"), "config.reading.yt_args.yt_metadata_args")
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
    if of_pages.get("writesubtitles") or of_pages.get("writeautomaticsub"):
        languages = of_pages.get("subtitleslangs") or ["en"]
        sites["subtitles"] = [languages] if isinstance(languages, str) else list(languages)
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
            refuse(f"config.distribution.{key}", key, value)
        elif key != "processes_count":
            known = "processes_count, thread_count, subjob_size, distributor, distributor_args"
            raise ArgumentError(f"config.distribution: unknown `{key}`; known: {known}")


def _absolute(url_list: str) -> str:
    """The table as seen from another folder; an address of a store stays."""
    return url_list if "://" in url_list else os.path.abspath(url_list)
