"""A table to shards through Snakemake: appended rows, failures that are mended, kills, and the project's recordings."""

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import yaml

from scripts.common import ledger
from tests.conftest import REPO, Workspace
from tests.end_to_end.trees import digest
from tests.unit.shard_maker import FOUR, scene_video, serve, write_table

SETTINGS = {"clips": "cuts", "video": {"fps": 5, "height": 60}, "shard_rows": 2, "lot_shards": 1}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        scene_video(folder / f"{number}.mp4", FOUR, seed=number)
    return folder


def workspace_of(root: Path, **settings) -> Workspace:
    (root / "config").mkdir(parents=True)
    (root / "config" / "recordings.tsv").write_text("recording\trig\tsource\n")
    shutil.copy(REPO / "config" / "models.yaml", root / "config")
    entry = {"kind": "shards", "table": "t.txt", **SETTINGS, **settings}
    (root / "config" / "config.yaml").write_text(yaml.safe_dump({"datasets": {"web": entry}}))
    return Workspace(root, configfile="config/config.yaml")


def change_config(root: Path, **settings) -> None:
    file = root / "config" / "config.yaml"
    content = yaml.safe_load(file.read_text())
    content["datasets"]["web"] |= settings
    file.write_text(yaml.safe_dump(content))


def samples(workspace: Workspace) -> list[str]:
    folder = workspace.root / "results" / "datasets" / "web" / "shards" / "data"
    return [name for path in sorted(folder.glob("*.tar")) for name in tarfile.open(path).getnames()]


def test_appended_rows_are_all_that_is_computed(tmp_path, videos):
    workspace = workspace_of(tmp_path, fetch={"allowed_roots": [str(videos)]})
    table = write_table(tmp_path / "t.txt", *(str(videos / f"{k}.mp4") for k in range(3)))
    first = workspace.snakemake()
    assert first.returncode == 0, first.stdout
    assert "web: 3 rows = 3 written, 0 filtered, 0 failed; 12 samples in 2 shards" in first.stdout
    assert "Nothing to be done" in workspace.snakemake().stdout
    before = (tmp_path / "results/lots/web/lot00000.clips.tar").stat().st_mtime_ns
    write_table(table, *(str(videos / f"{k}.mp4") for k in range(4)))
    second = workspace.snakemake()
    assert second.returncode == 0, second.stdout
    assert second.stdout.count("rule fetch_shard") == 1
    assert (tmp_path / "results/lots/web/lot00000.clips.tar").stat().st_mtime_ns == before
    assert len(samples(workspace)) == 4 * 4 * 2


def test_a_new_threshold_cuts_anew_and_scans_nothing(tmp_path, videos):
    """Though the scan cuts the clips by the way: what is cut is no part of what it depends on."""
    workspace = workspace_of(tmp_path, fetch={"allowed_roots": [str(videos)]}, shard_rows=4)
    write_table(tmp_path / "t.txt", *(str(videos / f"{k}.mp4") for k in range(2)))
    first = workspace.snakemake()
    assert first.returncode == 0, first.stdout
    assert len(samples(workspace)) == 2 * 4 * 2
    change_config(tmp_path, scan={"threshold": 250})
    second = workspace.snakemake()
    assert second.returncode == 0, second.stdout
    assert [second.stdout.count(f"rule {step}") for step in ("fetch_shard", "scan_shard", "cut_shard")] == [0, 0, 1]
    assert len(samples(workspace)) == 2 * 2


def test_what_failed_is_fetched_again_on_request_alone(tmp_path, videos):
    with serve() as site:
        good = [site.media(f"/{k}.mp4", (videos / f"{k}.mp4").read_bytes()) for k in range(2)]
        fetch = {"allow_private_hosts": True, "attempts": 1}
        workspace = workspace_of(tmp_path, fetch=fetch)
        write_table(tmp_path / "t.txt", *good, site.url("/late.mp4"))
        first = workspace.snakemake()
        assert first.returncode == 0, first.stdout
        assert "2 written, 0 filtered, 1 failed" in first.stdout
        site.media("/late.mp4", (videos / "2.mp4").read_bytes())
        assert "Nothing to be done" in workspace.snakemake().stdout
        asked = len(site.asked)
        again = workspace.snakemake("--config", "retry=failed")
        assert "3 written, 0 filtered, 0 failed" in again.stdout, again.stdout
        assert [path for path, _ in site.asked[asked:]] == ["/late.mp4"]
        change_config(tmp_path, fetch=fetch | {"attempts": 2, "item_s": 60, "retry_items": 5})
        tried_harder = workspace.snakemake()
        assert tried_harder.returncode == 0, tried_harder.stdout
        assert "rule fetch_shard" not in tried_harder.stdout


def test_a_killed_run_of_several_tables_ends_with_the_same_bytes(tmp_path, videos):
    trees = []
    for kill in (False, True):
        root = tmp_path / str(kill)
        workspace = workspace_of(root, fetch={"allowed_roots": [str(videos)]}, table=["t.txt", "u.txt"])
        for name, numbers in (("t.txt", (0, 1)), ("u.txt", (2, 3))):
            write_table(root / name, *(str(videos / f"{k}.mp4") for k in numbers))
        if kill:
            log = (root / "log").open("wb")
            child = subprocess.Popen(
                workspace.command(), cwd=root, env=workspace.environment, stdout=log, stderr=log, start_new_session=True
            )
            until = time.monotonic() + 60
            while not list((root / "results").glob("lots/web/working/cut/*/*.mp4")) and child.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.02)
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        done = workspace.snakemake()
        assert done.returncode == 0, done.stdout
        assert (
            "web: 4 rows = 4 written, 0 filtered, 0 failed" in (root / "results/logs/index_shards/web.log").read_text()
        )
        trees.append(digest(root / "results" / "datasets"))
    assert trees[0] == trees[1]


def test_recordings_of_the_project_become_shards_with_their_sound(tmp_path, videos):
    workspace = workspace_of(tmp_path)
    entry = {"kind": "shards", "rig": "booth", **SETTINGS}
    rigs = {"booth": {"source": "file", "cameras": {"front": "{source}"}, "microphones": {"voice": "{source}"}}}
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump({"rigs": rigs, "datasets": {"web": entry}}))
    rows = [f"take{k}\tbooth\t{videos / f'{k}.mp4'}\tperson{k}" for k in range(2)]
    write_table(tmp_path / "config" / "recordings.tsv", "recording\trig\tsource\tsubject", *rows)
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout
    names = samples(workspace)
    assert len([name for name in names if name.endswith(".mp4")]) == 8
    shard = tmp_path / "results/datasets/web/shards/data/00000.tar"
    with tarfile.open(shard) as tar:
        record = json.load(tar.extractfile("000000001_00002.json"))
        (tmp_path / "a.mp4").write_bytes(tar.extractfile("000000001_00002.mp4").read())
    assert (record["recording"], record["subject"]) == ("take1", "person1")
    from tests.unit.clips.clip_contents import pitch_start_s

    assert abs(pitch_start_s(tmp_path / "a.mp4") - 2) < 0.05
    write_table(tmp_path / "config" / "exclude.tsv", "recording\tstart\tstop\treason", "take1\t2.2\t2.8\tblink")
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout
    assert samples(workspace) == [name for name in names if not name.startswith("000000001_00002.")]
    assert "Nothing to be done" in workspace.snakemake().stdout


def test_annotations_are_in_every_sample_and_none_of_them_failed(tmp_path, videos):
    """Where Snakemake runs the scripts: their functions are found by the processes that call them."""
    annotations = {"flow": {"kind": "optical_flow", "keep": "field", "fps": 5}, "stills": {"kind": "frames", "fps": 2}}
    workspace = workspace_of(tmp_path, fetch={"allowed_roots": [str(videos)]}, annotations=annotations)
    write_table(tmp_path / "t.txt", *(str(videos / f"{k}.mp4") for k in range(2)))
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout
    assert "Traceback" not in run.stdout
    keys = [f"00000000{k}_0000{scene}" for k in range(2) for scene in range(4)]
    endings = ("flow.npy", "json", "mp4", "stills.0000.jpg", "stills.0001.jpg")
    assert samples(workspace) == [f"{key}.{ending}" for key in keys for ending in endings]
    with tarfile.open(tmp_path / "results/datasets/web/shards/data/00000.tar") as tar:
        records = [json.load(tar.extractfile(f"{key}.json")) for key in keys]
    assert [(len(record["flow_px"]), record["stills_count"]) for record in records] == [(4, 2)] * len(keys)
    rows = ledger.rows(ledger.read([tmp_path / "results/datasets/web/shards/ledger.parquet"]))
    ends = {(row.step, row.item): row.outcome for row in rows if row.step in ("compute_flow", "extract_clip_frames")}
    assert set(ends.values()) == {"written"}
    assert len(ends) == len(keys) * len(annotations)


def test_clips_of_speech_are_what_is_said(tmp_path, data):
    """GRID's swwp2s: its alignment has words from 0.49 to 2.21 s."""
    folder = data / "faces" / "grid"
    workspace = workspace_of(tmp_path, fetch={"allowed_roots": [str(folder)]}, clips="speech", video={})
    write_table(tmp_path / "t.txt", str(folder / "id2_vcd_swwp2s.mpg"))
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout
    assert "web: 1 rows = 1 written, 0 filtered, 0 failed" in run.stdout
    with tarfile.open(tmp_path / "results/datasets/web/shards/data/00000.tar") as tar:
        records = [json.load(tar.extractfile(name)) for name in tar.getnames() if name.endswith("json")]
    assert min(record["start_s"] for record in records) == pytest.approx(0.49, abs=0.1)
    assert max(record["stop_s"] for record in records) == pytest.approx(2.21, abs=0.1)


def test_duplicates_across_lots_are_of_what_stays_and_a_row_a_clip_is_none(tmp_path, videos):
    """The first row has no caption; the next two are times of its copy, one of which comes again in the last lot."""
    allowed = {"allowed_roots": [str(videos)]}
    filters = {"duplicates": "near", "min_caption": 3}
    workspace = workspace_of(tmp_path, table="t.jsonl", clips="table", fetch=allowed, filters=filters)
    spans = [("", [0, 1]), ("from the start", [0, 1]), ("later", [2, 3]), ("", [3, 4]), ("once more", [2, 3])]
    rows = [{"url": str(videos / "0.mp4"), "caption": caption, "clips": [span]} for caption, span in spans]
    write_table(tmp_path / "t.jsonl", *map(json.dumps, rows))
    done = workspace.snakemake()
    assert done.returncode == 0, done.stdout
    assert "web: 5 rows = 2 written, 3 filtered, 0 failed; 2 samples in 2 shards" in done.stdout
    assert [name for name in samples(workspace) if name.endswith("mp4")] == [
        "000000001_00000.mp4",
        "000010000_00000.mp4",
    ]
    assert "Nothing to be done" in workspace.snakemake().stdout
    # A setting that says which clips stay is one of what is found here.
    change_config(tmp_path, filters={**filters, "min_caption": 0})
    again = workspace.snakemake()
    assert "web: 5 rows = 3 written, 2 filtered, 0 failed; 3 samples in 2 shards" in again.stdout, again.stdout
    change_config(tmp_path, clips="speech")
    planned = workspace.snakemake("--dry-run")
    assert planned.returncode == 0, planned.stdout
    assert all(f"\n{rule} " in planned.stdout for rule in ("detect_lot_speech", "find_duplicates")), planned.stdout
