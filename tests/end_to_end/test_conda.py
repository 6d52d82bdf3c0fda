"""`--sdm conda`, end to end: every job runs in the env of its rule, on nothing but what the env has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common import ledger
from tests.conftest import REPO, Workspace, make_workspace
from tests.end_to_end import fake_conda

RECORDINGS = ("bench", "speaker_one", "act_1", "arena_")
# Everything that a rig can ask for, of one small bag.
EXPORTS = {
    **dict.fromkeys(("full", "merge", "mosaic", "allframes", "spectrogram", "latency")),
    "separate": {"formats": ["mp4", "mkv"]},
    "audio": {"formats": ["wav", "raw", "flac"]},
    "frame": {"every_s": 4},
    "clips": {"table": "config/few_clips.csv"},
}


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fake conda keeps its state."""
    folder = tmp_path_factory.mktemp("conda")
    fake_conda.install(folder)
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, conda: Path, demo_recordings: Path) -> Workspace:
    """A bag and a video of the demo, taken through every stage in the envs of the rules."""
    workspace = make_workspace(tmp_path_factory.mktemp("in-envs"), demo_recordings, configfile="config/few.yaml")
    folder = workspace.root / "config"
    header, *rows = (folder / "demo.tsv").read_text().splitlines(keepends=True)
    (folder / "few.tsv").write_text("".join([header, *(row for row in rows if row.startswith(RECORDINGS))]))
    (folder / "few_clips.csv").write_text("start,end\n1,2\n")
    config = yaml.safe_load((folder / "demo.yaml").read_text())
    config |= {"recordings": "config/few.tsv", "known_failures": []}
    config["datasets"]["visemes"] |= {
        "split": {"by": "subject", "train": 1, "val": 0},
        "formats": ["folders", "shards"],
    }
    config["faces"] = {"crops": ["mouth"], "sync": {"lag": True}}
    config["datasets"]["acts"] |= {"split": {"lists": {"train": [1]}}, "formats": ["folders", "webdataset"]}
    annotations = {"flow": {"kind": "optical_flow", "fps": 2}, "stills": {"kind": "frames", "fps": 1}}
    config["datasets"]["clips"]["annotations"] = annotations
    config["datasets"]["said"] = {**config["datasets"]["clips"], "annotations": {}, "clips": "speech"}
    config["rigs"]["bench"] |= {"exports": EXPORTS, "naming": "aviary"}
    (folder / "few.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_CONDA", str(conda))
        patch.setenv("PATH", f"{conda}/bin", prepend=":")
        run = workspace.snakemake("--sdm", "conda")
    assert run.returncode == 0, run.stdout
    return workspace


@pytest.fixture(scope="module")
def runs(conda: Path, workspace: Workspace) -> list[dict[str, Any]]:
    """Each start of a Python in an env: the env's name, its prefix, and the arguments."""
    names = {file.read_text(): file.stem for file in (REPO / "envs").glob("*.yaml")}
    # Snakemake puts a copy of the env's file beside the env.
    return [{**run, "env": names[Path(f"{run['prefix']}.yaml").read_text()]} for run in fake_conda.read_runs(conda)]


def test_every_job_runs_in_the_env_that_its_rule_names(runs):
    rule = r'conda:\n\s+f?"\.\./envs/(\w+)[^"]*"\n(?:.*\n)*?\s+script:\n\s+"\.\./scripts/\w+/(\w+)\.py"'
    text = "".join(file.read_text() for file in (REPO / "rules").glob("*.smk"))
    # A rig's back end decides in which env keypoints are found; for markers that is the stage's.
    named = {"detect_keypoints": "cameras", **{script: env for env, script in re.findall(rule, text)}}
    # Snakemake runs a copy: .snakemake/scripts/<random>.<rule's script>.py
    envs = {(run["argv"][0].split(".")[-2], run["env"]) for run in runs if run["argv"][0].endswith(".py")}
    assert {env for _, env in envs} == {
        "sources",
        "media",
        "faces.cpu",
        "datasets",
        "reports",
        "shards",
        "labels",
        "cameras",
        "onnx",
        "speech",
    }
    assert {(script, named[script]) for script, _ in envs} == {(script, env.split(".")[0]) for script, env in envs}


def test_every_script_ran_in_an_env(runs, workspace):
    """But for those that this workspace has no use for."""
    ran = {run["argv"][0].split(".")[-2] for run in runs if run["argv"][0].endswith(".py")}
    scripts = {file.stem for file in (REPO / "scripts").glob("*/*.py") if f"run({file.stem})" in file.read_text()}
    # Here are no array of microphones, no look for duplicates, no shards of the recordings themselves, no folder of
    # pictures, and no weights of anything that wants them.
    assert scripts - ran == {
        *("fetch_model", "scan", "locate_sound", "find_duplicates", "list_recordings", "import_frames"),
        *("detect_speech", "embed_clips", "caption_clips", "transcribe_clips"),
        *("train_speech_landmarks", "train_frame_classifier", "train_clip_classifier", "evaluate_classifier"),
        *("infer_landmarks", "infer_from_engine", "check_inference", "find_clip_landmarks", "compare_landmarks"),
        *("adopt_windows", "cut_bouts", "extract_poses"),
        *("import_calibration", "compress_video", "segment_frames", "check_gpu"),
        *("publish_mark", "publish_file", "publish_folder", "list_published"),
        *("export_labels", "pool_procedures"),
    }


def test_no_item_of_any_step_failed(workspace):
    """Exit code 0 is no proof of that: dead links and clips that an annotation cannot take are accepted."""
    rows = ledger.rows(ledger.read((workspace.root / "demo" / "results").rglob("*ledger.parquet")))
    assert {"compute_flow", "extract_clip_frames", "cut_shard", "conform_video"} <= {row.step for row in rows}
    assert [row for row in rows if row.outcome == "failed"] == []


def test_a_post_deploy_script_installs_into_its_env(runs):
    [prefix] = {run["prefix"] for run in runs if run["env"] == "faces.cpu"}
    installed = {run["env"]: run["argv"] for run in runs if run["argv"][:2] == ["-m", "pip"]}
    assert installed == {
        "faces.cpu": ["-m", "pip", "install", "--no-deps", "face-alignment==1.5.0"],
        "speech": ["-m", "pip", "install", "--no-deps", "silero-vad==6.2.3"],
    }
    assert list(Path(prefix).glob("lib/python*/site-packages/face_alignment"))
    assert len(list(Path(prefix).glob("lib/python*/site-packages/opencv*.dist-info"))) == 1
