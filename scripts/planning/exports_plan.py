"""The room of exports: what is made to look at and to hand on, for every rig that asks for it.

`separate` as MP4, and `audio` as WAV, are what the import makes under media/, so they cost no job and no second copy.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from scripts.common.clip_table import stray_row
from scripts.common.errors import ConfigError
from scripts.common.names import folded, instead_of, is_stream_name, nearest
from scripts.planning.aviary_rules import AviaryRules
from scripts.planning.config import checked, kinds, rational, schema
from scripts.planning.recordings import Recording, tidy
from scripts.planning.rigs import Rig
from scripts.planning.room import Room
from scripts.planning.sound_checks import check_sound
from scripts.planning.spectrogram_checks import check_band, check_latency, check_spectrogram

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

# Where a product says nothing, the section `exports` of the config does.
SHARED = ("codec", "crf", "preset", "fps", "encoder", "missing")
OWN_INSTANTS = "own"
WHOLE_GROUP = "all"
# The product of `naming: aviary`.
AVIARY = "aviary"
# How the old system called a camera.
OLD_VIEW = re.compile(r"view\d+")

Settings = dict[str, Any]


class Exports(Room):
    """The exports of every rig: settings by product, paths, targets."""

    def __init__(self, plan: "Plan") -> None:
        super().__init__(plan)
        self._implied: dict[tuple[str, str], Settings] = {}
        self.products = {rig.name: _products(rig, plan.config["exports"]) for rig in plan.rigs.values()}
        for rig in plan.rigs.values():
            if rig.entry["naming"] == AVIARY:
                AviaryRules(self).check(rig.name)
        used = {recording.rig for recording in plan.recordings.values()}
        for name, products in self.products.items():
            if "spectrogram" in products:
                rate_hz = self.settings(name, "mosaic")["rate_hz"]
                check_band(products["spectrogram"]["band_hz"], rate_hz, f"rigs.{name}.exports.spectrogram.band_hz")
            # A rig that the sheet does not use cuts nothing; a scan for recordings has no sheet yet.
            if "clips" in products and name in used:
                _check_clip_rows(products["clips"]["table"], plan.recordings, f"rigs.{name}.exports.clips.table")

    def settings(self, rig: str, product: str) -> Settings:
        """What a rig says of a product, whether it lists it or another one needs it."""
        known = self.products[rig]
        if product in known:
            return known[product]
        if (rig, product) not in self._implied:
            self._implied[rig, product] = _product(self.plan.rigs[rig], product, {}, self.plan.config["exports"])
        return self._implied[rig, product]

    def path(self, name: str) -> str:
        """A file or folder among a recording's exports."""
        return f"{self.plan.path.results}/exports/{{rig}}/{{recording}}/{name}"

    def ledger(self, product: str) -> str:
        """The ledger of a product."""
        return self.path(f"{product}.ledger.parquet")

    def targets(self, stage: str) -> list[str]:
        """One output of every job, all of them in stage media."""
        return self.ledgers() if stage == "media" else []

    def ledgers(self) -> list[str]:
        """The ledger of every product of every chosen recording."""
        return [
            self.ledger(product).format(rig=recording.rig, recording=recording.name)
            for recording in self.plan.chosen
            for product in self.jobs(recording)
        ]

    def jobs(self, recording: Recording) -> list[str]:
        """The products of a recording as their ledgers name them, with those that another one needs."""
        listed = self.products[recording.rig]
        made: list[str] = []
        for product in list(listed):
            settings = self.settings(recording.rig, product)
            made += ["full"] if product == "merge" and settings["picture"] == "full" else []
            if product == "spectrogram":
                made += [f"spectrogram.{group}" for group in self.settings(recording.rig, "mosaic")["groups"]]
                made += ["location"] if settings.get("location") else []
                continue
            made += _jobs(product, settings, recording)
        if self.plan.rigs[recording.rig].entry["naming"] == AVIARY:
            raw = [f"audio/{microphone}.raw" for microphone in recording.microphones if "audio" in listed]
            made += [*raw, AVIARY]
        return list(dict.fromkeys(made))


def _jobs(product: str, settings: Settings, recording: Recording) -> list[str]:
    if product == "mosaic":
        return [f"mosaic.{group}" for group in settings["groups"]]
    if product == "audio":
        forms = [form for form in settings["formats"] if form != "wav"]
        return [f"audio/{microphone}.{form}" for form in forms for microphone in recording.microphones]
    if product == "frame":
        return [f"frame/{camera}" for camera in recording.cameras]
    if product == "separate":
        return [f"separate/{camera}.mkv" for camera in recording.cameras if "mkv" in settings["formats"]]
    return [product]


def _products(rig: Rig, shared: Settings) -> dict[str, Settings]:
    """The products that a rig lists, in its order. Raises ConfigError."""
    wanted = rig.entry["exports"]
    entries: Mapping[str, Any] = wanted if isinstance(wanted, dict) else {name: {} for name in wanted}
    known = kinds("exports")
    for name in entries:
        if name not in known:
            raise ConfigError(f"rigs.{rig.name}.exports: there is no export `{name}`{nearest(name, known)}")
    return {name: _product(rig, name, entry or {}, shared) for name, entry in entries.items()}


def _product(rig: Rig, product: str, entry: Any, shared: Settings) -> Settings:
    place = f"rigs.{rig.name}.exports.{product}"
    rules = schema(f"exports.{product}")
    settings: Settings = checked(entry, rules, place)
    for key in SHARED:
        if key in rules["properties"] and key not in settings:
            settings[key] = shared[key]
    if "fps" in settings:
        settings["fps"] = _fps(settings["fps"], f"{place}.fps")
    if settings.get("layout"):
        _check_layout(rig, settings["layout"], f"{place}.layout")
    if "left" in settings:
        check_sound(rig, settings, place)
    check = CHECKS.get(product)
    if check:
        check(rig, settings, place)
    return settings


def _fps(value: Any, place: str) -> str:
    return OWN_INSTANTS if value == OWN_INSTANTS else rational(value, place)


def _check_merge(rig: Rig, settings: Settings, place: str) -> None:
    _need_cameras(rig, settings, place)
    if not rig.microphones:
        raise ConfigError(f"{place}: the rig has no microphone whose sound could be merged")
    known = ["full", *rig.camera_settings]
    if settings["picture"] not in known:
        raise ConfigError(
            f"{place}.picture: there is no picture `{settings['picture']}`{nearest(settings['picture'], known)}"
        )


def _check_mosaic(rig: Rig, settings: Settings, place: str) -> None:
    _need_cameras(rig, settings, place)
    settings["groups"] = settings["groups"] or {WHOLE_GROUP: {}}
    seen: dict[str, str] = {}
    for name, group in settings["groups"].items():
        where = f"{place}.groups.{name}"
        if not is_stream_name(name):
            raise ConfigError(f"{where}: the name becomes a file name; {instead_of(name, '_+=@-')}")
        if seen.setdefault(folded(name), name) != name:
            raise ConfigError(f"{where}: `{seen[folded(name)]}` would be the same file on some systems")
        if rig.entry["naming"] == AVIARY and OLD_VIEW.fullmatch(name):
            raise ConfigError(
                f"{where}: with `naming: aviary` its file would be called as a camera's; give it another name"
            )
        cameras = group.get("cameras", list(rig.camera_settings))
        _check_layout(rig, group.get("layout") or [cameras], where)
        # Also without a sound: a spectrogram shows it.
        check_sound(rig, {**settings, **group}, where)


def _check_all_frames(rig: Rig, settings: Settings, place: str) -> None:
    _need_cameras(rig, settings, place)
    if len(settings["views"]) > 1 and "grid" in rig.camera_settings:
        raise ConfigError(f"{place}.views: a camera is called `grid`; ask for cameras or grid alone")


def _check_clips(rig: Rig, settings: Settings, place: str) -> None:
    table = settings.get("table")
    if table is None:
        raise ConfigError(f"{place}: the key `table` is missing, the csv of the clips")
    if not os.path.isfile(table) or "{" in table or "}" in table:
        raise ConfigError(f"{place}.table: {table!r} is no file, or its name holds a brace")
    settings["table"] = tidy(table)
    try:
        ZoneInfo(settings["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = nearest(settings["zone"], available_timezones())
        hint = near if "did you mean" in near else "; write one like Europe/Vienna"
        raise ConfigError(f"{place}.zone: there is no time zone `{settings['zone']}`{hint}") from None


def _check_clip_rows(table: str, recordings: Mapping[str, Recording], place: str) -> None:
    """No job would cut, or miss, the clips of a recording that is misspelt."""
    row = stray_row(Path(table), recordings)
    if row is not None:
        near = nearest(row.recording, recordings)
        hint = near if "did you mean" in near else ""
        todo = hint or "; name one of the recordings sheet, or leave the cell empty for all"
        raise ConfigError(
            f"{place}: {os.path.basename(table)}, line {row.line}: there is no recording `{row.recording}`{todo}"
        )


def _need_cameras(rig: Rig, settings: Settings, place: str) -> None:
    if not rig.cameras:
        raise ConfigError(f"{place}: the rig has no camera")


def _check_layout(rig: Rig, rows: list[list[str]], place: str) -> None:
    names = [name for row in rows for name in row if name]
    for name in names:
        if name not in rig.camera_settings:
            raise ConfigError(f"{place}: the rig has no camera `{name}`{nearest(name, rig.camera_settings)}")
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"{place}: each camera stands in one cell, and at least one in all")


def rows_of(settings: Settings, cameras: list[str]) -> list[list[str]]:
    """The rows of a layout as the settings say it: explicit ones, or [] for a choice by the number of cameras."""
    rows: list[list[str]] = settings.get("layout") or []
    return rows or [cameras]


def names_in(rows: list[list[str]]) -> list[str]:
    """The cameras of a layout, in the order of its cells."""
    return [name for row in rows for name in row if name]


def sides_of(settings: Settings, microphones: list[str]) -> list[list[str]]:
    """The parts of each side; without any, the mean of all microphones."""
    left = settings["left"] or microphones
    return [left, settings["right"]] if settings["right"] else [left]


CHECKS = {
    "full": _need_cameras,
    "merge": _check_merge,
    "mosaic": _check_mosaic,
    "frame": _need_cameras,
    "allframes": _check_all_frames,
    "clips": _check_clips,
    "spectrogram": check_spectrogram,
    "latency": check_latency,
}
