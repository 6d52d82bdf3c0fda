"""What a model of the config makes Snakemake plan."""

import pytest

from scripts.common import ledger
from scripts.planning.plan import load

LIPS = {"kind": "speech_landmarks", "dataset": "visemes"}


def test_a_model_is_one_job_behind_its_dataset(archive):
    shown = archive.dry_run("models", models={"lips": LIPS, "wide": {**LIPS, "width": 256}})
    assert shown.status == 0, shown.text
    assert shown.jobs["train_speech_landmarks"] == 2
    assert {"extract_windows", "compute_stats", "index_dataset"} <= shown.rules
    for name in ("lips/checkpoints", "lips/tf_logs", "wide/val_samples", "wide/metrics.json"):
        assert f"results/models/{name}" in shown.text


def test_everything_and_the_report_ask_for_the_models(archive):
    assert archive.dry_run(models={"lips": LIPS}).jobs["train_speech_landmarks"] == 1
    assert "train_speech_landmarks" in archive.dry_run("reports", models={"lips": LIPS}).rules


def test_a_few_recordings_train_no_model(archive):
    assert "train_speech_landmarks" not in archive.dry_run(models={"lips": LIPS}, only="a.1").rules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "viseme"}, "models.lips.dataset: there is no dataset `viseme` of kind windows; did you mean"),
        ({"widht": 3}, "models.lips: unknown key `widht`; did you mean `width`"),
        ({"kind": "speech"}, "models.lips.kind: `speech` is not one of"),
        ({"epochs": 0}, "models.lips.epochs"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(archive, change, message):
    shown = archive.dry_run(models={"lips": LIPS | change})
    assert shown.status == 1
    assert message in shown.text
    assert "Traceback" not in shown.text


def test_sounds_are_inferred_beside_a_sheet_and_by_an_engine_that_somebody_runs(archive):
    for name in ("talks/a.wav", "talks/a.txt", "lips.ckpt"):
        (archive.root / name).parent.mkdir(exist_ok=True)
        (archive.root / name).touch()
    asked = {"audio_dir": "talks", "checkpoint": "lips.ckpt"}
    assert archive.dry_run("infer", **asked).jobs == {"infer_landmarks": 1, "check_inference": 1, "infer": 1}
    shown = archive.dry_run("infer", **asked, inference={"endpoint": "http://127.0.0.1:8080"})
    assert shown.jobs == {"infer_from_engine": 1, "check_engine": 1, "infer": 1}
    shown = archive.dry_run("infer", **asked, inference={"endpoint": "own"})
    assert shown.rules == {"infer_from_engine", "serve_engine", "check_engine", "infer"}
    assert "extract_windows" in archive.dry_run(**asked).rules
    assert "write one like" in archive.dry_run("infer", **asked, inference={"request_render": "ftp://x"}).text


def test_every_fold_of_a_classifier_is_a_job_and_a_table_of_frames_may_come_from_elsewhere(archive):
    (archive.root / "frames").mkdir()
    (archive.root / "frames" / "index.parquet").touch()
    acts = {"kind": "frame_classifier", "dataset": "frames/index.parquet", "folds": 4}
    shown = archive.dry_run("models", models={"acts": acts, "turns": {**acts, "kind": "clip_classifier", "folds": 0}})
    assert shown.status == 0, shown.text
    wanted = {"train_frame_classifier": 6, "train_clip_classifier": 2, "evaluate_classifier": 2, "models": 1}
    assert shown.jobs == wanted
    assert "results/models/acts/fold3/confusion.svg" in shown.text
    reported = archive.dry_run("reports", models={"acts": acts}).text
    check = reported[reported.index("rule check_ledger:") :]
    assert "results/models/acts/splits.svg" in check
    assert "results/models/acts/splits.tsv" in check
    for change, message in (
        ({"folds": 2}, "at least 3 are needed"),
        ({"backbone": "timm/resnet18"}, "needs a file of weights"),
        ({"backbone": "resnet18"}, "models.acts.backbone: `resnet18` names no network of timm or torchvision; write"),
        ({"backbone": "torchvison/resnet18"}, "did you mean `torchvision`"),
        ({"dataset": "none"}, "there is no dataset `none` of kind frames"),
    ):
        assert message in archive.dry_run(models={"acts": acts | change}).text


def test_the_same_command_asks_a_render_service_again_that_did_not_answer(archive):
    for name in ("talks/a.wav", "lips.ckpt"):
        (archive.root / name).parent.mkdir(exist_ok=True)
        (archive.root / name).touch()
    asked = {"audio_dir": "talks", "checkpoint": "lips.ckpt"}
    folder = archive.root / load(archive.config(**asked)).rooms["models"].inference.folder
    (folder / "landmarks").mkdir(parents=True)
    made = ledger.Row("infer_landmarks", "", "a.wav", "written")
    for row, jobs in (
        (ledger.Row("request_render", "", "a.wav", "failed", "no_answer"), {"infer_landmarks", "check_inference"}),
        (ledger.Row("infer_landmarks", "", "b.wav", "failed", "no_sound"), {"check_inference"}),
    ):
        ledger.write(folder / "ledger.parquet", [made, row])
        shown = archive.dry_run("infer", "--rerun-triggers", "mtime", **asked)
        assert shown.rules == {*jobs, "infer"}, shown.text


def test_a_sound_with_a_brace_in_its_name_ends_no_inference(archive):
    for name in ("talks/a.wav", "talks/b{1}.wav", "talks/{wildcard}.txt", "lips.ckpt"):
        (archive.root / name).parent.mkdir(exist_ok=True)
        (archive.root / name).touch()
    shown = archive.dry_run("infer", audio_dir="talks", checkpoint="lips.ckpt")
    assert shown.status == 0, shown.text
    assert "talks/a.wav" in shown.text


def test_the_memory_of_an_inference_grows_with_its_largest_sound(archive):
    (archive.root / "talks").mkdir()
    (archive.root / "lips.ckpt").touch()
    (archive.root / "talks" / "short.wav").touch()
    asked = {"audio_dir": "talks", "checkpoint": "lips.ckpt"}
    assert "mem_mb=4000," in archive.dry_run("infer", **asked).text
    with (archive.root / "talks" / "hour.wav").open("wb") as file:
        file.truncate(700 * 2**20)
    assert "mem_mb=7500," in archive.dry_run("infer", **asked).text
