"""Samples come back as they went in: any order, any share, any place to go on from; tars of others, too."""

import io
import json
import subprocess
import tarfile
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.shards import Shards, choose_frames, collate, list_samples
from tests.unit.examples import tar_of
from tests.unit.shard_maker import FOUR, RED, make, scene_video, square_in, write_table


@pytest.fixture(scope="module")
def tars(tmp_path_factory) -> Path:
    """Two shards of small samples, as another program writes them: pax headers, folders in names."""
    folder = tmp_path_factory.mktemp("tars")
    for shard in range(2):
        with tarfile.open(folder / f"{shard:05d}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(5):
                key = f"{shard}{number}"
                members = {"txt": f"text {key}".encode(), "json": json.dumps({"n": shard * 5 + number}).encode()}
                for ending, payload in members.items():
                    entry = tarfile.TarInfo(f"{key}.{ending}")
                    entry.size, entry.mtime = len(payload), 12.5
                    tar.addfile(entry, io.BytesIO(payload))
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    video = scene_video(root / "a.mp4", FOUR)
    row = json.dumps({"url": str(video), "caption": "text", "clips": [[0, 2], [1, 4]]})
    make(root / "made", write_table(root / "t.jsonl", row), output="webdataset")
    return root / "made" / "data"


def keys(shards: Shards) -> list[str]:
    return [sample["__key__"] for sample in shards]


def test_every_sample_comes_once_an_epoch(tars):
    shards = Shards(tars)
    assert keys(shards) == [f"{shard}{number}" for shard in range(2) for number in range(5)]
    assert len(keys(shards)) == 10, "an iteration is an epoch"
    sample = next(iter(Shards(tars)))
    assert (sample["txt"], sample["json"]) == ("text 00", {"n": 0})


def test_another_order_each_epoch_and_the_same_for_the_same_seed(tars):
    both = keys(Shards(tars, shuffle=True, seed=3, repeat=2))
    first, second = both[:10], both[10:]
    assert sorted(first) == sorted(second) == sorted(keys(Shards(tars)))
    assert first != second
    assert both == keys(Shards(tars, shuffle=True, seed=3, repeat=2))
    assert both != keys(Shards(tars, shuffle=True, seed=4, repeat=2))


def test_an_iteration_after_another_one_is_the_next_epoch(tars):
    shards = Shards(tars, shuffle=True, seed=3)
    epochs = [keys(shards) for _ in range(3)]
    assert epochs[0] + epochs[1] + epochs[2] == keys(Shards(tars, shuffle=True, seed=3, repeat=3))
    shards.set_epoch(1)
    assert keys(shards) == epochs[1]
    twice = Shards(tars, shuffle=True, seed=3, repeat=2)
    assert keys(twice) == epochs[0] + epochs[1]
    assert keys(twice)[:10] == epochs[2]


@pytest.mark.parametrize("batch_size", [None, 4, 5])
def test_where_an_epoch_was_left_at_its_end_the_next_one_begins(tars, batch_size):
    first = Shards(tars, batch_size=batch_size, shuffle=True)
    reading = iter(first)
    for _ in range(len(first)):
        next(reading)
    later = Shards(tars, batch_size=batch_size, shuffle=True)
    later.load_state_dict(first.state_dict())
    anew = Shards(tars, batch_size=batch_size, shuffle=True)
    anew.set_epoch(1)
    assert [sample["__key__"] for sample in later] == [sample["__key__"] for sample in anew] != []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loop_over_epochs_has_all_samples_in_another_order_each_time(tars, workers):
    torch_data = pytest.importorskip("torch.utils.data")
    shards = Shards(tars, shuffle=True)
    loader = torch_data.DataLoader(shards, batch_size=None, num_workers=workers)
    epochs = []
    for epoch in range(3):
        shards.set_epoch(epoch)
        epochs.append([sample["__key__"] for sample in loader])
    assert all(sorted(epoch) == sorted(keys(Shards(tars))) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3


def test_workers_start_after_a_look_at_samples_in_the_main_process(clips):
    """A scaler's threads would not be there in a forked worker, which would wait for them."""
    torch_data = pytest.importorskip("torch.utils.data")
    for _ in range(3):
        assert len(list(Shards(clips, size=(16, 16)))) == 2
    loader = torch_data.DataLoader(Shards(clips, size=(16, 16)), batch_size=None, num_workers=2, timeout=60)
    assert len(list(loader)) == 2


@given(st.integers(1, 7), st.booleans())
def test_the_shares_of_all_ranks_are_the_whole(tars, world, shuffle):
    shares = [keys(Shards(tars, shuffle=shuffle, rank=rank, world_size=world)) for rank in range(world)]
    together = [key for share in shares for key in share]
    assert sorted(together) == sorted(keys(Shards(tars)))


@given(st.integers(0, 19), st.booleans())
def test_an_epoch_is_gone_on_with_in_its_middle(tars, taken, shuffle):
    settings = {"shuffle": shuffle, "seed": 1, "repeat": 2}
    whole = keys(Shards(tars, **settings))
    first = Shards(tars, **settings)
    reading = iter(first)
    begun = [next(reading)["__key__"] for _ in range(taken)]
    later = Shards(tars, **settings)
    later.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert begun + keys(later) == whole


def test_without_end_goes_on_without_end(tars):
    reading = iter(Shards(tars, repeat=0))
    assert [next(reading)["__key__"] for _ in range(25)][20] == "00"


def test_samples_are_chosen_by_their_metadata(tars):
    assert keys(Shards(tars, keep={"n": (3, 6)})) == ["03", "04", "10", "11"]
    assert keys(Shards(tars, keep={"n": 7})) == ["12"]
    assert keys(Shards(tars, keep=lambda record: record["n"] % 5 == 0)) == ["00", "10"]
    assert keys(Shards(tars, keep={"none": 1})) == []


def test_text_that_says_a_number_is_one_where_numbers_are_asked_for(tmp_path):
    """As the cells of a csv come: text, all of them."""
    cells = ["9", "10", " 99.5", "1e2", "101", "n/a", "", None, ["10"], 50, True]
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for number, cell in enumerate(cells):
            payload = json.dumps({"views": cell}).encode()
            entry = tarfile.TarInfo(f"{number:02d}.json")
            entry.size = len(payload)
            tar.addfile(entry, io.BytesIO(payload))

    def kept(limit) -> list:
        return [cells[int(key)] for key in keys(Shards(tmp_path, keep={"views": limit}))]

    assert kept((10, 100)) == ["10", " 99.5", "1e2", 50]
    assert kept((9.0, 10.5)) == ["9", "10"]
    assert kept(10) == kept("10") == ["10"]
    assert kept(100.0) == ["1e2"]
    assert kept(("1", "2")) == ["10", "1e2", "101"]
    assert kept("") == [""]


def test_batches_are_stacked(clips):
    batches = list(Shards(clips, n_frames=4, fps=5, size=(48, 64), batch_size=2))
    assert [batch["frames"].shape for batch in batches] == [(2, 4, 48, 64, 3)]
    assert batches[0]["frames"].dtype == np.uint8
    assert batches[0]["txt"] == ["text", "text"]
    assert [len(batch["__key__"]) for batch in Shards(clips, batch_size=4, n_frames=1)] == [2]
    assert list(Shards(clips, batch_size=4, n_frames=1, drop_last=True)) == []


def test_frames_are_those_that_were_asked_for(clips):
    whole = next(iter(Shards(clips)))["frames"]
    assert whole.shape == (50, 120, 160, 3)
    picked = next(iter(Shards(clips, fps=5)))["frames"]
    assert [int(np.abs(whole.astype(int) - picture).mean(axis=(1, 2, 3)).argmin()) for picture in picked] == [
        2 + 5 * k for k in range(10)
    ]
    middle = next(iter(Shards(clips, n_frames=10)))["frames"]
    assert (middle == whole[20:30]).all()


def test_random_places_differ_by_epoch_and_repeat_by_seed(clips):
    def first_frames() -> list[bytes]:
        reading = Shards(clips, n_frames=3, sampling="random", seed=5, repeat=3, size=(24, 32))
        return [sample["frames"].tobytes() for sample in reading]

    once = first_frames()
    assert once == first_frames()
    assert len(set(once[::2])) > 1


def test_a_scene_of_the_sample_may_be_the_clip(clips):
    reading = Shards(clips, by_cuts=True, repeat=4, size=(24, 32))
    assert {len(sample["frames"]) for sample in reading} == {25}


@given(st.integers(1, 60), st.none() | st.integers(1, 40), st.sampled_from([None, 5.0, 24.0]), st.floats(0, 1))
def test_chosen_frames_exist_and_are_as_many_as_asked(count, n_frames, fps, start):
    chosen = choose_frames(np.arange(count) / 25, n_frames=n_frames, fps=fps, start=start)
    assert chosen.min() >= 0
    assert chosen.max() < count
    assert (np.diff(chosen) >= 0).all()
    assert n_frames is None or len(chosen) == n_frames


def test_offsets_are_found_without_reading(tars):
    place = list_samples(tars / "00001.tar")[2]
    assert place.key == "12"
    offset, size = place.parts["txt"]
    assert (tars / "00001.tar").read_bytes()[offset : offset + size] == b"text 12"


def test_what_differs_stays_a_list():
    batch = collate([{"a": np.zeros(2), "b": np.zeros(2)}, {"a": np.ones(2), "b": np.zeros(3), "c": 1}])
    assert batch["a"].shape == (2, 2)
    assert isinstance(batch["b"], list)
    assert batch["c"] == [None, 1]


def test_workers_of_torch_share_the_samples_out(tars):
    torch_data = pytest.importorskip("torch.utils.data")

    class Stream(torch_data.IterableDataset):
        def __iter__(self):
            return iter(Shards(tars))

    loaded = [sample["__key__"] for sample in torch_data.DataLoader(Stream(), batch_size=None, num_workers=2)]
    assert sorted(loaded) == sorted(keys(Shards(tars)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_of_torch_takes_it_as_it_is(tars, workers):
    torch_data = pytest.importorskip("torch.utils.data")
    loader = torch_data.DataLoader(Shards(tars, batch_size=3), batch_size=None, num_workers=workers)
    assert sorted(key for batch in loader for key in batch["__key__"]) == sorted(keys(Shards(tars)))
    assert len(loader) == 4


def test_its_length_is_that_of_an_epoch(tars):
    assert len(Shards(tars)) == 10
    for drop_last in (False, True):
        shards = Shards(tars, batch_size=4, drop_last=drop_last, rank=1, world_size=2)
        assert len(shards) == len(list(shards)) == (1 if drop_last else 2)


@pytest.mark.parametrize("angle", [90, 180, 270])
@pytest.mark.parametrize("size", [None, (40, 30)])
def test_pictures_are_upright_as_a_player_shows_them(tmp_path, angle, size):
    lying = scene_video(tmp_path / "a.mp4", [(RED, 3)])
    turned = tmp_path / "turned.mp4"
    copy = ["-display_rotation", str(angle), "-i", str(lying), "-c", "copy", str(turned)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *copy], check=True)
    (straight,) = Shards(tar_of(tmp_path / "a.tar", mp4=lying.read_bytes()), size=size[::-1] if size else None)
    (sample,) = Shards(tar_of(tmp_path / "b.tar", mp4=turned.read_bytes()), size=size)
    # ffmpeg's angle counts anticlockwise, as numpy's.
    if size is None or angle != 180:
        expected = np.rot90(straight["frames"], angle // 90, axes=(1, 2))
        assert sample["frames"].shape == expected.shape
        assert np.array_equal(sample["frames"], expected)
    else:
        assert sample["frames"].shape == (3, *size, 3)


def test_pictures_of_long_pixels_are_as_wide_as_a_player_shows_them(tmp_path):
    video = scene_video(tmp_path / "a.mp4", [(RED, 5)], pixel=Fraction(2))
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        tar.add(video, "0.mp4")
    for size, found in ((None, (120, 320)), ((60, 160), (60, 160)), ((60, 60), (60, 60))):
        (sample,) = Shards(tmp_path, size=size)
        assert sample["frames"].shape == (5, *found, 3)
        if size != (60, 60):
            scale = found[0] / 120
            assert square_in(sample["frames"][0], RED) == pytest.approx((32 * scale, 16 * scale), abs=2)


def test_damaged_pictures_are_left_out_and_the_rest_comes(tmp_path):
    video = bytearray(scene_video(tmp_path / "a.mp4", FOUR, sound=False).read_bytes())
    middle = len(video) // 2
    video[middle : middle + 3000] = bytes(255 - byte for byte in video[middle : middle + 3000])
    (sample,) = Shards(tar_of(tmp_path / "a.tar", mp4=bytes(video)))
    assert 20 < len(sample["frames"]) <= 100


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"a\.tar, 000\.mp4: it cannot be read"):
        list(Shards(tar_of(tmp_path / "a.tar", mp4=b"no video")))
    with pytest.raises(ValueError, match=r"b\.tar, 000\.json: "):
        list(Shards(tar_of(tmp_path / "b.tar", json=b"{bad")))
    cut_off = tmp_path / "c.tar"
    cut_off.write_bytes(tar_of(tmp_path / "d.tar", npy=b"x" * 4000).read_bytes()[:3000])
    with pytest.raises(tarfile.ReadError, match=r"c\.tar is no whole, unpacked tar"):
        Shards(cut_off)


def test_endings_in_capitals_are_read_as_webdataset_reads_them(tmp_path):
    (sample,) = Shards(tar_of(tmp_path / "a.tar", JSON=b'{"n": 1}', TXT=b"text"))
    assert (sample["json"], sample["txt"]) == ({"n": 1}, "text")


@pytest.mark.parametrize("wrong", [{"n_frames": 0}, {"fps": -5}, {"fps": 0}, {"batch_size": 0}, {"repeat": -1}])
def test_a_number_that_makes_no_sense_is_refused_by_name(tars, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Shards(tars, **wrong)


def test_a_mistake_is_named(tars, tmp_path):
    with pytest.raises(ValueError, match="neither uniform nor random"):
        Shards(tars, sampling="some")
    with pytest.raises(ValueError, match="rank 2"):
        Shards(tars, rank=2, world_size=2)
    with pytest.raises(FileNotFoundError, match="no tar"):
        Shards(tmp_path)
