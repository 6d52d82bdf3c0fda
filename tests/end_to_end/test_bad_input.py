"""Bad input beside good: the good is whole, the bad is named with what is wrong, and the run says so."""

import csv
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from rushes.synthetic.aviary import write_aviary_bag
from scripts.common import ledger
from scripts.common.frame_table import FrameTable
from tests.conftest import Workspace
from tests.end_to_end.small import COLUMNS, CONFIGFILE, copied, small_workspace
from tests.end_to_end.trees import differences, digest, job_counts

END_S = 300.0  # the longest that a build may take, on a busy machine
HOSTILE = """-rf 'a' "b" #1 $(touch pwned); ünï & 100%"""

CONFIG = """\
recordings: config/small.tsv

rigs:
  bench:
    source: bag
    cameras: {front: /camera/image_raw/ffmpeg}
    microphones: {voice: {topic: /microphone/raw_audio, stamp: block_start}}
  wide:
    source: bag
    cameras: {front: /camera/image_raw/ffmpeg, rear: /camera_rear/image_raw/ffmpeg}
    microphones: {voice: {topic: /microphone/raw_audio, stamp: block_start}}
  booth:
    source: file
    cameras: {front: "{source}"}
    microphones: {voice: "{source}"}
  clip:
    source: file
    cameras: {front: "{source}"}
    microphones: {voice: "{source}"}

datasets:
  visemes: {kind: windows, rig: booth, landmarks: given, split: {train: 1}, limits: {no_speech: 0}}

reports: {overlays: 1, overlay_s: 1}
"""


@dataclass(frozen=True)
class Source:
    """A recording. failed: what the ledger must say of it, reason by (step, item); nothing of a good one."""

    rig: str
    file: str
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    subject: str = ""


def unreadable(step: str) -> dict[tuple[str, str], str]:
    return {(step, "front"): "unreadable", (step, "voice"): "unreadable"}


SOURCES = {
    "one": Source("booth", "recordings/one.mp4", subject="Ann"),
    "hostile": Source("booth", f"recordings/{HOSTILE}.mp4", subject=HOSTILE),
    "dash": Source("clip", "--help.MP4"),
    "bench": Source("bench", "recordings/bench.mcap"),
    "hostile_bag": Source("bench", f"recordings/{HOSTILE}.mcap"),
    "no_camera": Source("wide", "recordings/bench.mcap", {("export_bag", "rear"): "no_topic"}),
    "silent": Source("booth", "recordings/silent.mp4", {("import_video", "voice"): "no_sound"}),
    "cut": Source("booth", "recordings/cut.mp4", {("extract_landmarks", "front.given"): "bad_landmarks"}),
    "blind": Source("clip", "recordings/blind.mp4", {("import_video", "front"): "no_picture"}),
    "empty": Source("clip", "recordings/empty.mp4", unreadable("import_video")),
    "half": Source("clip", "recordings/half.mp4", unreadable("import_video")),
    "text": Source("clip", "recordings/text.mp4", unreadable("import_video")),
    "page": Source("clip", "recordings/page.mov", unreadable("import_video")),
    "empty_bag": Source("bench", "recordings/empty.mcap", unreadable("export_bag")),
    "text_bag": Source("bench", "recordings/text.bag", unreadable("export_bag")),
    "random_bag": Source("bench", "recordings/random.db3", unreadable("export_bag")),
    "half_bag": Source("bench", "recordings/half.bag", unreadable("export_bag")),
}
BAD = {name: source for name, source in SOURCES.items() if source.failed}


def make_sources(root: Path) -> None:
    """The files of SOURCES, in a workspace that holds the small recordings."""
    folder = root / "recordings"
    whole = (folder / "one.mp4").read_bytes()
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(folder / "one.mp4"), "-c", "copy"]
    for options, name in (
        (["-an"], "silent.mp4"),
        (["-vn"], "blind.mp4"),
        (["-movflags", "frag_keyframe+empty_moov"], "cut.mp4"),
    ):
        subprocess.run([*ffmpeg, *options, str(folder / name)], check=True, stdin=subprocess.DEVNULL)
    for name, content in {
        f"{HOSTILE}.mp4": whole,
        "../--help.MP4": whole,
        "empty.mp4": b"",
        "half.mp4": whole,
        "text.mp4": b"This is a note about the recording, not the recording.\n" * 20,
        "page.mov": b"<!doctype html>\n<html><body>404 Not Found</body></html>\n",
        f"{HOSTILE}.mcap": (folder / "bench.mcap").read_bytes(),
        "empty.mcap": b"",
        "text.bag": b"This is a note about the bag, not the bag.\n" * 20,
        "random.db3": np.random.default_rng(1).bytes(20_000),
    }.items():
        (folder / name).write_bytes(content)
    write_aviary_bag(folder / "half.bag", 4.0)
    for name in ("cut.mp4", "half.mp4", "half.bag"):
        os.truncate(folder / name, (folder / name).stat().st_size * 6 // 10)


def sheet_of(sources: dict[str, Source]) -> str:
    rows = [
        [name, source.rig, source.file, source.subject, "recordings/one.landmarks.npy", "train"]
        for name, source in sources.items()
    ]
    return "".join("\t".join(cells) + "\n" for cells in [COLUMNS.split(), *rows])


@dataclass(frozen=True)
class Build:
    """All sources, run once: where, and what Snakemake said."""

    workspace: Workspace
    run: subprocess.CompletedProcess[str]

    @property
    def results(self) -> Path:
        return self.workspace.root / "results"

    def failed(self) -> list[dict[str, str]]:
        """The rows of the table of failures."""
        with (self.results / "reports" / "failed.tsv").open(newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))

    def ledger(self) -> list[ledger.Row]:
        return ledger.rows(ledger.read([self.results / "reports" / "ledger.parquet"]))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, small_recordings: Path) -> Build:
    workspace = small_workspace(tmp_path_factory.mktemp("bad") / "small run", small_recordings)
    make_sources(workspace.root)
    (workspace.root / CONFIGFILE).write_text(CONFIG)
    (workspace.root / "config" / "small.tsv").write_text(sheet_of(SOURCES))
    return Build(workspace, workspace.snakemake("--cores", "2", timeout=END_S))


def test_the_run_ends_with_1_and_names_every_failure(build):
    assert build.run.returncode == 1
    assert "Traceback" not in build.run.stdout
    assert "TypeError" not in build.run.stdout
    assert "\n1 job failed:\ncheck_ledger: " in build.run.stdout
    for name in BAD:
        assert re.search(rf"^  {name}, .+: .+ \(\w+, \w+\)$", build.run.stdout, re.MULTILINE), name
    assert all("Traceback" not in log.read_text() for log in (build.results / "logs").rglob("*.log"))


def test_each_bad_source_fails_where_it_must_and_nowhere_else(build):
    found: dict[str, dict[tuple[str, str], str]] = {}
    for row in build.failed():
        found.setdefault(row["recording"], {})[row["step"], row["item"]] = row["reason"]
    assert found == {name: source.failed for name, source in BAD.items()}


def test_a_failure_is_one_line_that_names_the_file_or_the_topic(build):
    for row in build.failed():
        assert "\n" not in row["message"]
        source = SOURCES[row["recording"]]
        named = {"no_camera": "/camera_rear/image_raw/ffmpeg", "cut": "one.landmarks.npy"}
        assert named.get(row["recording"], Path(source.file).name) in row["message"]


def test_the_good_ones_are_whole(build, finished):
    good = finished.root / "results"
    for place in ("media/booth/one", "conformed/booth/one", "faces/booth/one", "media/bench/bench"):
        assert differences(digest(good / place), digest(build.results / place)) == []
    assert list((build.results / "datasets" / "visemes" / "train" / "Ann").glob("*.npz"))


def test_a_name_that_a_shell_would_obey_is_a_name(build):
    for twin, name in (
        ("booth/one", "booth/hostile"),
        ("booth/one", "clip/dash"),
        ("bench/bench", "bench/hostile_bag"),
    ):
        for stage in ("media", "conformed"):
            here, there = digest(build.results / stage / twin), digest(build.results / stage / name)
            assert {file for file in differences(here, there) if file.endswith((".mp4", ".wav", ".json"))} <= {
                "manifest.json"
            }
    speaker = build.results / "datasets" / "visemes" / "train" / HOSTILE
    assert len(list(speaker.glob("*.npz"))) == len(list((speaker.parent / "Ann").glob("*.npz")))
    assert not list(build.workspace.root.rglob("pwned"))


def test_a_camera_that_a_bag_lacks_leaves_its_other_streams_whole(build):
    place, twin = (build.results / stage for stage in ("media/wide/no_camera", "media/bench/bench"))
    for name in ("front.mp4", "front.frames.parquet", "voice.wav", "voice.clock.json"):
        assert (place / name).read_bytes() == (twin / name).read_bytes()
    assert (place / "rear.mp4").stat().st_size == 0
    assert len(FrameTable.read(place / "rear.frames.parquet")) == 0


def test_every_stream_ends_exactly_once_in_every_step(build):
    cameras = {name: ["front", "rear"] if source.rig == "wide" else ["front"] for name, source in SOURCES.items()}
    rows = build.ledger()
    for step, streams in (
        ("conform_video", {(name, camera) for name in SOURCES for camera in cameras[name]}),
        ("conform_audio", {(name, "voice") for name in SOURCES}),
    ):
        ended = [(row.recording, row.item) for row in rows if row.step == step]
        assert sorted(ended) == sorted(streams)
    entered = [(row.recording, row.item) for row in rows if row.step in ("export_bag", "import_video")]
    assert sorted(entered) == sorted((name, item) for name in SOURCES for item in [*cameras[name], "voice"])


def test_a_run_up_to_a_stage_ends_as_badly_as_a_whole_one(build):
    run = build.workspace.snakemake("sources", timeout=END_S)
    assert run.returncode == 1
    imports = [row for row in build.failed() if row["step"].startswith(("import", "export"))]
    assert f"{len(imports)} items failed" in run.stdout
    accepted = ",".join(f'"{name}"' for name in BAD)
    calm = build.workspace.snakemake("sources", "--config", f"known_failures=[{accepted}]", timeout=END_S)
    assert (calm.returncode, "failed" in calm.stdout) == (0, False)
    assert build.workspace.snakemake("sources", "-n", timeout=END_S).returncode == 0


def test_what_failed_is_made_again_when_asked_for_and_nothing_else(build):
    again = build.workspace.snakemake("-n", "--config", "retry=failed", timeout=END_S)
    assert again.returncode == 0, again.stdout
    wanted = Counter(f"{step}_{source.rig}" for source in BAD.values() for step in {step for step, _ in source.failed})
    wanted["extract_landmarks"] = wanted.pop("extract_landmarks_booth") + wanted["import_video_booth"]
    counts = job_counts(again.stdout)
    assert {rule: counts[rule] for rule in wanted} == wanted
    assert counts["extract_windows"] == 2


def test_one_recording_alone_ends_as_it_deserves(build):
    for name, status in (("text", 1), ("dash", 0)):
        run = build.workspace.snakemake("--cores", "2", "--config", f"only={name}", timeout=END_S)
        assert run.returncode == status, run.stdout
        assert ("  text, " in run.stdout) == bool(status)


def test_accepted_failures_let_the_run_end_well(build):
    accepted = ",".join(BAD)
    run = build.workspace.snakemake("--cores", "1", "--config", f"known_failures=[{accepted}]", timeout=END_S)
    assert run.returncode == 0, run.stdout
    assert job_counts(run.stdout) == {"check_ledger": 1}


def test_mended_and_excluded_sources_let_the_same_command_end_well(build, tmp_path):
    workspace = copied(build.workspace, tmp_path / "mended run")
    folder = workspace.root / "recordings"
    for good, mended in (("one.mp4", "half.mp4"), ("one.mp4", "silent.mp4"), ("bench.mcap", "empty.mcap")):
        shutil.copyfile(folder / good, folder / mended)
    lost = [name for name in BAD if name not in ("half", "silent", "empty_bag")]
    (workspace.root / "config" / "exclude.tsv").write_text(
        "".join(["recording\tstart\tstop\treason\n", "one\t2\t3\ta cough\n", *(f"{n}\t\t\tlost\n" for n in lost)])
    )
    run = workspace.snakemake("--cores", "2", timeout=END_S)
    assert run.returncode == 0, run.stdout
    counts = job_counts(run.stdout)
    assert (counts["import_video_clip"], counts["import_video_booth"], counts["export_bag_bench"]) == (1, 1, 1)
    mended = Build(workspace, run)
    assert mended.failed() == []
    excluded = [row for row in mended.ledger() if row.reason == "excluded"]
    assert {row.recording for row in excluded if row.step == "import"} == set(lost)
    assert {row.recording for row in excluded if row.step == "extract_windows"} == {"one"}
