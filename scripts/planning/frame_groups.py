"""How groups of labelled frames are split, as far as names tell; what cannot be split is a mistake before any work."""

from collections.abc import Mapping
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.names import nearest
from scripts.common.splits import SPLITS, advice, check_shares, fixed_groups, shares_of, split_recordings


def known_splits(
    settings: Mapping[str, Any], groups: Mapping[str, str], fixed: Mapping[str, str], place: str
) -> dict[str, str]:
    """Recording -> split where it follows from names alone; {} where labels decide.

    settings: `split` of a dataset of frames.  groups: recording -> group.  fixed: recording -> split, where the sheet
    names one.
    Raises ConfigError for lists that do not name every group once, or otherwise than the sheet; for shares that do not
    make a whole; for a group that the sheet tears apart; and where groups are too few.
    """
    if settings["lists"]:
        splits = _by_lists(settings["lists"], groups, f"{place}.lists")
        _check_agreed(splits, groups, fixed, f"{place}.lists")
        return splits
    if settings["method"] in ("folds", "leave_one_out"):
        _check_folds(settings, len(set(groups.values())), place)
        return {}
    shares = shares_of(settings)
    check_shares(shares, place)
    if settings["by"] == "interval":
        return {}
    if settings["method"] == "hash":
        return split_recordings(groups, fixed, shares, settings["seed"], place)
    _check_filled(shares, set(groups.values()), fixed_groups(groups, fixed, place), place)
    return {}


def _by_lists(lists: Mapping[str, list[Any]], groups: Mapping[str, str], place: str) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for split in SPLITS:
        for group in map(str, lists.get(split, [])):
            if group not in groups.values():
                raise ConfigError(f"{place}.{split}: there is no `{group}`{nearest(group, set(groups.values()))}")
            if split_of.setdefault(group, split) != split:
                raise ConfigError(f"{place}: `{group}` stands in {split_of[group]} and in {split}")
    missing = sorted(set(groups.values()) - set(split_of))
    if missing:
        raise ConfigError(f"{place}: `{missing[0]}` stands in no list")
    return {recording: split_of[group] for recording, group in groups.items()}


def _check_agreed(splits: Mapping[str, str], groups: Mapping[str, str], fixed: Mapping[str, str], place: str) -> None:
    for recording, split in fixed.items():
        if splits[recording] != split:
            raise ConfigError(
                f"{place}: `{groups[recording]}` stands in {splits[recording]}, but its recording {recording} "
                f"in {split} by the column `split` of the recordings sheet; change one of them"
            )


def _check_folds(settings: Mapping[str, Any], count: int, place: str) -> None:
    """count: of groups."""
    everyone = settings["method"] == "leave_one_out"
    wanted = 3 if everyone else settings["folds"]
    if count < wanted:
        mend = "label more of them" if everyone or count < 3 else f"set {place}.folds: {count}, or label more of them"
        raise ConfigError(
            f"{place}: {settings['method']} wants at least {wanted} groups (by: {settings['by']}), but there "
            f"are {count}; {mend}"
        )
    if everyone and settings["fold"] >= count:
        raise ConfigError(f"{place}.fold: {settings['fold']}; of {count} groups the last is number {count - 1}")


def _check_filled(shares: Mapping[str, float], groups: set[str], chosen: Mapping[str, str], place: str) -> None:
    """chosen: group -> split, where the sheet names one. Whoever is left fills as many splits as there are of them."""
    empty = [name for name in SPLITS if shares[name] > 0 and name not in chosen.values()]
    left = len(groups) - len(chosen)
    if left < len(empty):
        ranked = sorted(empty, key=lambda name: -shares[name])
        missing = [name for name in SPLITS if name in ranked[left:]]
        found = {*chosen.values(), *ranked[:left]}
        said = " and for ".join(f"`{name}`" for name in missing)
        raise ConfigError(
            f"{place}: no group is left for {said}; {len(groups)} are too few: label more of them, or set "
            f"{advice(missing, found, shares, place)}"
        )
