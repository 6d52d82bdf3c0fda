"""What `snakemake infer` is asked for: names of its results that no other source shares."""

import zipfile

import pytest

from scripts.common.errors import ConfigError
from scripts.planning.plan import load
from tests.unit.examples import House, make_files

SOUNDS = ["talks/x.wav", "talks.zip", "a/talks/x.wav", "b/talks/x.wav", "b/talks.zip", "a b/x.wav", "a_b/x.wav"]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What a config asks for, in a working directory with sounds and a checkpoint."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    house = House(tmp_path / "here")
    make_files(tmp_path / "here", *SOUNDS, "lips.ckpt")

    def asked(**changes):
        config = {"audio_dir": "talks", "checkpoint": "lips.ckpt", **changes}
        return load(house.config(**config)).rooms["models"].inference

    asked.root = tmp_path / "here"
    return asked


def parts(folder):
    return folder.removeprefix("results/inference/").split("/")


def test_sounds_of_the_working_directory_keep_their_name_and_no_two_sources_share_one(asked):
    named = ["talks", "talks.zip", "a/talks", "b/talks", "b/talks.zip", "a b", "a_b", "."]
    found = {name: parts(asked(audio_dir=name).folder)[0] for name in named}
    assert (found["talks"], found["talks.zip"], found["a_b"]) == ("talks", "talks.zip", "a_b")
    assert found["a/talks"].startswith("talks-")
    assert len(set(found.values())) == len(named)


def test_a_folder_has_one_name_however_it_is_written_and_keeps_it_where_the_project_is_moved(asked, monkeypatch):
    found = asked(audio_dir="a/talks").folder
    for written in ("./a/talks/", str(asked.root / "a" / "talks"), "b/../a/talks"):
        assert asked(audio_dir=written).folder == found
    (asked.root / "link").symlink_to("a/talks")
    assert asked(audio_dir="link").folder == found
    asked.root.rename(asked.root.parent / "there")
    monkeypatch.chdir(asked.root.parent / "there")
    assert asked(audio_dir="a/talks").folder == found


def test_each_engine_has_results_of_its_own(asked):
    urls = ["http://127.0.0.1:8080", "http://127.0.0.1:8081", "https://127.0.0.1:8080", "http://me:secret@x/lips"]
    found = [parts(asked(inference={"endpoint": url}).folder)[1] for url in urls]
    assert found[0] == "127.0.0.1_8080"
    assert found[3].startswith("x_lips-")
    assert len(set(found)) == len(urls)
    assert asked(inference={"endpoint": f"{urls[0]}/"}).folder == asked(inference={"endpoint": urls[0]}).folder


def test_an_engine_that_is_started_gets_the_settings_of_the_config(asked):
    (asked.root / "face.npy").touch()
    settings = {"hop": 8, "speech": "silero", "max_s": 7200, "face": "face.npy"}
    own = asked(inference={"endpoint": "own", **settings})
    assert own.engine_options == ["--hop=8", "--speech=silero", "--max-s=7200", "--face=face.npy", "--max-mb=2048"]
    assert asked(inference={"endpoint": "own"}).engine_options[0] == "--hop=16"


@pytest.mark.parametrize("setting", [{"hop": 8}, {"speech": "silero"}, {"face": "lips.ckpt"}])
def test_what_an_engine_that_somebody_runs_decides_itself_is_refused(asked, setting):
    (key,) = setting
    with pytest.raises(ConfigError, match=f"inference.{key}: the engine at http://x:1 has its own"):
        asked(inference={"endpoint": "http://x:1", **setting})


def test_linked_folders_belong_to_the_sounds_and_a_circle_of_them_ends(asked):
    make_files(asked.root, "elsewhere/y.wav", "talks/deep/z.wav")
    (asked.root / "talks" / "linked").symlink_to("../elsewhere")
    (asked.root / "talks" / "deep" / "circle").symlink_to("..")
    assert asked().files == ["talks/deep/z.wav", "talks/linked/y.wav", "talks/x.wav"]


def test_what_cannot_be_read_as_a_sound_is_named_where_there_is_nothing_else(asked):
    make_files(asked.root, "phone/memo.m4a")
    with pytest.raises(ConfigError, match=r"there is no sound .* into FLAC: ffmpeg -i memo\.m4a"):
        asked(audio_dir="phone")


def test_sounds_that_snakemake_cannot_name_are_set_aside_with_the_reason(asked):
    make_files(asked.root, "talks/odd/y{1}.wav", "talks/odd/y{1}.txt", "talks/two\nlines.wav")
    (asked.root / "talks" / "broken.wav").symlink_to("nowhere")
    with open(b"%b/talks/Gr\xfc\xdfe.wav" % bytes(asked.root), "wb"):
        pass
    found = asked()
    assert found.files == ["talks/x.wav"]
    assert sorted(found.unusable) == ["Gr\\xfc\\xdfe.wav", "broken.wav", "odd/y{1}.wav", "two\\x0alines.wav"]
    assert "talks/odd/y{1}.wav holds a brace" in found.unusable["odd/y{1}.wav"]
    make_files(asked.root, "talks/read{me}.txt", "talks/z.wav")
    (asked.root / "talks" / "z.txt").symlink_to("nowhere")
    assert sorted(set(asked().unusable) - set(found.unusable)) == ["read{me}.txt", "z.txt"]
    make_files(asked.root, "alone/{}.wav")
    with pytest.raises(ConfigError, match=r"no sound .*; the name alone/{}\.wav holds a brace"):
        asked(audio_dir="alone")


def test_the_largest_sound_of_a_zip_counts_as_it_is_unpacked(asked):
    with zipfile.ZipFile(asked.root / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", bytes(5 * 2**20))
        archive.writestr("b.wav", bytes(2 * 2**20))
    assert asked(audio_dir="packed.zip").largest_mb == 5
    assert asked(audio_dir="talks.zip").largest_mb == 0
