"""The arguments of video2dataset become our config, or are refused by name; the table of the docs has every one."""

import json
import re
import sys
import types
from typing import Any

import av
import pytest
import yaml

from rushes.video2dataset import ARGUMENTS, main, remove, write_run
from rushes.video2dataset_arguments import DEFAULT, ArgumentError, read_config, translate
from scripts.planning.config import load_config
from tests.unit.examples import REPO
from tests.unit.shard_maker import FOUR, make, scene_video, write_table

# Of video2dataset 1.3.0: its signature, and the keys of its config with the arguments of its subsamplers.
SIGNATURE = [
    "url_list",
    "output_folder",
    "output_format",
    "input_format",
    "encode_formats",
    "stage",
    "url_col",
    "caption_col",
    "clip_col",
    "save_additional_columns",
    "enable_wandb",
    "wandb_project",
    "incremental_mode",
    "max_shard_retry",
    "tmp_dir",
    "config",
]
SUBSAMPLERS = {
    "ResolutionSubsampler": "video_size height width resize_mode encode_format",
    "FrameSubsampler": "frame_rate downsample_method encode_format",
    "AudioRateSubsampler": "sample_rate n_audio_channels encode_format",
    "CutDetectionSubsampler": "cuts_are_clips cut_detection_mode framerates threshold min_scene_len",
    "ClippingSubsampler": "oom_clip_count min_length max_length max_length_strategy precision",
    "FFProbeSubsampler": "extract_keyframes",
    "OpticalFlowSubsampler": "detector detector_args dtype",
    "WhisperSubsampler": "model_name batch_size compute_type download_root",
}
WHOLE = ("CaptionSubsampler", "NoOpSubsampler")
SECTIONS = {
    "reading": "yt_args.download_size yt_args.download_audio_rate yt_args.yt_metadata_args.writesubtitles "
    "yt_args.yt_metadata_args.subtitleslangs yt_args.yt_metadata_args.writeautomaticsub "
    "yt_args.yt_metadata_args.get_info dataloader_args timeout sampler",
    "storage": "number_sample_per_shard oom_shard_count captions_are_subtitles",
    "distribution": "processes_count thread_count subjob_size distributor distributor_args",
}
DOWNSAMPLE = """
subsampling:
    ResolutionSubsampler: {args: {video_size: 224, resize_mode: "scale,crop,pad"}}
    FrameSubsampler: {args: {frame_rate: 5}}
    CutDetectionSubsampler:
        cuts_are_clips: True
        args: {cut_detection_mode: all, framerates: null, threshold: 11.5, min_scene_len: 15}
    ClippingSubsampler:
        args: {min_length: 4.0, max_length: 10.0, max_length_strategy: all, precision: exact}
    FFProbeSubsampler: {args: {extract_keyframes: False}}
reading: {yt_args: {download_size: 360}, timeout: 60, sampler: null}
storage: {number_sample_per_shard: 100, oom_shard_count: 6, captions_are_subtitles: False}
distribution: {processes_count: 16, thread_count: 32, subjob_size: 1000, distributor: multiprocessing}
"""


def entry_of(config: Any = "default", **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "output_format": "webdataset",
        "input_format": "csv",
        "encode_formats": {"video": "mp4"},
        "stage": "download",
        "columns": {"url": "url", "caption": None, "clips": None},
    }
    return translate("/t.csv", read_config(config), **{**settings, **changes})


def test_the_table_of_the_docs_has_every_argument_and_no_other():
    text = (REPO / "docs" / "video2dataset.md").read_text()
    listed = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    wanted = [
        *SIGNATURE,
        *(f"subsampling.{name}.{key}" for name, keys in SUBSAMPLERS.items() for key in keys.split()),
        *(f"subsampling.{name}" for name in WHOLE),
        *(f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys.split()),
    ]
    assert sorted(listed) == sorted(wanted)
    assert ["url_list", *ARGUMENTS][: len(SIGNATURE)] == SIGNATURE


def test_its_own_example_becomes_our_config():
    entry = entry_of(DOWNSAMPLE)
    checked = load_config({"datasets": {"dataset": entry}})["datasets"]["dataset"]
    assert checked["clips"] == "cuts"
    assert (checked["video"]["height"], checked["video"]["width"], checked["video"]["fps"]) == (224, 224, "5")
    assert checked["video"]["resize"] == ["scale", "crop", "pad"]
    assert (checked["min_s"], checked["max_s"], checked["strategy"], checked["precision"]) == (4, 10, "all", "exact")
    assert (checked["scan"]["threshold"], checked["scan"]["min_scene_frames"]) == (11.5, 15)
    assert (checked["shard_rows"], checked["shard_digits"]) == (100, 6)
    assert (checked["fetch"]["connections"], checked["fetch"]["silence_s"]) == (32, 60)


def test_a_config_comes_by_name_path_text_or_mapping(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(DOWNSAMPLE)
    assert read_config(str(path)) == read_config(DOWNSAMPLE) == read_config(yaml.safe_load(DOWNSAMPLE))
    assert read_config("default") == DEFAULT


def test_low_is_keyframe_and_no_limit_is_none():
    clipping = {"ClippingSubsampler": {"args": {"precision": "low", "max_length": 999999.0}}}
    entry = entry_of({"subsampling": clipping})
    assert (entry["precision"], entry["max_s"]) == ("keyframe", 0)


@pytest.mark.parametrize("precision", ["low", "keyframe_adjusted"])
def test_size_rate_and_sound_go_with_every_precision(tmp_path, precision):
    config = yaml.safe_load(DOWNSAMPLE)
    config["subsampling"]["ClippingSubsampler"]["args"] |= {"precision": precision, "min_length": 0.5}
    config["subsampling"]["AudioRateSubsampler"] = {"args": {"sample_rate": 8000}}
    entry = entry_of(config, encode_formats={"video": "mp4", "audio": "m4a"})
    load_config({"datasets": {"dataset": entry}})
    # A cut and a keyframe every second.
    table = write_table(tmp_path / "t.csv", "url", str(scene_video(tmp_path / "a.mp4", FOUR, gop=25)))
    settings = {name: value for name, value in entry.items() if name not in ("kind", "table", "columns", "fetch")}
    made = make(tmp_path / "made", table, **settings)
    assert [(clip.start_s, clip.stop_s) for clip in made.clips.values()] == [(k, k + 1) for k in range(4)]
    for key in made.clips:
        with av.open(str(made.unpack(key))) as container:
            assert [(p.width, p.height) for p in container.decode(video=0)] == [(224, 224)] * 5
        with av.open(str(made.unpack(key, "m4a"))) as container:
            assert container.streams.audio[0].rate == 8000


def test_minus_one_and_nothing_leave_things_as_they_are():
    audio = {"AudioRateSubsampler": {"args": {"sample_rate": -1, "n_audio_channels": None}}}
    size = {"ResolutionSubsampler": {"args": {"height": -1, "video_size": -1}}}
    entry = entry_of({"subsampling": {**audio, **size}})
    assert (entry["audio"], entry["video"]) == ({}, {})


def test_a_subsampler_without_arguments_uses_what_the_metadata_holds():
    assert entry_of({"subsampling": {"CutDetectionSubsampler": {"cuts_are_clips": True}}})["clips"] == "auto"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"distribution": {"distributor": "pyspark"}}, "pyspark"),
        ({"distribution": {"subjob_size": 10}}, "subjob_size"),
        ({"distribution": {"distributor_args": {"n_nodes": 2}}}, "distributor_args"),
        ({"reading": {"sampler": "x"}}, "sampler"),
        ({"reading": {"dataloader_args": {}}}, "dataloader_args"),
        ({"subsampling": {"CaptionSubsampler": {}}}, "CaptionSubsampler"),
        ({"subsampling": {"WhisperSubsampler": {"args": {"model_name": "large-v2"}}}}, "nothing is downloaded"),
        ({"subsampling": {"OpticalFlowSubsampler": {"args": {"detector": "raft"}}}}, "raft"),
        ({"subsampling": {"OpticalFlowSubsampler": {"args": {"detector_args": [1]}}}}, "detector_args"),
        ({"reading": {"yt_args": {"proxy": 1}}}, "proxy"),
        ({"reading": {"yt_args": {"yt_metadata_args": {"getcomments": True}}}}, "getcomments"),
        ({"subsampling": {"ResolutionSubsampler": {"args": {"vidoe_size": 3}}}}, "unknown `vidoe_size`"),
        ({"subsampling": {"Resolution": {}}}, "unknown `Resolution`"),
        ({"storage": {"rows": 3}}, "unknown `rows`"),
        ({"other": {}}, "unknown section `other`"),
        ({"subsampling": ["ClippingSubsampler"]}, "config.subsampling: ['ClippingSubsampler'] is no mapping"),
        ({"subsampling": {"ClippingSubsampler": "x"}}, "config.subsampling.ClippingSubsampler: 'x' is no mapping"),
        ({"subsampling": {"ClippingSubsampler": {"args": [1]}}}, "ClippingSubsampler.args: [1] is no mapping"),
        ({"subsampling": {"ClippingSubsampler": {"args": {"max_length": "x"}}}}, "max_length: 'x' cannot be taken"),
        ({"subsampling": {"ResolutionSubsampler": {"args": {"video_size": "224"}}}}, "video_size: '224' cannot"),
        ({"subsampling": {"ResolutionSubsampler": {"args": {"resize_mode": ["stretch"]}}}}, "resize_mode"),
        ({"subsampling": {"CutDetectionSubsampler": {"cuts_are_clip": True}}}, "unknown `cuts_are_clip`"),
        ({"reading": {"yt_args": "x"}}, "config.reading.yt_args: 'x' is no mapping"),
        ("/none.yaml", "`/none.yaml` is neither"),
        ("a: [", "config"),
        ([1], "config"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(config, message):
    with pytest.raises(ArgumentError, match=re.escape(message)) as error:
        entry_of(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"output_format": "zip"},
        {"input_format": "xls"},
        {"stage": "whisper"},
        {"encode_formats": {"video": "webm"}},
        {"encode_formats": "mp4"},
    ],
)
def test_a_wrong_choice_is_named(changes):
    with pytest.raises(ArgumentError, match=next(iter(changes))):
        entry_of(**changes)


def test_a_config_of_one_long_line_is_no_name_of_a_file():
    entry = entry_of(json.dumps({"storage": {"number_sample_per_shard": 7}, "reading": {"timeout": 6}}) + " " * 5000)
    assert entry["shard_rows"] == 7


@pytest.mark.parametrize("wanted", ["writesubtitles", "writeautomaticsub"])
def test_subtitles_are_asked_for_in_one_language_or_more(wanted):
    for languages, found in (("en", ["en"]), (["de", "en"], ["de", "en"]), (None, ["en"])):
        args = {"yt_metadata_args": {wanted: True, "subtitleslangs": languages}}
        assert entry_of({"reading": {"yt_args": args}})["fetch"]["sites"]["subtitles"] == found


@pytest.mark.parametrize(
    ("argument", "message"),
    [('--encode_formats={"video', "encode_formats"), ("--max_shard_retry=x", "max_shard_retry: `x`")],
)
def test_an_argument_that_nobody_can_read_is_one_line(tmp_path, capsys, argument, message):
    assert main(["--url_list=urls.csv", f"--output_folder={tmp_path}", argument]) == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_overwriting_asks_first(tmp_path):
    folder = tmp_path / "out"
    write_run(folder, entry_of())
    for answer in ("no", "", "y"):
        with pytest.raises(ArgumentError, match="not confirmed"):
            remove(folder, lambda question, answer=answer: answer)
    assert folder.exists()
    remove(folder, lambda question: "yes")
    assert not folder.exists()
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(ArgumentError, match="other files"):
        remove(folder, lambda question: "yes")
    assert (folder / "thesis.txt").exists()


def test_the_command_line_says_what_is_wrong_in_one_line(capsys):
    assert main(["--url_list=a.csv", "--stage=caption"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_models_become_annotations(tmp_path):
    models = {
        "OpticalFlowSubsampler": {"args": {"detector": "cv2", "dtype": "fp32"}},
        "WhisperSubsampler": {"args": {"model_name": str(tmp_path), "compute_type": "int8", "batch_size": 16}},
        "CutDetectionSubsampler": {"args": {"framerates": [1, 5]}},
    }
    entry = entry_of({"subsampling": models}, stage="optical_flow")
    flow = {"kind": "optical_flow", "method": "farneback", "keep": "field", "dtype": "float32"}
    said = {"kind": "transcripts", "model": str(tmp_path), "compute": "int8"}
    assert entry["annotations"] == {"optical_flow": flow, "transcript": said}
    assert entry["scan"]["fps"] == [1, 5]
    with pytest.raises(ArgumentError, match="without config"):
        entry_of(stage="whisper")


def test_size_and_rate_in_the_download_stage_make_every_sample(tmp_path):
    videos = [scene_video(tmp_path / f"{number}.mp4", FOUR[:2], seed=number) for number in range(3)]
    table = write_table(tmp_path / "t.csv", "url", *map(str, videos))
    subsampling = {
        "ResolutionSubsampler": {"args": {"video_size": 64, "resize_mode": "scale,crop,pad"}},
        "FrameSubsampler": {"args": {"frame_rate": 5}},
    }
    entry = entry_of({"subsampling": subsampling}, stage="download")
    settings = {name: entry[name] for name in ("video", "audio", "clips", "output", "encode_formats")}
    made = make(tmp_path / "made", table, **settings)
    assert list(made.outcomes("cut").values()) == [""] * 3
    for key in made.clips:
        with av.open(str(made.unpack(key))) as container:
            sizes = [(picture.width, picture.height) for picture in container.decode(video=0)]
        assert sizes == [(64, 64)] * 10


def test_every_defect_of_that_program_has_a_test_here():
    text = (REPO / "docs" / "video2dataset.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) == 11
    for file, test in named:
        (path,) = (REPO / "tests").rglob(file)
        assert f"def {test}(" in path.read_text(), f"{file} has no {test}"


def test_counts_go_to_wandb_on_request_alone(monkeypatch):
    from scripts.datasets.send_counts import numbers_of, send_counts

    sent: list[Any] = []

    class Run:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            sent.append("finished")

        def log(self, numbers):
            sent.append(numbers)

    card = {
        "dataset": "web",
        "settings": {},
        "samples": 2,
        "shards": 1,
        "hours": 0.5,
        "bytes": 9,
        "rows": {"written": 2},
    }
    card["steps"] = {"fetch_shard": {"failed timeout": 1}}
    stub = types.ModuleType("wandb")
    stub.init = lambda **given: sent.append(given) or Run()
    monkeypatch.setitem(sys.modules, "wandb", stub)
    send_counts("mine", card)
    assert sent[0]["project"] == "mine"
    assert sent[1:] == [numbers_of(card), "finished"]
    assert numbers_of(card)["fetch_shard/failed timeout"] == 1
    monkeypatch.setitem(sys.modules, "wandb", None)
    send_counts("mine", card)
    assert len(sent) == 3
