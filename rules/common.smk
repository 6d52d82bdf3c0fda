"""
common: what the rules share - path names, resources, and the files and settings of a recording. No rules.
"""

from scripts.common.versions import versioned
from scripts.planning import card_settings as cards
from scripts.planning.faces_plan import LANDMARK_WEIGHTS
from scripts.planning.planning_cost import quick
from scripts.planning.recordings import bytes_of, is_remote
from scripts.planning.resources import Work

path = plan.path
adopted = sum(len(dataset.adopted) for dataset in plan.datasets.values())
work = Work(plan.recordings, plan.site.runtime_factor, plan.site.seconds_per_frame, adopted)
accelerator = plan.config["accelerator"]


wildcard_constraints:
    rig="[^/]+",
    recording="[^/]+",
    camera="[^/.]+",
    microphone="[^/.]+",
    landmarks="|".join(LANDMARK_WEIGHTS),
    dataset="[^/]+",
    weights="[^/]+",
    model="[^/]+",


def brought(file):
    """A file of the sheet; an object of a store is brought here for the job."""
    return storage(file) if is_remote(file) else file


@quick
def source_files(wildcards):
    return [brought(file) for file in plan.recordings[wildcards.recording].files]


@quick
def source_folder(wildcards):
    """The folder of a recording's pictures; one of a store is brought here whole, and removed after the job."""
    folder = plan.recordings[wildcards.recording].source
    return storage(directory(folder)) if is_remote(folder) else folder


@quick
def cameras(wildcards):
    return plan.recordings[wildcards.recording].cameras


@quick
def microphones(wildcards):
    return plan.recordings[wildcards.recording].microphones


@quick
def start_s(wildcards):
    return plan.recordings[wildcards.recording].start_s or 0.0


@quick
def stop_s(wildcards):
    """Where a recording ends: column `end` or the preview, whichever is earlier; 0.0 for its own end."""
    recording = plan.recordings[wildcards.recording]
    ends = [end for end in (recording.stop_s,) if end is not None]
    if plan.config["preview"]:
        ends.append((recording.start_s or 0.0) + plan.config["preview"])
    return min(ends, default=0.0)


@quick
def is_whole(wildcards):
    return not (start_s(wildcards) or stop_s(wildcards))


@quick
def import_key(wildcards):
    """The sources' size is part of it: a mended file may be older than what was made of the broken one."""
    recording = plan.recordings[wildcards.recording]
    rig = plan.rigs[recording.rig].entry
    # Bags: several files, early stamps, parts, lost packets without pts, colours of Bayer's mosaics, packages of one
    # name; files: wrong times of single blocks of sound; pictures that are cut at an end: those behind it.
    version = {"bag": 9, "frames": 3 if stop_s(wildcards) else 2}.get(rig["source"], 4)
    return versioned(
        version,
        cameras=cameras(wildcards),
        microphones=microphones(wildcards),
        start_s=start_s(wildcards),
        stop_s=stop_s(wildcards),
        megabytes=recording.megabytes,
        salvage=rig["salvage"],
        max_message_mb=rig["max_message_mb"],
        **({rig["source"]: rig[rig["source"]]} if rig["source"] in ("chunks", "frames") else {}),
    )


@quick
def rig_fps(wildcards):
    return plan.rigs[wildcards.rig].fps


@quick
def rig_rate_hz(wildcards):
    return plan.rigs[wildcards.rig].rate_hz


def conform_key(*settings):
    """The key of a conform rule: the named entries of the section `media`, with the rig's overrides."""
    keys = {}
    for rig in plan.rigs.values():
        entries = {**plan.config["media"], "fps": rig.fps, "rate_hz": rig.rate_hz}
        keys[rig.name] = versioned(1, **{name: entries[name] for name in settings})
    return quick(lambda wildcards: keys[wildcards.rig])


@quick
def weight_files(wildcards):
    return [path.weights().format(weights=name) for name in plan.rooms["faces"].weight_files(wildcards.landmarks)]


def landmarks_setting(name):
    """A setting of a search for landmarks, as its back end heeds it."""
    return quick(lambda wildcards: plan.rooms["faces"].searches[wildcards.landmarks][name])


@quick
def landmarks_batch(wildcards, input):
    """Snakemake keeps no record of what comes from the inputs: another batch makes nothing again."""
    return plan.rooms["faces"].batch


@quick
def landmarks_key(wildcards):
    """Of landmarks from a file, its size is part of it."""
    search = {
        name: value for name, value in plan.rooms["faces"].searches[wildcards.landmarks].items() if name != "batch"
    }
    if wildcards.landmarks == "given":
        search["bytes"] = bytes_of(plan.recordings[wildcards.recording].landmarks)
    return versioned(5, **search)


@quick
def given_landmarks(wildcards):
    return brought(plan.recordings[wildcards.recording].landmarks) if wildcards.landmarks == "given" else []


@quick
def gpus(wildcards):
    """One GPU for networks on CUDA; landmarks from a file need none."""
    return 1 if accelerator != "cpu" and getattr(wildcards, "landmarks", "") != "given" else 0


def gpu_kind(*, memory_gb):
    """Resources that narrow one GPU down to those on which the env of `accelerator` runs; none on CPU."""
    compute_capability = {"cuda": 7.5, "cuda-legacy": 6.0}.get(accelerator)
    if compute_capability is None:
        return {}
    return plan.site.gpu_request(compute_capability=compute_capability, memory_gb=memory_gb)


def of_recording(pattern):
    """An input of a dataset's recording, from the pattern of an earlier stage."""

    @quick
    def fill(wildcards):
        dataset = plan.datasets[wildcards.dataset]
        return pattern.format(
            rig=dataset.rig,
            recording=wildcards.recording,
            camera=dataset.camera,
            microphone=dataset.microphone,
            landmarks=dataset.landmarks,
        )

    return fill


def of_dataset(pattern, split=None):
    """One file a recording of the dataset, or of one of its splits."""

    @quick
    def fill(wildcards):
        dataset = plan.datasets[wildcards.dataset]
        return [pattern.format(dataset=dataset.makers[name], recording=name) for name in dataset.members(split)]

    return fill


@quick
def dataset_fps(wildcards):
    return plan.datasets[wildcards.dataset].fps


@quick
def posed_frames(wildcards):
    """The frame table of every camera of a recording with poses."""
    recording = plan.recordings[wildcards.recording]
    pattern = path.frames("media")
    return [pattern.format(rig=recording.rig, recording=recording.name, camera=name) for name in recording.cameras]


@quick
def pose_key(wildcards):
    dataset = plan.datasets[wildcards.dataset]
    said = {name: getattr(dataset, name) for name in ("window_frames", "hop", "limits")}
    return versioned(1, **said, start_s=start_s(wildcards), excluded=ruled_out(wildcards))


@quick
def window_key(wildcards):
    dataset = plan.datasets[wildcards.dataset]
    return versioned(
        # Features of other rates than 16 kHz had rows of other lengths.
        5 + (dataset.rate_hz != 16_000 and dataset.features != ("raw",)),
        window_frames=dataset.window_frames,
        hop=dataset.hop,
        limits=dataset.limits,
        speaker=dataset.speaker,
        features=list(dataset.features),
        start_s=start_s(wildcards),
        excluded=ruled_out(wildcards),
    )


@quick
def recordings_after(wildcards):
    """Recordings, of any dataset that has this one, whose windows' names may begin as this one's do."""
    name = wildcards.recording
    return sorted({other for data in plan.datasets.values() if name in data.makers for other in data.named_after(name)})


def dataset_setting(name):
    return quick(lambda wildcards: getattr(plan.datasets[wildcards.dataset], name))


def setting_in(room, *names):
    """Settings of a room's dataset by their names, one of them as it is."""

    @quick
    def find(wildcards):
        entry = room.datasets[wildcards.dataset].entry
        return entry[names[0]] if len(names) == 1 else {name: entry[name] for name in names}

    return find


def key_in(room, version, *names):
    """The key of a step of a room: its version and the settings that it takes."""

    @quick
    def key(wildcards):
        entry = room.datasets[wildcards.dataset].entry
        return versioned(version, **{name: entry[name] for name in names})

    return key


@quick
def card_settings(wildcards):
    """The settings on the card of a dataset of windows or poses."""
    return cards.of_windows(plan.datasets[wildcards.dataset], plan.config["datasets"][wildcards.dataset])


def kept(pattern):
    """An intermediate that can be made again: kept, or removed when nothing needs it any more."""
    return pattern if plan.config["keep_intermediates"] else temp(pattern)


@quick
def ruled_out(wildcards):
    """Stretches of a recording that a person has ruled out: start, stop (seconds or None), reason."""
    return [[e.start_s, e.stop_s, e.reason] for e in plan.exclusions.get(wildcards.recording, [])]
