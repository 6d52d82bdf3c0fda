"""A dataset of labelled frames leaves for a bucket; the store is moto's server on the loopback interface."""

import io
import os
import signal
import subprocess
import tarfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import boto3
import cv2
import numpy as np
import pytest
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend
from moto.server import ThreadedMotoServer

from rushes.synthetic.bars import read_number
from scripts.common import frame_index
from scripts.common.tar_file import read_part
from tests.conftest import Workspace, make_workspace
from tests.unit.examples import write_sheet
from tests.unit.made_media import Pictures, numbered, write_media

CONFIG = """\
recordings: config/few.tsv
publish: s3://lab/rushes
rigs:
  theatre: {source: file, cameras: {c1: "{source}"}, labels: {format: audacity}}
datasets:
  acts:
    kind: frames
    rig: theatre
    size: 32
    split: {lists: {train: [1], val: [2]}, near_duplicates: ignore}
    formats: [webdataset]
    shard_rows: 10
"""
LABELS = "0.2\t1.0\twalk\n1.0\t1.8\trun\n"
FOLDER = "rushes/datasets/acts"
OF_FRAMES = """\
recordings: config/few.tsv
rigs:
  stills:
    source: frames
    cameras: {c1: "{source}/S{subject}C1{frame}.jpg"}
    frames: {fps: 10}
    labels: {format: audacity}
datasets:
  acts: {kind: frames, rig: stills, size: 0, format: png, split: {lists: {train: ["3"]}}}
"""


class Store:
    """A bucket behind moto's server."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=self.url, **keys)
        self.client.create_bucket(Bucket="lab")

    def objects(self) -> dict[str, str]:
        """Key -> when it was last written, and what it holds."""
        found = self.client.list_objects_v2(Bucket="lab").get("Contents", [])
        return {entry["Key"]: f"{entry['LastModified'].timestamp()} {entry['ETag']}" for entry in found}

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        return self.client.get_object(Bucket="lab", Key=key)["Body"].read()


@pytest.fixture(scope="module")
def store():
    made = Store()
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, store) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("s3") / "run", configfile="config/few.yaml")
    rows = []
    for subject in ("1", "2"):
        write_media(made.root / f"p{subject}.mp4", Pictures([Fraction(k, 10) for k in range(20)]))
        (made.root / f"p{subject}.txt").write_text(LABELS)
        # The video of the first subject lies in the bucket as one object.
        source = "s3://lab/raw/p1.mp4" if subject == "1" else f"p{subject}.mp4"
        rows.append([f"P{subject}", "theatre", source, subject, f"p{subject}.txt"])
    store.client.upload_file(str(made.root / "p1.mp4"), "lab", "raw/p1.mp4")
    (made.root / "p1.mp4").unlink()
    write_sheet(made.root / "config" / "few.tsv", ["recording", "rig", "source", "subject", "labels"], rows)
    (made.root / "config" / "few.yaml").write_text(CONFIG)
    return made


def publish(workspace, url):
    return of_store(workspace, url, "publish")


def of_store(workspace, url, *targets):
    return workspace.snakemake(*targets, *keys_of(url), profile="s3")


def keys_of(url):
    return ("--storage-s3-endpoint-url", url, "--storage-s3-access-key", "a", "--storage-s3-secret-key", "b")


@pytest.fixture(scope="module")
def published(workspace, store):
    """The store after the first run, and what it said."""
    run = publish(workspace, store.url)
    assert run.returncode == 0, run.stdout
    return store.objects()


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_whole_dataset_is_in_the_bucket_and_nothing_else(published, workspace, store):
    keys = {key for key in published if not key.endswith(".snakemake_timestamp")} - {"raw/p1.mp4"}
    tables = {f"{FOLDER}/{n}" for n in ("index.parquet", "card.json", "classes.json", "splits.tsv", "ledger.parquet")}
    shards = {
        f"{FOLDER}/webdataset/P{k}.c1/{split}-P{k}.c1-{number:05d}.tar"
        for k, split in ((1, "train"), (2, "val"))
        for number in (0, 1)
    }
    parts = ("labels/acts.html", "ledger.tsv", "failed.tsv", "clocks.svg", "outcomes.svg")
    assert keys == {"rushes/RUSHES.txt", *(f"rushes/reports/{part}" for part in parts), *tables, *shards}
    for key in keys - {"rushes/RUSHES.txt"}:
        assert store.read(key) == (workspace.root / "results" / key.removeprefix("rushes/")).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(store.read(sorted(shards)[0]))) as tar:
        assert len(tar.getnames()) == 30


def test_the_same_command_again_brings_nothing(published, workspace, store):
    run = publish(workspace, store.url)
    assert run.returncode == 0, run.stdout
    assert "Nothing to be done" in run.stdout
    assert store.objects() == published


def test_a_changed_label_brings_only_what_it_changes_and_leaves_no_old_shard(published, workspace, store):
    # Times of objects are whole seconds.
    time.sleep(1.1)
    (workspace.root / "p2.txt").write_text("0.2\t0.9\twalk\n")
    # Within one run Snakemake takes for changed whatever it has made anew, also to the same bytes: hence two.
    for run in (of_store(workspace, store.url), publish(workspace, store.url)):
        assert run.returncode == 0, run.stdout
    found = store.objects()
    changed = {key.removeprefix(f"{FOLDER}/") for key in {*found, *published} if found.get(key) != published.get(key)}
    assert {"webdataset/P2.c1/val-P2.c1-00000.tar", "webdataset/P2.c1/val-P2.c1-00001.tar"} <= changed
    # Seven pictures are one shard.
    assert f"{FOLDER}/webdataset/P2.c1/val-P2.c1-00001.tar" not in found
    assert not {key for key in changed if "P1.c1" in key or key.startswith("splits") or key.endswith("RUSHES.txt")}


def kill_when(store, monkeypatch, answer, key_ends, workspace, *targets):
    """Kill a run as soon as the store has begun to `answer` for an object; the answer waits until then."""
    asked, go_on = threading.Event(), threading.Event()
    real = getattr(S3Backend, answer)

    def stalled(backend, bucket, key, *rest, **named):
        found = real(backend, bucket, key, *rest, **named)
        if key.endswith(key_ends):
            asked.set()
            go_on.wait(60)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(S3Backend, answer, stalled)
        command = workspace.command(*targets, *keys_of(store.url), profile="s3")
        with subprocess.Popen(command, cwd=workspace.root, env=workspace.environment, start_new_session=True) as run:
            was_asked = asked.wait(60)
            os.killpg(run.pid, signal.SIGKILL)
    go_on.set()
    assert was_asked


def copies_in(workspace):
    return [path for path in (workspace.root / ".snakemake" / "storage").rglob("*") if path.is_file()]


def test_a_run_that_is_killed_while_it_uploads_is_finished_by_the_same_command(
    published, workspace, store, monkeypatch
):
    (workspace.root / "p2.txt").write_text("0.2\t0.8\twalk\n0.8\t1.9\trun\n")
    run = of_store(workspace, store.url)
    assert run.returncode == 0, run.stdout
    kill_when(store, monkeypatch, "put_object", ".tar", workspace, "publish")
    assert copies_in(workspace)
    run = publish(workspace, store.url)
    assert run.returncode == 0, run.stdout
    folder = workspace.root / "results" / "datasets" / "acts" / "webdataset" / "P2.c1"
    made = {name: content for name, content in files(folder).items() if not name.startswith(".")}
    assert made
    assert {name: store.read(f"{FOLDER}/webdataset/P2.c1/{name}") for name in made} == made
    assert copies_in(workspace) == []
    assert "Nothing to be done" in publish(workspace, store.url).stdout


def test_an_endpoint_that_does_not_answer_is_one_line(published, workspace):
    run = publish(workspace, "http://127.0.0.1:9")
    lines = [
        line
        for line in run.stdout.splitlines()
        if line.strip() and not line.startswith(("Using profile", "Config file"))
    ]
    assert run.returncode == 1
    assert [line for line in lines if "publish:" in line] == [
        "publish: nothing answers at http://127.0.0.1:9 (Connection refused); is the endpoint right?"
    ]
    assert "Traceback" not in run.stdout
    assert len(lines) == 1, run.stdout


@pytest.fixture
def pictures_in_a_bucket(tmp_path, store):
    """Pictures 1 to 20 of subject 3, an object each, and a workspace whose sheet names their folder."""
    made = make_workspace(tmp_path / "run", configfile="config/few.yaml")
    store.client.create_bucket(Bucket="pictures")
    # Of another test.
    store.client.delete_object(Bucket="pictures", Key="raw/p3/S3C1000022.jpg")
    for number in range(1, 21):
        put_picture(store, number)
    (made.root / "p3.txt").write_text("0.5\t1.0\twalk\n1.0\t5.0\trun\n")
    rows = [["P3", "stills", "s3://pictures/raw/p3", "3", "p3.txt"]]
    write_sheet(made.root / "config" / "few.tsv", ["recording", "rig", "source", "subject", "labels"], rows)
    (made.root / "config" / "few.yaml").write_text(OF_FRAMES)
    return made


def put_picture(store, number):
    grey = cv2.cvtColor(numbered(number), cv2.COLOR_GRAY2BGR)
    coded = cv2.imencode(".jpg", grey)[1].tobytes()
    store.client.put_object(Bucket="pictures", Key=f"raw/p3/S3C1{number:06d}.jpg", Body=coded)


# Number n stands at (n - 1) / 10 seconds.
LABELLED = [(n, "walk" if n < 11 else "run") for n in range(6, 21)]


def shown(workspace, store):
    """What a run says that makes the dataset, and the numbers in its pictures with their labels."""
    run = of_store(workspace, store.url, "datasets")
    assert run.returncode == 0, run.stdout
    datasets = workspace.root / "results" / "datasets" / "acts"
    rows = list(frame_index.rows(datasets / "index.parquet"))
    numbers = []
    for row in rows:
        payload = read_part(datasets / row["file"], row["offset"], row["size"])
        numbers.append(read_number(cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_GRAYSCALE)))
    return run.stdout, list(zip(numbers, (row["label"] for row in rows), strict=True))


def test_a_folder_of_pictures_in_a_bucket_is_a_source(pictures_in_a_bucket, store):
    assert shown(pictures_in_a_bucket, store)[1] == LABELLED
    assert "Nothing to be done" in shown(pictures_in_a_bucket, store)[0]
    time.sleep(1.1)
    put_picture(store, 22)
    assert shown(pictures_in_a_bucket, store)[1] == [*LABELLED, (22, "run")]


def test_a_folder_of_which_a_killed_run_had_half_is_taken_whole(pictures_in_a_bucket, store, monkeypatch):
    """What has come looks like a folder that is there."""
    time.sleep(1.1)
    kill_when(store, monkeypatch, "get_object", "S3C1000010.jpg", pictures_in_a_bucket, "datasets")
    assert 0 < len(copies_in(pictures_in_a_bucket)) < 20
    assert shown(pictures_in_a_bucket, store)[1] == LABELLED


def test_a_folder_of_which_half_came_before_the_store_failed_is_taken_whole(pictures_in_a_bucket, store, monkeypatch):
    time.sleep(1.1)
    real = S3Backend.get_object

    def failing(backend, bucket, key, *rest, **named):
        if key.endswith("S3C1000010.jpg"):
            raise S3ClientError("AccessDenied", "not now")
        return real(backend, bucket, key, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(S3Backend, "get_object", failing)
        run = of_store(pictures_in_a_bucket, store.url, "datasets")
    assert run.returncode == 1
    assert shown(pictures_in_a_bucket, store)[1] == LABELLED
