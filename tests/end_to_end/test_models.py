"""A model is trained on the windows of a run and makes landmarks of other sounds, all by Snakemake."""

import json

import numpy as np
import pytest
import soundfile

from rushes.synthetic.sounds import Speech
from tests.conftest import Workspace
from tests.end_to_end.small import CONFIGFILE, copied

MODEL = """
models:
  lips: {kind: speech_landmarks, dataset: visemes, epochs: 2, batch: 4, sample_every: 1, samples: 1}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, finished: Workspace) -> Workspace:
    workspace = copied(finished, tmp_path_factory.mktemp("models") / "small run")
    with (workspace.root / CONFIGFILE).open("a") as file:
        file.write(MODEL)
    run = workspace.snakemake("models", "--cores", "2", timeout=300)
    assert run.returncode == 0, run.stdout
    return workspace


@pytest.mark.torch
def test_a_model_has_its_checkpoints_curves_samples_and_figures(trained):
    folder = trained.root / "results" / "models" / "lips"
    assert {"last.ckpt", "best.ckpt"} <= {path.name for path in (folder / "checkpoints").iterdir()}
    assert list((folder / "tf_logs").rglob("events.*"))
    assert list((folder / "val_samples").rglob("*.mp4"))
    assert "l1_px" in json.dumps(json.loads((folder / "metrics.json").read_text()))
    again = trained.snakemake("models", "-n")
    assert "Nothing to be done" in again.stdout


@pytest.mark.torch
def test_sounds_are_spoken_by_it_and_one_that_cannot_be_read_ends_the_run_badly(trained):
    talks = trained.root / "talks"
    talks.mkdir()
    for name, seed in (("hello there", 1), ("good", 2)):
        soundfile.write(talks / f"{name}.wav", Speech.make(3.0, [], seed).sound(48_000, 16_000), 16_000)
    (talks / "broken.wav").write_bytes(b"RIFF, but no more")
    asked = ("infer", "--cores", "2", "--config", "audio_dir=talks", "checkpoint=lips")
    run = trained.snakemake(*asked, timeout=300)
    assert run.returncode != 0
    assert "1 sound failed; everything else is made" in run.stdout
    assert "broken" in run.stdout
    assert "Traceback" not in run.stdout
    (made,) = (trained.root / "results" / "inference" / "talks").glob("*/landmarks")
    assert np.load(made / "hello there.npy", allow_pickle=False).shape == (75, 68, 2)
    (talks / "broken.wav").unlink()
    run = trained.snakemake(*asked, timeout=300)
    assert run.returncode == 0, run.stdout
    assert "Nothing to be done" in trained.snakemake(*asked, "-n").stdout


@pytest.mark.torch
def test_another_form_of_its_dataset_leaves_a_model_and_its_checkpoint_what_they_are(trained):
    folder = trained.root / "results" / "datasets" / "visemes"
    before = {name: (folder / name).read_bytes() for name in ("index.parquet", "card.json")}
    config = trained.root / CONFIGFILE
    text = config.read_text()
    assert text.count("    augment_factor: 2\n") == 1
    config.write_text(
        text.replace("    augment_factor: 2\n", "    augment_factor: 2\n    formats: [folders, shards]\n")
    )
    assert "Nothing to be done" in trained.snakemake("models", "-n").stdout
    run = trained.snakemake("datasets", "--cores", "2", timeout=300)
    assert run.returncode == 0, run.stdout
    assert list((folder / "shards" / "train").glob("*.tar"))
    # Even where they are made again, index and card are what the checkpoint knows.
    run = trained.snakemake("datasets", "--cores", "2", "--forcerun", "index_dataset", timeout=300)
    assert run.returncode == 0, run.stdout
    assert {name: (folder / name).read_bytes() for name in before} == before
    (trained.root / "few").mkdir()
    soundfile.write(trained.root / "few" / "good.wav", Speech.make(3.0, [], 3).sound(48_000, 16_000), 16_000)
    asked = ("audio_dir=few", "checkpoint=results/models/lips/checkpoints/best.ckpt", "inference={dataset: visemes}")
    run = trained.snakemake("infer", "--cores", "2", "--config", *asked, timeout=300)
    assert run.returncode == 0, run.stdout
    assert "train_speech_landmarks" not in run.stdout
    (made,) = (trained.root / "results" / "inference").glob("few/*/landmarks/good.npy")
    assert np.load(made, allow_pickle=False).shape == (75, 68, 2)
