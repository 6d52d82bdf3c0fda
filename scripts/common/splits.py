"""Which split a group of recordings belongs to: decided by its name alone, so that adding recordings moves nobody."""

import hashlib
from collections.abc import Iterable, Mapping

from scripts.common.errors import ConfigError

SPLITS = ("train", "val", "test")


def shares_of(setting: Mapping[str, object]) -> dict[str, float]:
    """Share of the groups in each split from the config's `split`; `val` is the rest where it is not given."""
    train, test = float(str(setting["train"])), float(str(setting["test"]))
    val = float(str(setting.get("val", max(0.0, round(1 - train - test, 9)))))
    return {"train": train, "val": val, "test": test}


def hashed_split(group: str, shares: Mapping[str, float], seed: int) -> str:
    """The split of `group`: its hash as a number in [0, 1) falls into one of the shares."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for name in SPLITS:
        if position < shares[name]:
            return name
        position -= shares[name]
    return max(SPLITS, key=lambda name: shares[name])


def split_recordings(
    groups: Mapping[str, str], fixed: Mapping[str, str], shares: Mapping[str, float], seed: int, place: str
) -> dict[str, str]:
    """Split of each recording, so that no group stands in two.

    groups: recording -> group.  fixed: recording -> split, where a person has chosen.
    Raises ConfigError where two recordings of a group are fixed apart, or a wanted split stays empty.
    """
    chosen: dict[str, str] = {}
    for recording, split in fixed.items():
        group = groups[recording]
        if chosen.setdefault(group, split) != split:
            raise ConfigError(
                f"{place}: `{group}` stands in {chosen[group]} and in {split} (recording {recording}); "
                "give all its recordings the same split"
            )
    splits = {
        recording: chosen.get(group) or hashed_split(group, shares, seed) for recording, group in groups.items()
    }
    _check_not_empty(splits.values(), shares, place)
    return splits


def _check_not_empty(found: Iterable[str], shares: Mapping[str, float], place: str) -> None:
    present = set(found)
    if not present:
        return
    for name in SPLITS:
        if shares[name] > 0 and name not in present:
            raise ConfigError(
                f"{place}: no recording falls into `{name}` (share {shares[name]:g}); too few groups for a split by "
                f"hash: fill the column `split` of the recordings sheet, or set {place}.{name}: 0"
            )
