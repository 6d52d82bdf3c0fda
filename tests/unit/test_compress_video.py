"""A copy counts only if it has every frame of the original, at its time; originals go only when such a copy stands."""

import json
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import yaml

from rushes.remove_originals import main, repointed
from scripts.cameras import compress_video as module
from scripts.cameras.compress_video import compare, compress_video
from scripts.common import ledger
from scripts.common.checksum import sha256_of
from scripts.common.errors import InputError
from scripts.planning.cameras_plan import COPIES
from scripts.planning.plan import load
from tests.unit.examples import REPO, House
from tests.unit.made_media import TONE, UNEVEN, Pictures, Sound, numbers_in, write_media

CAMERAS = ("top", "side")


def compressed(source, folder, **changes):
    settings = {"stream": -1, "crf": 21, "preset": "ultrafast", **changes}
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"c.{ending}" for ending in ("mp4", "json", "ledger.parquet")]
    compress_video(source, *files, recording="walk", camera="top", **settings)
    return files


def test_the_copy_has_every_frame_at_its_time_and_the_sound_as_it_was(tmp_path):
    source = write_media(tmp_path / "o.mp4", Pictures(UNEVEN), Sound([(0, TONE)], codec="aac"))
    video, card, book = compressed(source, tmp_path / "r")
    assert numbers_in(video) == numbers_in(source) == list(range(40))
    known = json.loads(card.read_text())
    assert (known["frames"], known["name"]) == (40, "o.mp4")
    assert (known["sha256"], known["copy_sha256"]) == (sha256_of(source), sha256_of(video))
    [row] = ledger.rows(ledger.read([book]))
    assert (row.outcome, row.value) == ("written", 40)
    assert compare(source, video, -1, "x").frames == 40


def test_the_same_original_gives_the_same_bytes(tmp_path):
    source = write_media(tmp_path / "o.mp4", Pictures(UNEVEN))
    one, other = (compressed(source, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in one[:2]] == [path.read_bytes() for path in other[:2]]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Pictures(UNEVEN[:39]), "frame_count"),
        (Pictures([*UNEVEN, 2.0]), "frame_count"),
        (Pictures([*UNEVEN[:39], UNEVEN[39] + 0.05]), "frame_times"),
        (
            Pictures(UNEVEN, draw=lambda n: np.full((120, 160), 20 if n == 7 else 60 + n * 7 % 120, np.uint8)),
            "pictures",
        ),
    ],
    ids=["one frame less", "one frame more", "a frame later", "another picture"],
)
def test_a_copy_that_is_not_the_originals_is_refused(tmp_path, monkeypatch, made, reason):
    source = write_media(tmp_path / "o.mp4", Pictures(UNEVEN))
    wrong = write_media(tmp_path / "w.mp4", made)
    monkeypatch.setattr(module, "encode", lambda _, target, *__: target.write_bytes(wrong.read_bytes()))
    with pytest.raises(InputError) as caught:
        compressed(source, tmp_path / "r")
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100], ids=["empty", "garbage"])
def test_an_original_that_is_no_video_is_one_line(tmp_path, content):
    source = tmp_path / "o'; rm -rf.mp4"
    source.write_bytes(content)
    with pytest.raises(InputError, match=r"o'; rm -rf\.mp4: ffmpeg cannot make a copy of it: ") as caught:
        compressed(source, tmp_path / "r")
    assert "\n" not in caught.value.message


def test_a_sheet_is_repointed_in_one_cell_alone():
    sheet = "# mine\nrecording\trig\tsource\n\nwalk\tarena\traw/walk \t\nwalk2\tarena\traw/walk\n"
    assert (
        repointed(sheet, "walk", "new")
        == "# mine\nrecording\trig\tsource\n\nwalk\tarena\tnew\t\nwalk2\tarena\traw/walk\n"
    )


@pytest.mark.parametrize("header", ["recording\trig\tsource", "source\trecording\trig"])
def test_a_sheet_of_another_system_keeps_the_ends_of_its_lines(header):
    rows = {"recording": "walk", "rig": "arena", "source": "raw/walk"}
    names = header.split("\t")
    text = "\r\n".join([header, "\t".join(rows[name] for name in names), ""])
    assert repointed(text, "walk", "new") == text.replace("raw/walk", "new")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Two recordings, each of two cameras and a table of triggers a camera, of which copies stand in the results."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    cameras = {name: f"{{source}}/*.{name}.mp4" for name in CAMERAS}
    align = {"by": "triggers", "table": "{source}/{camera}.csv"}
    house.rigs = {"arena": {"source": "files", "cameras": cameras, "multicam": {"compress": {}, "align": align}}}
    rows = []
    for recording in ("walk", "run"):
        for name in CAMERAS:
            folder = tmp_path / "raw" / recording
            folder.mkdir(parents=True, exist_ok=True)
            times = [Fraction(n, 25) for n in range(6)]
            write_media(folder / f"{recording}.{name}.mp4", Pictures(times))
            (folder / f"{name}.csv").write_text("frame_id\n1\n")
            (folder / "notes.txt").write_text("mine")
        rows.append([recording, "arena", f"raw/{recording}"])
    house.sheet(["recording", "rig", "source"], rows)
    house.write_config(recordings="config/recordings.tsv")
    for recording in ("walk", "run"):
        for name in CAMERAS:
            made = compressed(tmp_path / "raw" / recording / f"{recording}.{name}.mp4", tmp_path / "made")
            target = tmp_path / "results" / "cameras" / "arena" / recording / "compressed"
            target.mkdir(parents=True, exist_ok=True)
            for file, ending in zip(made, ("mp4", "json", "ledger.parquet"), strict=True):
                file.rename(target / f"{name}.{ending}")
    return house


def planned():
    return load(yaml.safe_load(open("config/config.yaml").read()))


def everything(root):
    """What stands below a folder, but for the lock of runs."""
    files = [path for path in root.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_nothing_changes_without_yes(house, tmp_path, capsys):
    before = everything(tmp_path)
    assert main([]) == 0
    assert everything(tmp_path) == before
    assert "walk: source becomes raw/walk.compressed" in capsys.readouterr().out


def test_copies_take_the_place_of_the_originals_and_the_sheet_points_there(house, tmp_path, capsys):
    assert planned().rooms["cameras"].compresses(planned().recordings["walk"])
    assert main(["--yes", "walk"]) == 0
    plan = planned()
    walk = plan.recordings["walk"]
    assert walk.source == "raw/walk.compressed"
    assert set(walk.files) == {f"raw/walk.compressed/walk.{name}.mp4" for name in CAMERAS}
    assert numbers_in(tmp_path / walk.files[0]) == list(range(6))
    assert plan.rooms["cameras"].tables["walk"] == [f"raw/walk.compressed/{name}.csv" for name in CAMERAS]
    assert not list((tmp_path / "raw" / "walk").glob("*.mp4"))
    assert (tmp_path / "raw" / "walk" / "notes.txt").exists()
    assert (tmp_path / "raw" / "run" / "run.top.mp4").exists()
    # They are not compressed once more, and the command has nothing left to do.
    assert not plan.rooms["cameras"].compresses(walk)
    capsys.readouterr()
    assert main(["--yes", "walk"]) == 0
    assert capsys.readouterr().out == "0.0 MB are free now\n"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("raw/walk/walk.top.mp4", "is not the file that was compressed"),
        ("results/cameras/arena/walk/compressed/side.mp4", "is not what compress_video wrote"),
    ],
)
def test_what_has_changed_since_stays(house, tmp_path, capsys, file, message):
    with (tmp_path / file).open("ab") as changed:
        changed.write(b"x")
    before = everything(tmp_path)
    assert main(["--yes", "walk"]) == 1
    assert everything(tmp_path) == before
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "failed"])
def test_without_a_whole_copy_of_every_camera_all_originals_stay(house, tmp_path, capsys, content):
    copy = tmp_path / "results" / "cameras" / "arena" / "walk" / "compressed" / "side.mp4"
    copy.unlink()
    if content is not None:
        copy.write_bytes(content)
    before = everything(tmp_path)
    assert main(["--yes"]) == 1
    after = everything(tmp_path)
    assert {name: after[name] for name in before if "walk" in name and name in after} == {
        name: content for name, content in before.items() if "walk" in name
    }
    assert "side has no copy" in capsys.readouterr().err
    assert planned().recordings["run"].source == "raw/run.compressed"


def test_copies_that_the_rigs_patterns_would_not_find_leave_everything_as_it_was(house, tmp_path, capsys):
    for name in CAMERAS:
        old = tmp_path / "raw" / "walk" / f"walk.{name}.mp4"
        old.rename(old.with_suffix(".MOV"))
    house.rigs["arena"]["cameras"] = {name: f"{{source}}/*.{name}.MOV" for name in CAMERAS}
    house.write_config(recordings="config/recordings.tsv")
    before = everything(tmp_path)
    assert main(["--yes", "walk"]) == 1
    assert everything(tmp_path) == before
    assert "the patterns of rig arena do not find the copies" in capsys.readouterr().err


def test_a_kill_between_the_sheet_and_the_removal_loses_nothing_and_the_next_run_ends_it(house, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rushes.remove_originals.remove_originals", killed)
        with pytest.raises(KeyboardInterrupt):
            main(["--yes", "walk"])
    assert (tmp_path / "raw" / "walk" / "walk.top.mp4").exists()
    assert (tmp_path / "raw" / "walk.compressed" / COPIES).exists()
    assert main(["--yes", "walk"]) == 0
    assert not (tmp_path / "raw" / "walk" / "walk.top.mp4").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"bytes": 1}'])
def test_a_damaged_card_is_one_line_and_the_other_recording_goes_on(house, tmp_path, capsys, content):
    card = tmp_path / "results" / "cameras" / "arena" / "walk" / "compressed" / "top.json"
    card.write_text(content)
    assert main(["--yes"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "raw" / "walk" / "walk.top.mp4").exists()
    assert not (tmp_path / "raw" / "run" / "run.top.mp4").exists()


def test_beside_a_run_nothing_is_moved(house, tmp_path, capsys):
    before = everything(tmp_path / "raw")
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom scripts.planning.run_lock import LOCK, Lock\n"
         "lock = Lock(LOCK); print('held', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert holder.stdout.readline()
    assert main(["--yes"]) == 1
    assert "another run works in this folder" in capsys.readouterr().err
    holder.communicate()
    assert everything(tmp_path / "raw") == before
    assert main(["--yes"]) == 0


@pytest.mark.parametrize("arguments", [["nobody"], ["--configfile", "none.yaml"]])
def test_a_mistake_is_one_line(house, capsys, arguments):
    assert main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1
