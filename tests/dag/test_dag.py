"""What is made of an archive, and what is made again after a change: all of it asked, nothing of it run."""

import os
import re
import time

import pytest

from tests.dag.archive import BAGS, HOSTILE, MEDIA, Archive

# What follows from other windows, and what follows from other counts.
OF_WINDOWS = {"compute_stats", "index_dataset", "arrange_train", "arrange_val"}
OF_FACES = {"extract_landmarks", "detect_cuts", "detect_speech"}
OF_LEDGERS = {"merge_ledgers", "plot_outcomes", "check_ledger"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which everything stands; tests ask what they would do with another config, and do nothing."""
    archive = Archive(tmp_path_factory.mktemp("finished"))
    archive.finish()
    return archive


def test_a_dry_run_shows_every_job_before_it_is_made(archive):
    shown = archive.dry_run()
    assert shown.status == 0, shown.text
    assert shown.jobs == {
        "import_video_booth": 3,
        "export_bag_aviary": 2,
        "conform_video": 3 + 2 * 2,
        "conform_audio": 3 + 2,
        "fetch_model": 2,
        "extract_landmarks": 3,
        "detect_cuts": 3,
        "detect_speech": 3,
        "extract_windows": 3,
        "split_dataset": 1,
        "compute_stats": 1,
        "index_dataset": 1,
        "arrange_train": 1,
        "arrange_val": 1,
        "render_overlay": 3,
        "plot_clocks": 1,
        "merge_ledgers": 1,
        "plot_outcomes": 1,
        "check_ledger": 1,
    }
    for source in (*HOSTILE, *BAGS):
        assert source in shown.text
    assert "discouraged" not in shown.text
    assert not (archive.root / "results").exists()


@pytest.mark.parametrize(
    ("stage", "rules"),
    [
        ("sources", {"import_video_booth", "export_bag_aviary"}),
        ("faces", {"import_video_booth", "conform_video", "conform_audio", "fetch_model", *OF_FACES}),
    ],
)
def test_a_stage_asks_for_what_it_needs_and_for_no_more(archive, stage, rules):
    assert archive.dry_run(stage).rules == rules | {stage}


def test_only_the_chosen_recording_is_made(archive):
    shown = archive.dry_run(only="a.1")
    assert shown.jobs == {
        "import_video_booth": 1,
        "conform_video": 1,
        "conform_audio": 1,
        "fetch_model": 2,
        **dict.fromkeys(OF_FACES, 1),
        "extract_windows": 1,
        **dict.fromkeys(("merge_ledgers", "plot_clocks", "plot_outcomes", "render_overlay", "check_ledger"), 1),
    }
    assert "reports/only_a.1/ledger.checked" in shown.text


def test_a_preview_makes_everything_in_a_folder_of_its_own(archive):
    archive.exclude = [["ç", "", "", "blurred"], ["a.1", "1", "2", "cough"]]
    archive.rows[1][3] = "Bob"
    archive.rows[1][-1] = "val"
    shown = archive.dry_run(preview=10)
    outputs = re.findall(r"^    output: (.*)$", shown.text, re.MULTILINE)
    assert outputs
    assert all(path.startswith("results/preview_10s/") for line in outputs for path in line.split(", "))
    assert shown.jobs["extract_windows"] == 2


def exporting(archive, wanted, **changes):
    archive.rigs["aviary"]["exports"] = wanted
    return archive.dry_run("media", **changes)


def test_every_export_is_a_job_and_what_it_needs_comes_by_the_dag(archive):
    plain = archive.dry_run("media")
    assert exporting(archive, ["separate", "audio"]).jobs == plain.jobs
    shown = exporting(archive, ["merge"])
    assert {name: count for name, count in shown.jobs.items() if name not in plain.jobs} == {
        "render_full": 2,
        "merge_video_audio": 2,
    }
    groups = {"top": {"cameras": ["left"], "left": ["array:0"]}, "bottom": {"cameras": ["right"]}}
    shown = exporting(archive, {"mosaic": {"groups": groups}, "merge": {"picture": "left"}})
    assert {name: count for name, count in shown.jobs.items() if name not in plain.jobs} == {
        "render_mosaic": 4,
        "merge_video_audio": 2,
    }
    for name in ("mosaic.top.mp4", "mosaic.bottom.instants.parquet", "merge.mp4"):
        assert f"results/exports/aviary/c/{name}" in shown.text


def test_the_ledger_of_what_is_made_for_another_export_counts_too(archive):
    shown = exporting(archive, ["merge"])
    archive.rigs["aviary"]["exports"] = ["merge"]
    assert "results/exports/aviary/c/full.ledger.parquet" in archive.dry_run("reports").text
    assert shown.status == 0


def test_sounds_stills_frames_and_clips_are_jobs_of_their_own(archive):
    plain = archive.dry_run("media").jobs
    archive.files_of_sources("clips #1.csv")
    exports = {
        "separate": {"formats": ["mp4", "mkv"]},
        "audio": {"formats": ["wav", "raw", "flac", "wavpack"]},
        "frame": {"every_s": 600},
        "allframes": {"form": "shards"},
        "clips": {"table": "clips #1.csv", "zone": "Europe/Vienna"},
    }
    shown = exporting(archive, exports)
    assert {name: count for name, count in shown.jobs.items() if name not in plain} == {
        "copy_matroska": 4,
        "extract_raw_audio": 2,
        "compress_audio": 4,
        "extract_stills": 4,
        "extract_all_frames": 2,
        "cut_clips": 2,
    }
    assert "clips #1.csv" in shown.text


def test_old_names_need_what_they_name_and_the_raw_sound(archive):
    plain = archive.dry_run("media").jobs
    archive.rigs["aviary"]["naming"] = "aviary"
    shown = exporting(archive, ["separate", "audio", "full", "merge", "mosaic", "frame"])
    assert {name: count for name, count in shown.jobs.items() if name not in plain} == {
        "extract_raw_audio": 2,
        "render_full": 2,
        "render_mosaic": 2,
        "merge_video_audio": 2,
        "extract_stills": 4,
        "link_aviary_names": 2,
    }


def test_a_sound_is_located_before_it_is_drawn(archive):
    (archive.root / "cameras.toml").touch()
    archive.rigs["aviary"]["calibration"] = "cameras.toml"
    positions = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    plain = archive.dry_run("media")
    shown = exporting(archive, {"spectrogram": {"location": {"positions_m": positions}}, "latency": {}})
    assert {name: count for name, count in shown.jobs.items() if name not in plain.jobs} == {
        "locate_sound": 2,
        "render_spectrogram": 2,
        "measure_latency": 2,
    }
    assert "results/exports/aviary/c/location.parquet, cameras.toml" in shown.text


def test_exports_work_on_files_as_on_bags(archive):
    archive.rigs["booth"]["exports"] = ["full", "merge"]
    assert archive.dry_run("media").jobs["merge_video_audio"] == 3


def test_only_a_hardware_encoder_asks_for_a_gpu(archive):
    assert "gpu=1" not in exporting(archive, ["full"]).text
    shown = exporting(archive, {"full": {}, "mosaic": {"encoder": "cpu"}}, exports={"encoder": "nvenc"})
    assert shown.text.count("gpu=1") == shown.jobs["render_full"] == 2


def test_landmarks_from_a_file_need_no_weights_and_no_gpu(archive):
    for row in archive.rows[:3]:
        row[4] = "raw/points #1.npy"
    archive.files_of_sources("raw/points #1.npy")
    archive.datasets["visemes"]["landmarks"] = "given"
    shown = archive.dry_run("faces", accelerator="cuda")
    assert shown.jobs["extract_landmarks"] == 3
    assert "fetch_model" not in shown.rules
    assert "raw/points #1.npy" in shown.text
    assert "gpu=1" not in shown.text


def test_a_network_on_cuda_asks_for_one_gpu(archive):
    shown = archive.dry_run("faces", accelerator="cuda")
    assert shown.text.count("gpu=1") == shown.jobs["extract_landmarks"] == 3


def test_a_camera_that_a_rig_does_not_find_is_no_matter_of_the_plan(archive):
    """It ends as a failed row of its import; the plan is that of the rig."""
    archive.rigs["booth"]["cameras"] = {"front": "{source}", "side": "{stem}.side.mov"}
    archive.datasets["visemes"]["camera"] = "front"
    assert archive.dry_run("media").jobs["conform_video"] == 2 * 3 + 2 * 2


def spoil(archive, what):
    if what == "config":
        archive.rigs["booth"]["camras"] = {}
        return "rigs.booth: unknown key `camras`; did you mean `cameras`?"
    if what == "file":
        archive.rows[0][2] = "raw/Week#2/it's you.MOV"
        return (
            "recordings.tsv, line 2: the source \"raw/Week#2/it's you.MOV\" does not exist; did you mean `it's me.MOV`?"
        )
    archive.rows[1][0] = "A.1"
    return "recordings.tsv, line 3: the recording `A.1` stands in line 2, too"


@pytest.mark.parametrize("what", ["config", "file", "sheet"])
def test_a_mistake_is_one_line_and_ends_with_1_before_any_job(archive, what):
    message = spoil(archive, what)
    shown = archive.dry_run()
    assert (shown.status, shown.text) == (1, f"{message}\n")
    assert not (archive.root / "results").exists()


def test_nothing_is_to_be_done_where_everything_stands(finished):
    shown = finished.dry_run()
    assert shown.status == 0
    assert "Nothing to be done" in shown.text
    assert "missing provenance" not in shown.text


def with_window(archive, **settings):
    return {"visemes": {**archive.datasets["visemes"], **settings}}


def test_another_hop_makes_again_what_depends_on_it_and_nothing_else(finished):
    shown = finished.dry_run(datasets=with_window(finished, hop=16))
    assert shown.rules == {"extract_windows"} | OF_WINDOWS | OF_LEDGERS
    assert shown.jobs["extract_windows"] == 3


def test_a_swap_of_two_values_makes_again_what_it_should(finished):
    """The window's 64 frames and its hop of 32 change places; so do two limits."""
    shown = finished.dry_run(datasets=with_window(finished, frames=32, hop=64))
    assert shown.rules == {"extract_windows"} | OF_WINDOWS | OF_LEDGERS
    swapped = with_window(finished, limits={"gap": 0.25, "jump": 0.1})
    assert finished.dry_run(datasets=swapped).jobs["extract_windows"] == 3


@pytest.mark.parametrize(
    "unheeded",
    [
        {"faces": {"batch": 8}},
        {"faces": {"precision": "bfloat16", "peaks": "package", "flip": True}},
        {"faces": {"smooth": {"window": 9, "order": 3, "min_cutoff_hz": 2, "beta": 2}}},
        {"accelerator": "cuda"},
    ],
    ids=["batch", "of FAN", "of no smoothing", "accelerator"],
)
def test_what_a_back_end_of_landmarks_does_not_heed_makes_nothing_again(finished, unheeded):
    assert finished.dry_run(**unheeded).jobs == {}


@pytest.mark.parametrize("heeded", [{"detect_every": 4}, {"min_score": 0.7}, {"smooth": {"method": "savgol"}}])
def test_what_a_back_end_of_landmarks_heeds_makes_them_again(finished, heeded):
    assert finished.dry_run(faces=heeded).jobs["extract_landmarks"] == 3


def test_another_rational_rate_makes_again_what_it_should_and_another_spelling_nothing(finished):
    assert finished.dry_run(media={**MEDIA, "fps": "48000/2002"}).jobs == {}
    shown = finished.dry_run(media={**MEDIA, "fps": 24})
    assert shown.jobs["conform_video"] == 7
    assert shown.jobs["conform_audio"] == 5
    assert shown.jobs["extract_windows"] == 3
    assert not {"import_video_booth", "export_bag_aviary", "fetch_model", "split_dataset"} & shown.rules


def test_an_accepted_failure_asks_the_last_rule_alone_again(finished):
    assert finished.dry_run(known_failures=["c"]).jobs == {"check_ledger": 1}


def test_another_folder_of_weights_makes_nothing_again(finished):
    """They are verified by their sha256, wherever they come from."""
    (finished.root / "elsewhere").mkdir()
    assert finished.dry_run(models_dir="elsewhere").jobs == {}


def test_a_folder_to_scan_in_the_config_keeps_no_other_target_from_its_work(finished, archive):
    assert finished.dry_run(folder="raw").jobs == {}
    shown = archive.dry_run("sources", folder="raw")
    assert shown.jobs == {"import_video_booth": 3, "export_bag_aviary": 2, "sources": 1}


def test_an_exclusion_makes_again_only_its_recording_and_what_merges_it(finished):
    finished.exclude = [["b=2", "1", "2", "cough"]]
    shown = finished.dry_run()
    finished.exclude = []
    (finished.root / "config" / "exclude.tsv").unlink()
    assert shown.jobs["extract_windows"] == 1
    assert shown.rules == {"extract_windows"} | OF_WINDOWS | OF_LEDGERS


def test_a_new_recording_makes_itself_and_what_merges_it(finished):
    finished.files_of_sources("raw/new.mov")
    finished.rows.append(["new", "booth", "raw/new.mov", "Cid", "", "", "", "val"])
    shown = finished.dry_run()
    finished.rows.pop()
    one = {"import_video_booth", "conform_video", "conform_audio", "extract_windows", *OF_FACES}
    assert {name for name, count in shown.jobs.items() if count == 1 and name in one} == one
    assert shown.rules - one == {"split_dataset", "render_overlay", "plot_clocks"} | OF_WINDOWS | OF_LEDGERS
    assert set(shown.jobs.values()) == {1}


def test_a_newer_source_makes_its_own_recording_again(finished):
    source = finished.root / HOSTILE[0]
    source.write_bytes(b"longer")
    later = time.time() + 60
    os.utime(source, (later, later))
    shown = finished.dry_run("sources")
    assert shown.jobs == {"import_video_booth": 1, "sources": 1}
