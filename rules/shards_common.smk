"""
shards_common: lots, settings and resources of the datasets of shards. No rules.
"""

import math
from functools import partial

from scripts.common.versions import LOT_METHODS, versioned
from scripts.planning.planning_cost import quick

shards = plan.rooms["shards"]
shards_setting = partial(setting_in, shards)
shards_key = partial(key_in, shards)


def listed_recordings(what):
    """A fact of every item that is a recording's camera: its row, its video, its sound, or its frame table."""
    return lambda wildcards: [item[what] for item in shards.datasets[wildcards.dataset].items if item[what]]


@quick
def tables_of(wildcards):
    """The local files among the tables; those of a store are not watched."""
    return list(shards.datasets[wildcards.dataset].files)


def plan_limits(wildcards):
    entry = shards.datasets[wildcards.dataset].entry
    return {"rows": entry["shard_rows"], "seconds": entry["shard_seconds"], "bytes": entry["shard_bytes"]}


def plan_digits(wildcards):
    entry = shards.datasets[wildcards.dataset].entry
    return [entry["shard_digits"], entry["key_digits"]]


@quick
def lot_of(wildcards):
    return shards.find_lot(wildcards.dataset, wildcards.lot)


def of_lot(name):
    """A fact of the plan about a lot."""
    return quick(lambda wildcards: getattr(lot_of(wildcards), name))


# How hard items are tried for.
EFFORT = ("connections", "per_host", "attempts", "backoff_s", "connect_s", "silence_s", "item_s", "retry_items")


@quick
def fetch_settings(wildcards, input):
    """All of `fetch`. It asks for `input`, so that Snakemake does not compare it; `fetch_key` has what counts."""
    return shards.datasets[wildcards.dataset].entry["fetch"]


@quick
def fetch_key(wildcards):
    """Which items there are, not how hard they are tried for: a new time-out fetches nothing again."""
    entry = shards.datasets[wildcards.dataset].entry["fetch"]
    lot, which = lot_of(wildcards), {name: value for name, value in entry.items() if name not in EFFORT}
    return versioned(1, rows=lot.sha256, **which | {"folder": entry["folder"] if lot.relative else ""})


def looks(wildcards):
    return shards.datasets[wildcards.dataset].looks


@quick
def scan_key(wildcards):
    entry = shards.datasets[wildcards.dataset].entry["scan"]
    return versioned(LOT_METHODS["scan_shard"], look=looks(wildcards), thumbnails=entry["thumbnails"], fps=entry["fps"])


# What says which clips an item has and which of them stay, and what says what is made of them.
CHOICE_SETTINGS = ("scan", "clips", "min_s", "max_s", "strategy", "precision", "filters")
CUT_SETTINGS = (*CHOICE_SETTINGS[:-1], "video", "audio", "encode_formats", "filters")


@quick
def cut_ahead(wildcards, input):
    """What `cut_shard` will be told, where a scan can cut the clips by the way.

    For that it asks for `input`: what depends on it is no reason for Snakemake to scan again.
    """
    if not shards.datasets[wildcards.dataset].cuts_ahead:
        return {}
    working = shards.working("cut").format(dataset=wildcards.dataset, lot=wildcards.lot)
    return {"settings": shards_setting(*CUT_SETTINGS)(wildcards), "working": working}


@quick
def duplicates_of(wildcards):
    """The table of duplicates, where it is wanted: it waits for the scans of all lots."""
    wanted = shards.datasets[wildcards.dataset].entry["filters"]["duplicates"]
    return shards.dataset("duplicates.parquet").format(dataset=wildcards.dataset) if wanted else []


@quick
def speech_of_lot(wildcards):
    """What is said in a lot, where clips are made of it."""
    wanted = shards.datasets[wildcards.dataset].entry["clips"] == "speech"
    return shards.lot("speech.parquet").format(dataset=wildcards.dataset, lot=wildcards.lot) if wanted else []


def of_lots(what):
    """A file of every lot, as soon as the table is planned."""

    def fill(wildcards):
        checkpoints.plan_shards.get(dataset=wildcards.dataset)
        lots = shards.lots(wildcards.dataset)
        return [shards.lot(what).format(dataset=wildcards.dataset, lot=lot.name) for lot in lots]

    return fill


def speech_of_lots(wildcards):
    """What is said in every lot, where clips are made of it."""
    wanted = shards.datasets[wildcards.dataset].entry["clips"] == "speech"
    return of_lots("speech.parquet")(wildcards) if wanted else []


def annotation_setting(what):
    """The settings, the key or the watched files of an annotation."""

    @quick
    def find(wildcards):
        found = shards.annotation(wildcards.dataset, wildcards.annotation)
        if what == "key":
            return versioned(found.version, **found.settings)
        return getattr(found, what) if what == "settings" else list(getattr(found, what))

    return find


@quick
def clip_landmarks_settings(wildcards, input):
    """The settings with the batch that is wanted, see `landmarks_batch`."""
    settings = shards.annotation(wildcards.dataset, wildcards.annotation).settings
    return {**settings, "search": {**settings["search"], "batch": plan.rooms["faces"].batch}}


@quick
def annotation_columns(wildcards):
    """What annotations add to the json of the samples of a dataset."""
    return [column for found in shards.datasets[wildcards.dataset].annotations for column in found.columns]


def annotated(what):
    """A file of every annotation of a lot."""
    return quick(
        lambda wildcards: [
            shards.lot(f"{found.name}.annotation.{what}").format(dataset=wildcards.dataset, lot=wildcards.lot)
            for found in shards.datasets[wildcards.dataset].annotations
        ]
    )


def annotated_lots(what):
    """A file of every annotation of every lot, as soon as the table is planned."""

    def fill(wildcards):
        checkpoints.plan_shards.get(dataset=wildcards.dataset)
        return [
            shards.lot(f"{found.name}.annotation.{what}").format(dataset=wildcards.dataset, lot=lot.name)
            for lot in shards.lots(wildcards.dataset)
            for found in shards.datasets[wildcards.dataset].annotations
        ]

    return fill


def lot_minutes(*, seconds_per_row, seconds_per_second=0.0):
    """Runtime of a lot: a share for each row, and for each second of its media where the table says them."""

    @quick
    def runtime(wildcards, attempt):
        lot = lot_of(wildcards)
        seconds = seconds_per_row * lot.rows + seconds_per_second * lot.seconds
        return math.ceil((10 + seconds / 60) * plan.site.runtime_factor * 2 ** (attempt - 1))

    return runtime


def memory_with_lots(*, base, per_recording, per_row):
    """Megabytes of memory of what merges: a share for each recording, and each row of the tables that are planned."""

    @quick
    def mem_mb(wildcards, attempt):
        rows = sum(lot.rows for name in shards.datasets for lot in shards.lots(name))
        return work.of_all(base=base + per_row * rows, per_recording=per_recording)(wildcards, attempt)

    return mem_mb


def lot_memory(*, base_mb, per_row_mb=0.0):
    """Megabytes of memory of a lot's job; half as much again with each attempt."""
    return quick(
        lambda wildcards, attempt: math.ceil((base_mb + per_row_mb * lot_of(wildcards).rows) * (1 + attempt) / 2)
    )
