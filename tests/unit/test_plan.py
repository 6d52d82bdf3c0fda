"""What a run makes and where."""

import inspect
import string
from types import SimpleNamespace

import pytest

from scripts.common.errors import ConfigError
from scripts.common.versions import versioned
from scripts.planning import plan as planning
from scripts.planning.paths import Paths
from scripts.planning.plan import for_targets, load
from scripts.planning.resources import SHORTEST_MIN, Work
from scripts.planning.shards_plan import ShardsRoom
from tests.unit.examples import House

FULL = ["recording", "rig", "source", "subject", "start", "end", "split"]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Three recordings of a booth by two people, and one bag."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("a.mov", "b.mov", "c.mov", "d.bag")
    house.sheet(
        FULL,
        [
            ["a", "booth", "a.mov", "Ann", "", "", "train"],
            ["b", "booth", "b.mov", "Ann", "", "", ""],
            ["c", "booth", "c.mov", "Bob", "", "", "val"],
            ["d", "aviary", "d.bag", "", "", "", ""],
        ],
    )
    house.datasets = {"visemes": {"kind": "windows", "rig": "booth", "landmarks": "fan"}}
    return house


def mistake(house, **changes):
    with pytest.raises(ConfigError) as error:
        load(house.config(**changes))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_path_of_the_results_is_another_one():
    path = Paths("out")
    patterns = [
        path.manifest(), path.export_ledger(), path.landmarks(), path.landmarks_ledger(), path.weights(), path.npz(),
        *(function(stage) for function in (path.video, path.frames, path.sound, path.clock)
          for stage in ("media", "conformed")),
        *(path.conform_ledger(kind) for kind in ("camera", "microphone")),
        *(path.windows(what) for what in ("index.parquet", "ledger.parquet", "stats.npz")),
        *(path.dataset(name) for name in ("splits.tsv", "index.parquet", "train")),
        path.report("ledger.tsv"), path.log("rule"), path.benchmark("rule"),
    ]  # fmt: skip
    functions = [name for name, _ in inspect.getmembers(Paths, inspect.isfunction) if not name.startswith("_")]
    assert len(functions) == 16
    assert len(set(patterns)) == len(patterns) == 25
    assert all(pattern.startswith("out/") for pattern in patterns)
    names = {name for pattern in patterns for _, name, _, _ in string.Formatter().parse(pattern) if name}
    assert names == {"rig", "recording", "camera", "microphone", "landmarks", "weights", "dataset"}


def test_an_import_declares_every_stream_of_its_rig(house):
    plan = load(house.config())
    assert plan.exported(plan.rigs["aviary"]) == {
        "videos": [f"results/media/aviary/{{recording}}/{camera}.mp4" for camera in ("left", "right")],
        "frames": [f"results/media/aviary/{{recording}}/{camera}.frames.parquet" for camera in ("left", "right")],
        "sounds": ["results/media/aviary/{recording}/array.wav"],
        "clocks": ["results/media/aviary/{recording}/array.clock.json"],
        "manifest": "results/media/aviary/{recording}/manifest.json",
        "ledger": "results/media/aviary/{recording}/export.ledger.parquet",
    }


def test_a_rig_without_microphones_exports_no_sound(house):
    house.rigs["mute"] = {"source": "bag", "cameras": {"top": "/top"}}
    plan = load(house.config())
    outputs = plan.exported(plan.rigs["mute"])
    assert (outputs["sounds"], outputs["clocks"]) == ([], [])
    assert len(outputs["videos"]) == 1


def test_every_stage_has_its_targets(house):
    plan = load(house.config())
    assert plan.targets("sources") == [
        *(f"results/media/booth/{name}/manifest.json" for name in "abc"),
        "results/media/aviary/d/manifest.json",
    ]
    media = plan.targets("media")
    assert len(media) == 4 + 1 + 3 + 1
    assert "results/conformed/aviary/d/array.sound.ledger.parquet" in media
    tables = ("front.scenes.parquet", "voice.speech.parquet")
    assert plan.targets("faces") == [
        *(f"results/faces/booth/{name}/front.fan.landmarks.npz" for name in "abc"),
        *(f"results/faces/booth/{name}/{table}" for name in "abc" for table in tables),
    ]
    assert plan.targets("datasets") == [
        f"results/datasets/visemes/{name}" for name in ("index.parquet", "lm_mean.npy", "train", "val")
    ]
    assert plan.targets("reports") == ["results/reports/ledger.checked"]


def test_the_report_asks_for_the_ledger_of_every_job(house):
    ledgers = load(house.config()).ledgers()
    assert len(ledgers) == len(set(ledgers)) == 4 + 9 + 3 + 2 * 3 + 3


def test_two_datasets_share_the_landmarks_that_both_need(house):
    house.datasets["dense"] = {**house.datasets["visemes"], "hop": 4}
    house.datasets["quick"] = {**house.datasets["visemes"], "landmarks": "openseeface"}
    plan = load(house.config())
    assert len(plan.targets("faces")) == 2 * 3 + 2 * 3
    assert len(plan.ledgers()) == 4 + 9 + 6 + 6 + 9


def test_only_the_chosen_recording_is_made_and_datasets_are_left_as_they_are(house):
    plan = load(house.config(only="c"))
    assert (
        [target for stage in planning.STAGES for target in plan.targets(stage)]
        == plan.everything()
        == [
            "results/media/booth/c/manifest.json",
            "results/conformed/booth/c/front.video.ledger.parquet",
            "results/conformed/booth/c/voice.sound.ledger.parquet",
            "results/faces/booth/c/front.fan.landmarks.npz",
            "results/faces/booth/c/front.scenes.parquet",
            "results/faces/booth/c/voice.speech.parquet",
            "results/datasets/visemes/windows/c.index.parquet",
            "results/reports/only_c/ledger.checked",
        ]
    )
    assert plan.ledgers() == [
        "results/media/booth/c/export.ledger.parquet",
        "results/conformed/booth/c/front.video.ledger.parquet",
        "results/conformed/booth/c/voice.sound.ledger.parquet",
        "results/faces/booth/c/front.fan.ledger.parquet",
        "results/datasets/visemes/windows/c.ledger.parquet",
        "results/faces/booth/c/front.scenes.ledger.parquet",
        "results/faces/booth/c/voice.speech.ledger.parquet",
    ]
    assert plan.overlays() == [("visemes", "c")]
    house.datasets["visemes"]["limits"] = {"no_speech": 0}
    assert not [path for path in load(house.config()).ledgers() if "speech" in path]
    assert len(load(house.config(only=["a", "c"])).chosen) == 2
    assert load(house.config()).only == load(house.config(only="")).only == ()


def test_the_report_of_many_recordings_has_a_folder_with_a_short_name(house):
    names = ["a", "b", "c"] * 20
    folder = load(house.config(only=names)).path.report("x").split("/")[2]
    assert folder.startswith("only_")
    assert len(folder) < 110


def test_an_unknown_name_in_only_or_known_failures_names_the_nearest(house):
    assert mistake(house, only="e") == "only: there is no recording `e`; known: a, b, c, d"
    assert mistake(house, known_failures=["A"]) == "known_failures: there is no recording `A`; known: a, b, c, d"


def test_a_preview_stands_in_a_folder_of_its_own(house):
    assert load(house.config(preview=10)).path.report("x") == "results/preview_10s/reports/x"
    assert load(house.config(preview=0)).path.report("x") == "results/reports/x"


def test_a_recording_that_is_ruled_out_is_made_by_nobody_but_named(house):
    house.exclude = [["b", "", "", "blurred"], ["a", "1", "2", "cough"]]
    plan = load(house.config())
    assert list(plan.recordings) == ["a", "c", "d"]
    assert [(e.recording, e.reason) for e in plan.excluded] == [("b", "blurred")]
    assert plan.exclusions["a"][0].reason == "cough"
    assert not [path for path in plan.ledgers() if "/b/" in path or "/b." in path]


def test_a_recording_that_is_ruled_out_cannot_be_chosen(house):
    house.exclude = [["b", "", "", "blurred"]]
    assert mistake(house, only="b") == "only: b is excluded by config/exclude.tsv (blurred)"


def test_a_sheet_of_exclusions_that_is_named_must_exist(house):
    assert load(house.config()).exclusions == {}
    assert mistake(house, exclude="config/exclud.tsv") == "config/exclud.tsv does not exist"


def test_scan_needs_no_sheet(house):
    (house.root / "config" / "recordings.tsv").unlink()
    assert load(house.config(folder="raw")).recordings == {}
    assert mistake(house) == "config/recordings.tsv does not exist"


def test_the_folder_to_scan_is_heeded_by_scan_alone(house):
    config = house.config(folder="raw")
    assert load(for_targets(config, ["scan", "--cores", "1"])).recordings == {}
    assert set(load(for_targets(config, ["datasets", "--cores", "1"])).recordings) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("rows", [[], [["d", "aviary", "d.bag", "", "", "", ""]]])
def test_a_dataset_whose_rig_has_no_recording_is_said(house, capsys, rows, tmp_path):
    house.sheet(FULL, rows)
    (tmp_path / "urls.txt").write_text("http://localhost/a.mp4\n")
    house.datasets["of_no_rig"] = {"kind": "shards", "table": "urls.txt"}
    load(house.config()).give_notice(SimpleNamespace(is_main_process=True))
    said = "datasets.visemes: nothing is made, for config/recordings.tsv has no recording of rig booth"
    assert [line for line in capsys.readouterr().err.splitlines() if "nothing is made" in line] == [said]


def test_a_folder_of_weights_that_is_none_is_a_mistake_before_any_job(house):
    assert mistake(house, models_dir="/nope") == "models_dir: /nope does not exist"
    assert mistake(house, models_dir="config/recordings.tsv") == "models_dir: config/recordings.tsv is no folder"


def test_stretches_that_may_miss_are_those_of_recordings_taken_to_their_ends(house):
    cut_at_2_s = ["c", "booth", "c.mov", "Bob", "", "2", "val"]
    house.sheet(
        FULL, [["a", "booth", "a.mov", "Ann", "1", "", "train"], ["b", "booth", "b.mov", *[""] * 4], cut_at_2_s]
    )
    house.exclude = [["b", "3", "4", "x"], ["b", "", "4", "x"], ["a", "3", "", "x"], ["c", "3", "", "x"]]
    plan = load(house.config())
    assert plan.stretches() == [["a", 1.0, 3.0, None], ["b", 0.0, 3.0, 4.0]]
    assert load(house.config(only="b")).stretches() == [["b", 0.0, 3.0, 4.0]]
    assert load(house.config(preview=2)).stretches() == []
    assert plan.manifests(["b", "b"]) == ["results/media/booth/b/manifest.json"]


def test_overlays_are_the_first_recording_of_each_subject_then_the_second(house):
    assert load(house.config()).overlays() == [("visemes", "a"), ("visemes", "c"), ("visemes", "b")]
    assert load(house.config(reports={"overlays": 2})).overlays() == [("visemes", "a"), ("visemes", "c")]
    assert load(house.config(reports={"overlays": 0})).overlays() == []


@pytest.mark.parametrize("results", ["/", ".", "./", "a{b}", "{recording}"])
def test_results_are_a_folder_of_their_own(house, results):
    assert mistake(house, results=results).startswith(f"results: `{results}` is no folder of its own")


@pytest.mark.parametrize("results", ["~/out", "s3://bucket/out"])
def test_results_are_a_plain_path(house, results):
    assert mistake(house, results=results).startswith(f"results: `{results}` is no plain path")


@pytest.mark.parametrize("key", ["results", "recordings", "weights", "exclude"])
def test_a_path_that_no_file_can_have_is_one_line(house, key):
    for path in ("x" * 300, "a\0b"):
        assert mistake(house, **{key: path})


def test_results_are_no_file(house, tmp_path):
    (tmp_path / "taken").touch()
    assert mistake(house, results=str(tmp_path / "taken")) == f"results: `{tmp_path}/taken` is a file; name a folder"


def test_results_are_written_as_snakemake_wants_them(house):
    assert load(house.config(results="./out//x/")).path.results == "out/x"
    assert load(house.config(results="/scratch/out")).path.results == "/scratch/out"


@pytest.mark.parametrize("kind", ["rigs", "datasets"])
def test_two_names_that_would_be_one_folder_are_a_mistake(house, kind):
    section = getattr(house, kind)
    name = next(iter(section))
    section[name.upper()] = section[name]
    assert mistake(house) == f"{kind}: `{name}` and `{name.upper()}` would be the same folder on some systems"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"rig": "boot"}, "datasets.visemes.rig: there is no rig `boot`; did you mean `booth`?"),
        ({"camera": "frnt"}, "datasets.visemes.camera: the rig has no `frnt`; did you mean `front`?"),
        ({"rig": "aviary"}, "datasets.visemes: the rig has 2 cameras; name one by the key `camera`"),
        ({"landmarks": "given"}, "datasets.visemes.landmarks: `given`, but a has no file in the column `landmarks`"),
        ({"frames": 10, "augment_factor": 3}, "datasets.visemes.augment_factor: 10 frames cannot be divided by 3; set"),
        ({"split": {"train": 0.9, "test": 0.1}}, "datasets.visemes.split: no recording falls into `test` (share 0.1)"),
    ],
)
def test_a_dataset_that_does_not_fit_its_rig_is_a_mistake(house, entry, message):
    house.datasets["visemes"].update(entry)
    assert mistake(house).startswith(message)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"table": "t.csv"}, "datasets.web: it has a table and a rig; name one of them"),
        ({"fetch": {"folder": "x"}}, "datasets.web.fetch.folder: it is for the paths of a table; leave it out"),
    ],
)
def test_shards_of_a_rig_take_nothing_that_is_for_tables(house, entry, message):
    house.datasets = {"web": {"kind": "shards", "rig": "booth", **entry}}
    assert mistake(house).startswith(message)


def test_shards_of_a_rig_know_what_is_ruled_out_of_a_recording_in_seconds_of_its_import(house):
    house.datasets = {"web": {"kind": "shards", "rig": "booth"}}
    house.sheet(FULL, [["a", "booth", "a.mov", "Ann", "2", "", ""], ["b", "booth", "b.mov", "Ann", "", "", ""]])
    house.exclude = [["a", "5", "", "cough"]]
    items = ShardsRoom(load(house.config())).datasets["web"].items
    rows = {item["row"]["recording"]: item["row"] for item in items}
    assert rows["a"]["_unusable"] == [[3.0, None, "excluded", "cough"]]
    assert "_unusable" not in rows["b"]


@pytest.mark.parametrize(
    ("formats", "frames"),
    [({"audio": "m4a"}, ""), ({"video": "mp4"}, "results/conformed/booth/a/front.frames.parquet")],
)
def test_shards_of_a_rig_ask_for_filler_only_where_pictures_are_written(house, formats, frames):
    house.datasets = {"web": {"kind": "shards", "rig": "booth", "encode_formats": formats}}
    assert ShardsRoom(load(house.config())).datasets["web"].items[0]["frames"] == frames


def test_a_rate_that_does_not_divide_the_samples_is_a_mistake(house):
    assert mistake(house, media={"fps": "30000/1001"}) == (
        "datasets.visemes: 16000 samples cannot be divided evenly among 30000/1001 frames a second"
    )


def test_a_hop_is_the_window_divided_by_the_augment_factor_or_what_is_given(house):
    house.datasets = {
        "half": {"kind": "windows", "rig": "booth"},
        "third": {"kind": "windows", "rig": "booth", "frames": 60, "augment_factor": 3},
        "own": {"kind": "windows", "rig": "booth", "hop": 7},
    }
    datasets = load(house.config()).datasets
    assert [datasets[name].hop for name in ("half", "third", "own")] == [32, 20, 7]


def test_weights_that_a_dataset_needs_must_be_listed(house, tmp_path):
    (tmp_path / "few.yaml").write_text("{}")
    assert mistake(house, weights="few.yaml") == (
        "few.yaml: `face_detection_yunet_2023mar.onnx`, for the landmarks of visemes, is missing"
    )
    assert mistake(house, weights="none.yaml") == "weights: none.yaml does not exist"
    (tmp_path / "bad.yaml").write_text("a: {url: 'ftp://x', sha256: 0123456789, licence: MIT}")
    assert mistake(house, weights="bad.yaml").startswith("bad.yaml: a.")


def test_weights_are_listed_in_a_file_of_yaml(house, tmp_path):
    (tmp_path / "w.yaml").write_bytes("# größer\na: {}\n# größer\n".encode("latin-1"))
    assert mistake(house, weights="w.yaml") == "w.yaml, line 1: this is not UTF-8; save the file as UTF-8"
    (tmp_path / "w.yaml").write_text("a: {}\nb: {}\na: {}\n")
    said = "w.yaml, line 3: the key `a` stands there twice, first in line 1; keep one"
    assert mistake(house, weights="w.yaml") == said
    (tmp_path / "w.yaml").write_text("a: [\n")
    assert mistake(house, weights="w.yaml").startswith("w.yaml: while parsing")
    assert mistake(house, weights=".") == "weights: . is no file"


@pytest.mark.parametrize("name", ["a/b.onnx", "$HOME.onnx", "`touch ran`", ".onnx", "x" * 101])
def test_a_weight_file_is_called_as_files_are(house, tmp_path, name):
    (tmp_path / "w.yaml").write_text(f"'{name}': {{url: 'https://x', sha256: '0123456789', licence: MIT}}")
    assert mistake(house, weights="w.yaml").startswith(f"w.yaml: `{name}` cannot name a file; ")


def test_a_swap_of_two_settings_is_another_key():
    assert versioned(1, hop=5, frames=10) != versioned(1, hop=10, frames=5)
    assert sorted(versioned(1, hop=5, frames=10).values()) == sorted(versioned(1, hop=10, frames=5).values())
    assert versioned(1, fps="30000/1001") != versioned(1, fps="25")
    assert versioned(1, hop=5) != versioned(2, hop=5)


class Wildcards:
    def __init__(self, **names):
        vars(self).update(names)


def test_resources_grow_with_the_source_and_with_each_attempt(house):
    house.files_of_sources("a.mov", size=3_000_000)
    work = Work(load(house.config()).recordings)
    memory, runtime = work.memory(base_mb=100, per_mb=2), work.runtime(seconds_per_mb=60)
    assert [memory(Wildcards(recording="a"), attempt) for attempt in (1, 2)] == [106, 159]
    assert [runtime(Wildcards(recording="a"), attempt) for attempt in (1, 2)] == [
        SHORTEST_MIN + 3,
        2 * SHORTEST_MIN + 6,
    ]
    assert memory(Wildcards(weights="x"), 1) == 100
    assert [work.of_all(base=10, per_recording=2)(Wildcards(), attempt) for attempt in (1, 2)] == [18, 27]
    assert Work({}, adopted=4).of_all(base=10, per_recording=2)(Wildcards(), 1) == 18


def test_a_slow_site_multiplies_every_runtime_and_no_memory(house):
    work = Work(load(house.config()).recordings, runtime_factor=2.5)
    assert work.runtime(seconds_per_mb=1)(Wildcards(recording="a"), 1) == 13
    assert work.minutes(base=4, per_recording=1)(Wildcards(), 1) == 20
    assert work.of_all(base=4, per_recording=1)(Wildcards(), 1) == 8
