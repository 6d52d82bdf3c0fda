"""What a table of URLs makes Snakemake plan: the plan job first, then every file."""

import json

import pytest

from tests.unit.shard_maker import plan, settings_of, write_table

STEPS = {"fetch_shard", "scan_shard", "cut_shard", "write_shard"}


@pytest.fixture
def archive(archive, tmp_path):
    archive.rows, archive.datasets = [], {"web": {"kind": "shards", "table": "t.txt", "shard_rows": 2, "lot_shards": 1}}
    write_table(tmp_path / "t.txt", *(f"{number}.mp4" for number in range(5)))
    return archive


def planned(archive) -> None:
    """Plan the table as its job does."""
    settings = settings_of(archive.root / "t.txt", shard_rows=2, lot_shards=1)
    plan(archive.root / "results" / "lots" / "web", archive.root / "t.txt", settings)


def test_before_the_plan_a_dry_run_shows_its_job_and_the_estimate(archive):
    shown = archive.dry_run()
    assert shown.status == 0, shown.text
    last_word = {"merge_ledgers", "plot_clocks", "plot_outcomes", "check_ledger"}
    assert shown.rules == {"plan_shards", "index_shards", *last_word}


def test_the_estimate_knows_rows_and_shards(archive):
    from scripts.planning.shards_plan import estimate, make_shards

    settings = settings_of(archive.root / "t.txt", shard_rows=2)
    assert "about 5 rows, 2 shards of at most 2" in estimate(make_shards("web", settings))


def test_after_the_plan_a_dry_run_shows_every_file(archive):
    archive.write()
    planned(archive)
    # As after its job: the plan is younger than the table, and Snakemake knows how it was made.
    from tests.dag.archive import snakemake

    status, text = snakemake(archive.root, "--touch", "--quiet", "all", "--until", "plan_shards")
    shown = archive.dry_run()
    assert shown.status == 0, (status, text, shown.text)
    assert {rule: shown.jobs[rule] for rule in STEPS} == dict.fromkeys(STEPS, 3)
    for lot in range(3):
        assert f"results/lots/web/lot{lot:05d}.clips.tar" in shown.text
    assert "plan_shards" not in shown.rules
    assert "TBD" not in shown.text


def test_landmarks_of_clips_are_made_again_for_what_their_back_end_heeds_alone(archive):
    archive.datasets["web"] |= {
        "encode_formats": {"video": "mp4"},
        "annotations": {"face": {"kind": "landmarks", "landmarks": "openseeface"}},
    }
    archive.write()
    planned(archive)
    archive.finish()
    assert archive.dry_run(faces={"batch": 8, "precision": "bfloat16"}, accelerator="cuda").jobs == {}
    assert archive.dry_run(faces={"detect_every": 4}).jobs["find_clip_landmarks"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "none.txt"}, "datasets.web.table: 'none.txt' does not exist"),
        ({"table": ""}, "the key `table` is missing"),
        ({"video": {"height": 121}}, "121 is odd"),
        ({"video": {"fps": "x"}}, "`x` is no frame rate"),
        ({"min_s": 5, "max_s": 2}, "no clip is left"),
        ({"precision": "smart", "video": {"fps": 5}}, "to change it, set exact"),
        ({"precision": "smart", "encode_formats": {"audio": "m4a"}}, "mp4 alone"),
        ({"clips": "cut"}, "is not one of auto, whole"),
        ({"ouput": "files"}, "did you mean `output`"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(archive, change, message):
    archive.datasets["web"] |= change
    shown = archive.dry_run()
    assert shown.status == 1
    assert message in shown.text
    assert "Traceback" not in shown.text


def test_a_plan_is_small(archive):
    archive.write()
    planned(archive)
    content = json.loads((archive.root / "results" / "lots" / "web" / "plan.json").read_text())
    assert content["rows"] == 5
    assert [lot["rows"] for lot in content["lots"]] == [2, 2, 1]
