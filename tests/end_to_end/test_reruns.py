"""A change makes again what depends on it, and nothing else."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rushes.windows import Windows
from scripts.common import manifest
from tests.conftest import Workspace
from tests.end_to_end.small import CONFIGFILE, ROWS, copied, sheet
from tests.end_to_end.trees import differences, digest, job_counts

SHEET = "config/small.tsv"
EXCLUDE = "config/exclude.tsv"
THREE = "three booth recordings/three.mp4 four recordings/three.landmarks.npy val\n"

ARRANGED = {"arrange_train": 1, "arrange_val": 1}
LEDGER = {"merge_ledgers": 1, "plot_outcomes": 1, "check_ledger": 1}
# Where windows change: three recordings have some, or none and a reason.
WINDOWS = {"extract_windows": 3, "compute_stats": 1, "index_dataset": 1, **ARRANGED, **LEDGER}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, finished: Workspace) -> Workspace:
    return copied(finished, tmp_path_factory.mktemp("reruns") / "small run")


@pytest.fixture
def looked_at(shared: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A finished build for dry runs; afterwards its config and sheets are as they were."""
    shutil.copytree(shared.root / "config", tmp_path / "config")
    yield shared
    shutil.rmtree(shared.root / "config")
    shutil.copytree(tmp_path / "config", shared.root / "config")


@pytest.fixture
def workspace(tmp_path: Path, finished: Workspace) -> Workspace:
    """A finished build of the test's own."""
    return copied(finished, tmp_path / "small run")


def change(workspace: Workspace, name: str, old: str, new: str) -> None:
    file = workspace.root / name
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def planned(workspace: Workspace, *arguments: str) -> dict[str, int]:
    """The jobs that the next run would do, by their rules."""
    run = workspace.snakemake("-n", *arguments, timeout=120)
    assert run.returncode == 0, run.stdout
    found = job_counts(run.stdout)
    assert bool(found) != ("Nothing to be done" in run.stdout)
    return found


def written(folder: Path) -> dict[str, int]:
    """When each file below a folder was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_same_command_again_has_nothing_to_do(looked_at):
    assert planned(looked_at) == {}


def test_another_hop_cuts_new_windows_and_nothing_before_them(looked_at):
    change(looked_at, CONFIGFILE, "augment_factor: 2", "augment_factor: 4")
    assert planned(looked_at) == WINDOWS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{av_start: 4, av_length: 3,", "{av_start: 3, av_length: 4,"),
        ("    frames: 64\n    augment_factor: 2\n", "    frames: 32\n    hop: 64\n"),
    ],
    ids=["limits", "frames and hop"],
)
def test_two_settings_that_swap_their_values_are_a_change(looked_at, old, new):
    change(looked_at, CONFIGFILE, old, new)
    assert planned(looked_at) == WINDOWS


def test_another_rate_of_a_rig_conforms_its_recordings_alone(looked_at):
    change(looked_at, CONFIGFILE, "conform: {fps: 25}", "conform: {fps: 30000/1001}")
    assert planned(looked_at) == {"conform_video": 1, "conform_audio": 1, **LEDGER}


def test_the_same_rate_in_other_words_is_no_change(looked_at):
    change(looked_at, CONFIGFILE, "conform: {fps: 25}", 'conform: {fps: "25/1"}')
    assert planned(looked_at) == {}


def test_a_setting_of_the_command_line_is_a_change_like_any_other(looked_at):
    assert planned(looked_at, "--config", "media={crf: 30}")["conform_video"] == 4


def test_an_accepted_failure_is_a_matter_of_the_last_rule(looked_at):
    assert planned(looked_at, "--config", "known_failures=[garbage,two]") == {"check_ledger": 1}


def test_another_order_of_the_sheet_changes_no_recording(looked_at):
    rows = ROWS.splitlines(keepends=True)
    (looked_at.root / SHEET).write_text(sheet("".join(reversed(rows))))
    merged = {"split_dataset", "compute_stats", "index_dataset", *ARRANGED}
    assert set(planned(looked_at)) == {*merged, "render_overlay", "check_ledger"}


def test_another_end_of_a_recording_makes_it_again_and_no_other(looked_at):
    lines = sheet(ROWS).splitlines()
    ends = {"recording": "end", "one": "3.5"}
    with_end = ["\t".join([line, ends.get(line.split("\t")[0], "")]) + "\n" for line in lines]
    (looked_at.root / SHEET).write_text("".join(with_end))
    of_it = ("import_video_booth", "conform_video", "conform_audio")
    of_it += ("detect_cuts", "extract_landmarks", "render_overlay")
    assert planned(looked_at) == {**WINDOWS, "extract_windows": 1, "plot_clocks": 1, **dict.fromkeys(of_it, 1)}


def test_a_recording_that_is_ruled_out_leaves_what_merges_it(looked_at):
    (looked_at.root / EXCLUDE).write_text("recording\treason\ngarbage\tit is none\n")
    merged = {"compute_stats": 1, "index_dataset": 1, "split_dataset": 1, "plot_clocks": 1, **ARRANGED, **LEDGER}
    assert planned(looked_at) == merged


def test_a_stretch_that_is_ruled_out_changes_the_windows_of_its_recording(looked_at):
    (looked_at.root / EXCLUDE).write_text("recording\tstart\tstop\treason\none\t1\t1.5\ta cough\n")
    assert planned(looked_at) == {**WINDOWS, "extract_windows": 1}


def test_a_source_that_is_only_touched_is_not_read_again(workspace):
    now = time.time() + 2
    os.utime(workspace.root / "recordings" / "one.mp4", (now, now))
    assert planned(workspace) == {}


def test_a_source_that_changed_is_made_again_even_if_its_new_file_is_older(workspace):
    source = workspace.root / "recordings" / "one.mp4"
    long_ago = source.stat().st_mtime - 1e6
    shutil.copyfile(workspace.root / "recordings" / "three.mp4", source)
    os.utime(source, (long_ago, long_ago))
    counts = planned(workspace)
    assert counts["import_video_booth"] == counts["conform_video"] == counts["extract_windows"] == 1


def test_a_new_recording_computes_itself_and_what_merges_it(workspace):
    results = workspace.root / "results"
    (workspace.root / SHEET).write_text(sheet(ROWS + THREE))
    own = {
        "import_video_booth",
        "conform_video",
        "conform_audio",
        "extract_landmarks",
        "detect_cuts",
        "extract_windows",
    }
    merged = {"split_dataset", "compute_stats", "index_dataset", "plot_clocks", *ARRANGED, *LEDGER}
    assert planned(workspace) == dict.fromkeys(own | merged, 1)
    before = written(results)
    run = workspace.snakemake("--cores", "2", timeout=240)
    assert run.returncode == 0, run.stdout
    after = written(results)
    of_others = [name for name in before if "/one" in name or "/two" in name or "/bench" in name]
    untouched = [name for name in of_others if "/train/" not in name and "/val/" not in name]
    assert len(untouched) > 20
    assert {name: before[name] for name in untouched} == {name: after[name] for name in untouched}
    assert (results / "datasets" / "visemes" / "val" / "four").is_dir()


def test_what_was_deleted_is_made_again_whoever_reads_it(workspace):
    results = workspace.root / "results"
    before = digest(results)
    for name in ("conformed/bench/bench/front.mp4", "reports/failed.tsv", "reports/outcomes.svg"):
        (results / name).unlink()
    assert planned(workspace) == {"conform_video": 1, **LEDGER}
    assert workspace.snakemake().returncode == 0
    assert differences(before, digest(results)) == []


def test_a_file_that_was_deleted_of_a_folder_is_made_again_with_it(workspace):
    results = workspace.root / "results"
    before = digest(results)
    (results / min(name for name in before if name.endswith(".npz") and "/npz/" in name)).unlink()
    assert "extract_windows" in planned(workspace)
    assert workspace.snakemake().returncode == 0
    assert differences(before, digest(results)) == []
    assert planned(workspace) == {}


def test_a_preview_stands_aside(workspace):
    results = workspace.root / "results"
    before = digest(results)
    run = workspace.snakemake("--cores", "2", "--config", "preview=3", timeout=240)
    assert run.returncode == 0, run.stdout
    preview = results / "preview_3s"
    for recording in ("booth/one", "booth/two", "bench/bench"):
        found = manifest.read(preview / "media" / recording / "manifest.json")["timeline"]
        assert 2.8e9 < found["stop_ns"] - found["start_ns"] <= 3.1e9
    assert (preview / "reports" / "ledger.checked").is_file()
    shutil.rmtree(preview)
    assert differences(before, digest(results)) == []
    assert planned(workspace) == {}


def test_one_recording_alone_leaves_the_merged_files_as_they_are(workspace):
    change(workspace, CONFIGFILE, "augment_factor: 2", "augment_factor: 4")
    results = workspace.root / "results"
    before = digest(results)
    report = dict.fromkeys(("merge_ledgers", "plot_clocks", "plot_outcomes", "render_overlay", "check_ledger"), 1)
    assert planned(workspace, "--config", "only=one") == {"extract_windows": 1, **report}
    run = workspace.snakemake("--cores", "2", "--config", "only=one", timeout=240)
    assert run.returncode == 0, run.stdout
    changed = differences(before, digest(results))
    assert changed
    windows = ("datasets/visemes/windows/one.", "datasets/visemes/npz/one/", "datasets/visemes/npz/.one.entries.json")
    own = (*windows, "reports/only_one/")
    assert all(name.startswith(own) for name in changed)
    assert planned(workspace) == {**WINDOWS, "extract_windows": 2}


def test_a_folder_of_windows_and_a_dataset_of_both_are_added_without_cutting_again(workspace):
    made = workspace.root / "results" / "datasets"
    for split, speaker in (("train", "one"), ("val", "two")):
        shutil.copytree(made / "visemes" / split / speaker, workspace.root / "seed" / split / f"old_{speaker}")
    joined = (
        "  old: {kind: windows, npz: seed}\n  both: {kind: windows, from: [visemes, old], formats: [folders, shards]}\n"
    )
    change(workspace, CONFIGFILE, "reports:", f"{joined}\nreports:")
    assert not {"extract_windows", "extract_landmarks", "import_video"} & set(planned(workspace))
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout
    both, alone = Windows(made / "both", "train"), Windows(made / "visemes", "train")
    assert len(both) == 2 * len(alone)
    assert (both[0]["audio"] == both[len(alone)]["audio"]).all()
    # Twice the same windows have the same mean.
    assert np.abs(both.statistics[0] - alone.statistics[0]).max() < 1e-9
    assert len(Windows(made / "both", "train", shards=True)) == len(both)
    assert len(list((made / "both" / "train").glob("*/*.npz"))) == len(both)
    assert planned(workspace) == {}
