"""A run whose packages are not installed ends with one line before its first job."""

import re
from pathlib import Path

import pytest

from scripts.planning import missing_packages
from tests.conftest import make_workspace
from tests.unit.examples import REPO
from tests.unit.packages import needed_by, pins, reached_from

TWO_MODELS = """
recordings: config/recordings.tsv
results: results
rigs: {booth: {source: file, cameras: {front: "{source}"}, microphones: {voice: "{source}"}}}
datasets: {talk: {kind: windows, rig: booth, landmarks: given}}
models: {lips: {kind: speech_landmarks, dataset: talk}}
"""


@pytest.fixture
def without(monkeypatch):
    """Let packages look as if they were not installed."""

    def do(*names: str) -> None:
        found = missing_packages.importlib.util.find_spec
        monkeypatch.setattr(missing_packages.importlib.util, "find_spec", lambda n: None if n in names else found(n))

    return do


def test_rules_whose_packages_are_missing_are_named_with_what_to_do(without):
    without("torch", "lightning", "faster_whisper")
    jobs = ["train_clip_classifier", "transcribe_clips", "conform_video"]
    assert missing_packages.missing((rule, {}) for rule in jobs) == (
        "train_clip_classifier, transcribe_clips: faster_whisper, lightning, torch are not installed: "
        "run `make setup-models`, or give `--sdm conda`"
    )


@pytest.mark.parametrize(
    ("rule", "params", "wanted"),
    [
        ("extract_landmarks", {"backend": "fan", "detector": "yunet"}, True),
        ("extract_landmarks", {"backend": "fan3d", "detector": "yunet"}, True),
        ("extract_landmarks", {"backend": "openseeface", "detector": "sfd"}, True),
        ("extract_landmarks", {"backend": "openseeface", "detector": "yunet"}, False),
        ("find_clip_landmarks", {"settings": {"backend": "fan"}}, True),
        ("find_clip_landmarks", {"settings": {"backend": "openseeface"}}, False),
    ],
)
def test_faces_want_torch_where_a_network_of_torch_looks_for_them(without, rule, params, wanted):
    without("torch", "face_alignment")
    assert bool(missing_packages.missing([(rule, params)])) == wanted


@pytest.mark.parametrize("backends", [("fan", "openseeface"), ("openseeface", "fan")])
def test_each_job_of_a_rule_counts_not_its_last_alone(without, backends):
    without("torch")
    assert missing_packages.missing(("extract_landmarks", {"backend": name}) for name in backends)


def test_the_packages_of_rules_are_those_that_their_scripts_reach_and_make_setup_does_not_install():
    base, added = (
        {name for file in files for name in pins((REPO / file).read_text().splitlines())}
        for files in (["requirements.txt"], ["requirements-torch.txt", "requirements-models.txt"])
    )
    reached: dict[str, set[str]] = {}
    for file in (REPO / "rules").glob("*.smk"):
        for rule, script in re.findall(r'rule (\w+):.*?script:\s*"\.\./([\w/]+\.py)"', file.read_text(), re.DOTALL):
            needed = (top for module in reached_from(REPO / script) for top in needed_by(module).items())
            if tops := {top for top, packages in needed if packages & added and not packages & base}:
                reached[rule] = tops
    faces = {rule: set(missing_packages.FACES) for rule in missing_packages.SEARCHES_FACES}
    told = {rule: set(packages) for rule, packages in missing_packages.OF_RULE.items()} | faces
    # The engine's server is a program of its own.
    told["serve_engine"] -= {"fastapi", "uvicorn"}
    assert reached == told


def test_a_run_ends_before_its_first_job_and_a_dry_run_does_not(tmp_path, monkeypatch):
    space = make_workspace(tmp_path / "space", configfile="config/own.yaml")
    (space.root / "config" / "own.yaml").write_text(TWO_MODELS)
    rows = [f"{name}\tbooth\t{name}.mp4\t{name}.npy\t{split}" for name, split in (("a", "train"), ("b", "val"))]
    sheet = "\n".join(["recording\trig\tsource\tlandmarks\tsplit", *rows])
    (space.root / "config" / "recordings.tsv").write_text(sheet + "\n")
    for name in ("a.mp4", "a.npy", "b.mp4", "b.npy"):
        (space.root / name).touch()
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # Where a package is looked for first: as in an environment that lacks it.
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'lightning' else find(name, *rest)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    done, dry = space.snakemake("models"), space.snakemake("models", "-n")
    assert done.returncode == 1
    assert "train_speech_landmarks: lightning is not installed: run `make setup-models`" in done.stdout
    assert "Traceback" not in done.stdout
    assert not Path(space.root, "results", "media").exists()
    assert dry.returncode == 0, dry.stdout
