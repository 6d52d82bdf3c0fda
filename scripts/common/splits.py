"""Which split a group of recordings belongs to: decided by its name alone, so that adding recordings moves nobody."""

import hashlib
from collections.abc import Mapping

from scripts.common.errors import ConfigError

SPLITS = ("train", "val", "test")

# Shares such as 0.33, 0.33, 0.33 are meant to be the whole.
ROUNDING = 0.015


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
    Raises ConfigError where the shares do not make a whole, two recordings of a group are fixed apart, or a wanted
    split stays empty.
    """
    check_shares(shares, place)
    chosen = fixed_groups(groups, fixed, place)
    splits = {recording: chosen.get(group) or hashed_split(group, shares, seed) for recording, group in groups.items()}
    if splits:
        _check_not_empty({groups[recording]: split for recording, split in splits.items()}, shares, place)
    return splits


def check_shares(shares: Mapping[str, float], place: str) -> None:
    """Raises ConfigError where the shares do not make a whole."""
    whole = sum(shares.values())
    if abs(whole - 1) > ROUNDING:
        parts = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise ConfigError(f"{place}: the shares add up to {whole:g} instead of 1 ({parts})")


def fixed_groups(groups: Mapping[str, str], fixed: Mapping[str, str], place: str) -> dict[str, str]:
    """Split of each group of which a recording is fixed. Raises ConfigError where two of a group are fixed apart."""
    chosen: dict[str, str] = {}
    for recording, split in fixed.items():
        group = groups[recording]
        if chosen.setdefault(group, split) != split:
            raise ConfigError(
                f"{place}: `{group}` stands in {chosen[group]} and in {split} (recording {recording}); "
                "give all its recordings the same split"
            )
    return chosen


def advice(missing: list[str], found: set[str], shares: Mapping[str, float], place: str) -> str:
    """How the shares are to be set so that none of `missing` is wanted and nobody of `found` moves."""
    *others, last = [f"{place}.{name}: {share:g}" for name, share in _without(missing, found, shares)]
    return f"{', '.join(others)} and {last}"


def _check_not_empty(found: Mapping[str, str], shares: Mapping[str, float], place: str) -> None:
    """found: group -> split."""
    missing = [name for name in SPLITS if shares[name] > 0 and name not in found.values()]
    if not missing:
        return
    said = " and into ".join(f"`{name}` (share {shares[name]:g})" for name in missing)
    raise ConfigError(
        f"{place}: no recording falls into {said}; {len(found)} groups are too few "
        f"for a split by hash: fill the column `split` of the recordings sheet{_proposal(found, shares)}, "
        f"or set {advice(missing, set(found.values()), shares, place)}"
    )


def _without(missing: list[str], found: set[str], shares: Mapping[str, float]) -> list[tuple[str, float]]:
    """Shares, first those that grow, by which no group changes its split and none of `missing` is wanted.

    A share goes to the next split in their order that has a group, for a hash falls into them one behind the other.
    """
    grown: dict[str, float] = {}
    for name in missing:
        at = SPLITS.index(name)
        distance = {other: abs(SPLITS.index(other) - at) for other in found}
        taker = min(sorted(found), key=lambda other: (shares[other] == 0, distance[other], -shares[other]))
        grown[taker] = grown.get(taker, shares[taker]) + shares[name]
    return [*((name, round(share, 9)) for name, share in grown.items()), *((name, 0.0) for name in missing)]


def _proposal(found: Mapping[str, str], shares: Mapping[str, float]) -> str:
    """Fixed lists that leave no wanted split empty, as near to the shares as one group a small split allows."""
    wanted = [name for name in SPLITS if shares[name] > 0]
    if len(found) < len(wanted):
        return ""
    largest = max(wanted, key=lambda name: shares[name])
    small = [name for name in wanted if name != largest]
    chosen = dict(zip(small, sorted(found)[-len(small) :] if small else [], strict=True))
    lists = [f"`{name}` for {group}" for name, group in chosen.items()]
    return f", e.g. {', '.join(lists)} and `{largest}` for the rest" if lists else ""
