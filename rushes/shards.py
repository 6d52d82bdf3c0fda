"""Shards for training: samples of webdataset tars, ours or anybody's, decoded, shuffled, divided and resumed.

    for batch in Shards("datasets/web/shards/data", n_frames=8, fps=5, size=(112, 112), shuffle=True, batch_size=16):
        batch["frames"]      # uint8 (16, 8, 112, 112, 3)

Samples are found by their offsets, so that any order costs the same. Where torch is installed, `Shards` is an
IterableDataset: `DataLoader(Shards(…, batch_size=16), batch_size=None, num_workers=4)`, whose workers share the samples
out among themselves. Workers are copies that begin where `Shards` stands, and it does not see how far they come: so
`set_epoch` goes before each of several epochs, as for torch's DistributedSampler. Workers that are kept
(`persistent_workers`) count by themselves, and `set_epoch` does not reach them.
"""

import importlib
import io
import json
import random
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rushes.sample_media import choose_frames, decode_pictures, decode_sound

if TYPE_CHECKING:

    class Stream:
        """What DataLoader takes as a dataset without numbers."""

else:
    # The package is optional: who reads shards without it needs none of it.
    try:
        Stream = importlib.import_module("torch.utils.data").IterableDataset
    except ImportError:
        Stream = object

VIDEOS = ("mp4", "mkv", "webm", "avi", "mov")
SOUNDS = ("m4a", "wav", "mp3", "flac", "ogg")

Sample = dict[str, Any]


class Place(NamedTuple):
    """A sample: its shard, its key, and offset and size of each of its members by ending."""

    shard: Path
    key: str
    parts: dict[str, tuple[int, int]]


def list_samples(shard: Path) -> list[Place]:
    """Every sample of a tar, in its order, by a look at its headers alone. Raises tarfile.ReadError that names it."""
    found: dict[str, Place] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            members = [(entry.name, entry.offset_data, entry.size) for entry in tar if entry.isfile()]
    except tarfile.ReadError as error:
        raise tarfile.ReadError(f"{shard} is no whole, unpacked tar: {error}") from None
    for path, offset, size in members:
        folder, _, name = path.rpartition("/")
        stem, _, ending = name.partition(".")
        key = f"{folder}/{stem}" if folder else stem
        # In small letters, as webdataset has them.
        found.setdefault(key, Place(shard, key, {})).parts[ending.lower()] = (offset, size)
    return list(found.values())


def find_shards(shards: str | Path | Iterable[str | Path]) -> list[Path]:
    """Tars of a folder, of several, or by name, in the order of their names."""
    given = [shards] if isinstance(shards, str | Path) else list(shards)
    found = []
    for path in map(Path, given):
        found += sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not found:
        raise FileNotFoundError(f"no tar in {', '.join(map(str, given))}")
    return found


class Shards(Stream):
    """Samples of shards, an epoch each time that it is iterated; after a `break`, what is left of it.

    batch_size: samples that come together, arrays stacked, the rest as lists; None: one by one.
    shuffle: another order each epoch, from `seed`.  repeat: epochs of an iteration; 0: without end.
    n_frames, fps, sampling: which pictures are decoded: `n_frames` of them at `fps` a second, from the middle (uniform)
    or from a random place (random); without n_frames all, without fps those that there are; a clip that is too short
    repeats its last picture.  by_cuts: a random scene of those that the sample's json lists in `cuts_s`.
    size: (height, width), reached by scaling the shorter side and cropping the middle; None: as it is.
    keep: which samples, from their json: a function, or {name: value, or (least, most)}, for which text that says a
    number counts as that number, and what cannot be compared lies in no range.
    rank, world_size: which share of the samples; workers of torch divide it further.
    decode: False gives the members as bytes.
    Pictures come upright; those that do not decode are left out. A sample of which nothing decodes is a ValueError that
    names it.
    """

    def __init__(
        self,
        shards: str | Path | Iterable[str | Path],
        *,
        batch_size: int | None = None,
        drop_last: bool = False,
        shuffle: bool = False,
        seed: int = 0,
        repeat: int = 1,
        n_frames: int | None = None,
        fps: float | None = None,
        sampling: str = "uniform",
        by_cuts: bool = False,
        size: tuple[int, int] | None = None,
        keep: Callable[[Mapping[str, Any]], bool] | Mapping[str, Any] | None = None,
        rank: int = 0,
        world_size: int = 1,
        decode: bool = True,
    ) -> None:
        if sampling not in ("uniform", "random"):
            raise ValueError(f"sampling: {sampling!r} is neither uniform nor random")
        for name, value, least in (("batch_size", batch_size, 1), ("n_frames", n_frames, 1), ("repeat", repeat, 0)):
            if value is not None and value < least:
                raise ValueError(f"{name}: {value} is less than {least}")
        if fps is not None and fps <= 0:
            raise ValueError(f"fps: {fps} frames a second")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} does not lie between 0 and {world_size - 1}")
        self._batch_size, self._drop_last = batch_size, drop_last
        self._shuffle, self._seed, self._repeat = shuffle, seed, repeat
        self._n_frames, self._fps, self._sampling, self._by_cuts, self._size = n_frames, fps, sampling, by_cuts, size
        self._rank, self._world_size, self._decode = rank, world_size, decode
        places = [place for shard in find_shards(shards) for place in list_samples(shard)]
        wanted = _filter(keep)
        self.places = [place for place in places if wanted(read_json(place))] if wanted else places
        # The epoch, and how many samples of it this share has given.
        self._state = {"epoch": 0, "given": 0}

    def __len__(self) -> int:
        """Samples of this rank in an epoch, or batches of them."""
        samples = len(range(self._rank, len(self.places), self._world_size))
        if self._batch_size is None:
            return samples
        return (samples if self._drop_last else samples + self._batch_size - 1) // self._batch_size

    def state_dict(self) -> dict[str, int]:
        """Where the iteration is: give it to `load_state_dict` to go on from there."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """The next iteration begins where `state` was taken."""
        self._state = {"epoch": int(state["epoch"]), "given": int(state["given"])}

    def set_epoch(self, epoch: int) -> None:
        """The next iteration begins with this epoch: 0, 1, …, or with `repeat` a multiple of that."""
        self._state = {"epoch": epoch, "given": 0}

    def __iter__(self) -> Iterator[Sample]:
        """Samples, or batches of them: keys, json, txt, `frames` uint8 (N, height, width, 3), `sound` float32."""
        batch: list[Sample] = []
        for sample in self._samples():
            if self._batch_size is None:
                yield sample
                continue
            batch.append(sample)
            if len(batch) == self._batch_size:
                yield collate(batch)
                batch = []
        if batch and not self._drop_last:
            yield collate(batch)

    def _samples(self) -> Iterator[Sample]:
        share, shares = _share(self._rank, self._world_size)
        # All of an epoch had been given when the iteration ended, or was left: the next one comes.
        if self._state["given"] >= len(range(share, len(self.places), shares)) > 0:
            self.set_epoch(self._state["epoch"] + 1)
        # Whoever goes on within an iteration gives the rest of it.
        stop = (self._state["epoch"] // self._repeat + 1) * self._repeat if self._repeat else None
        while stop is None or self._state["epoch"] < stop:
            epoch = self._state["epoch"]
            order = list(range(len(self.places)))
            if self._shuffle:
                random.Random(f"{self._seed} {epoch}").shuffle(order)
            own = order[share::shares]
            if not own and not self._repeat:
                return
            while self._state["given"] < len(own):
                number = own[self._state["given"]]
                # Counted before it is given: whoever stops after it goes on with the next.
                self._state["given"] += 1
                yield self._read(self.places[number], random.Random(f"{self._seed} {epoch} {number}"))
            self._state = {"epoch": epoch + 1, "given": 0}

    def _read(self, place: Place, chance: random.Random) -> Sample:
        sample: Sample = {"__key__": place.key, "__url__": str(place.shard)}
        with place.shard.open("rb") as file:
            for ending, (offset, size) in place.parts.items():
                file.seek(offset)
                sample[ending] = file.read(size)
        if not self._decode:
            return sample
        for ending in place.parts:
            try:
                self._decode_part(sample, ending, chance)
            except ValueError as error:
                raise ValueError(f"{place.shard}, {place.key}.{ending}: {error}") from error
        return sample

    def _decode_part(self, sample: Sample, ending: str, chance: random.Random) -> None:
        """Put what a member says into its place."""
        if ending == "json":
            sample["json"] = json.loads(sample["json"])
        elif ending == "txt":
            sample["txt"] = sample["txt"].decode("utf-8")
        elif ending == "npy":
            sample["npy"] = np.load(io.BytesIO(sample["npy"]), allow_pickle=False)
        elif ending in VIDEOS:
            span = _scene(sample, chance) if self._by_cuts else None
            sample["frames"] = self._frames(sample.pop(ending), chance, span)
        elif ending in SOUNDS:
            sample["sound"], sample["rate_hz"] = decode_sound(sample.pop(ending))

    def _frames(self, content: bytes, chance: random.Random, span: tuple[float, float] | None) -> np.ndarray:
        pictures, times = decode_pictures(content, self._size)
        chosen = choose_frames(
            times,
            n_frames=self._n_frames,
            fps=self._fps,
            start=chance.random() if self._sampling == "random" else 0.5,
            span=span,
        )
        return np.stack([pictures[number] for number in chosen])


def read_json(place: Place) -> dict[str, Any]:
    """The json of a sample, empty if it has none."""
    if "json" not in place.parts:
        return {}
    offset, size = place.parts["json"]
    with place.shard.open("rb") as file:
        file.seek(offset)
        content: dict[str, Any] = json.loads(file.read(size))
    return content


def collate(samples: Sequence[Sample]) -> Sample:
    """A batch: arrays of one shape are stacked, everything else is a list; a name that some lack is None there."""
    batch: Sample = {}
    for name in dict.fromkeys(name for sample in samples for name in sample):
        values = [sample.get(name) for sample in samples]
        arrays = all(isinstance(value, np.ndarray) for value in values)
        same = arrays and len({(value.shape, value.dtype) for value in values if value is not None}) == 1
        batch[name] = np.stack(values) if same else values  # type: ignore[arg-type]
    return batch


def _filter(
    keep: Callable[[Mapping[str, Any]], bool] | Mapping[str, Any] | None,
) -> Callable[[Mapping[str, Any]], bool] | None:
    if keep is None or callable(keep):
        return keep
    limits = dict(keep)

    return lambda record: all(_is_wanted(record.get(name), limit) for name, limit in limits.items())


def _is_wanted(value: Any, limit: Any) -> bool:
    ends = limit if isinstance(limit, tuple) else (limit,)
    # The cells of a csv are text, also those that say a number.
    if isinstance(value, str) and all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        value = _number(value)
    if not isinstance(limit, tuple):
        return bool(value == limit)
    try:
        return bool(limit[0] <= value <= limit[1])
    except TypeError:
        return False


def _number(text: str) -> float | None:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return None


def _scene(sample: Sample, chance: random.Random) -> tuple[float, float] | None:
    record = sample.get("json", {})
    record = json.loads(record) if isinstance(record, bytes) else record
    cuts = record.get("cuts_s") or []
    return tuple(chance.choice(cuts)) if cuts else None


def _share(rank: int, world_size: int) -> tuple[int, int]:
    """Which share of the samples is this process's, of how many: ranks, and in each the workers of torch."""
    torch = sys.modules.get("torch.utils.data")
    worker = torch.get_worker_info() if torch is not None else None
    if worker is None:
        return rank, world_size
    return rank * worker.num_workers + worker.id, world_size * worker.num_workers
