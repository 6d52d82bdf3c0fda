"""
frames_common: settings and inputs of the datasets of labelled frames. No rules.
"""

from functools import partial

from scripts.common.versions import versioned
from scripts.planning import card_settings as cards
from scripts.planning.frames_plan import fields_of
from scripts.planning.planning_cost import quick

labelled_frames = plan.rooms["frames"]
frames_setting = partial(setting_in, labelled_frames)
frames_key = partial(key_in, labelled_frames)
# What decides which frames are taken, and what their pictures are like.
PICTURE_SETTINGS = (
    *("overlaps", "priority", "edges", "rate", "stride", "fps"),
    *("size", "resize", "format", "quality", "names", "first_frame"),
)


def of_frames_rig(pattern):
    """A file of an earlier stage, of the recording and camera of a part."""

    @quick
    def fill(wildcards):
        rig = labelled_frames.datasets[wildcards.dataset].rig
        return pattern.format(rig=rig, recording=wildcards.recording, camera=getattr(wildcards, "camera", ""))

    return fill


def frames_fact(name):
    """What the plan knows of a dataset of labelled frames."""
    return quick(lambda wildcards: getattr(labelled_frames.datasets[wildcards.dataset], name))


def overlaps_version(entry):
    """2; 3 where classes have a priority, which no longer heeds the case: no other's pictures are made again."""
    return 3 if entry["overlaps"] == "priority" else 2


@quick
def frames_card(wildcards):
    """The settings on a dataset's card."""
    return cards.of_frames(labelled_frames.datasets[wildcards.dataset].entry)


@quick
def picture_key(wildcards):
    """What the pictures of a part depend on besides their files."""
    entry = labelled_frames.datasets[wildcards.dataset].entry
    settings = {name: entry[name] for name in PICTURE_SETTINGS}
    return versioned(
        overlaps_version(entry), **settings, fields=picture_fields(wildcards), excluded=ruled_out(wildcards)
    )


@quick
def picture_fields(wildcards):
    """What names of pictures are made of."""
    return fields_of(plan.recordings[wildcards.recording], wildcards.camera)


def of_parts(what):
    """A file of every part of a dataset of labelled frames."""
    return quick(lambda wildcards: labelled_frames.of_parts(wildcards.dataset, labelled_frames.part(what)))


@quick
def parts_of(wildcards):
    """(recording, camera) of every part."""
    return [list(part) for part in labelled_frames.datasets[wildcards.dataset].parts]


@quick
def fixed_splits(wildcards):
    """The splits that the sheet names."""
    names = labelled_frames.datasets[wildcards.dataset].recordings
    return {name: plan.recordings[name].split for name in names if plan.recordings[name].split}


@quick
def split_settings(wildcards):
    """How a dataset is split; with the priority of its classes where there is one, of which unknown names are said."""
    entry = labelled_frames.datasets[wildcards.dataset].entry
    priority = {"priority": entry["priority"]} if entry["overlaps"] == "priority" else {}
    return {**entry["split"], **priority}


@quick
def split_key(wildcards):
    """What a split depends on besides the labels."""
    found = labelled_frames.datasets[wildcards.dataset]
    settings = {name: found.entry[name] for name in ("classes", "cap")} | {"split": split_settings(wildcards)}
    return versioned(2, **settings, groups=found.groups, known=found.splits, fixed=fixed_splits(wildcards))


@quick
def clip_coding(wildcards):
    """How clips are encoded."""
    clips = labelled_frames.datasets[wildcards.dataset].entry["clips"]
    return {name: clips[name] for name in ("codec", "crf", "preset")}


@quick
def clip_key(wildcards):
    """What the clips of a camera depend on besides their files."""
    entry = labelled_frames.datasets[wildcards.dataset].entry
    settings = {name: entry[name] for name in ("overlaps", "priority", "edges", "rate", "clips")}
    return versioned(overlaps_version(entry), **settings, excluded=ruled_out(wildcards))


def labels_of_frames(pattern):
    """A table of labels of every recording of a dataset of labelled frames."""

    @quick
    def fill(wildcards):
        found = labelled_frames.datasets[wildcards.dataset]
        places = {"dataset": found.name, "rig": found.rig}
        return [pattern.format(**places, recording=name) for name in found.recordings]

    return fill
