"""
cameras_common: the files and settings that the rules of cameras share. No rules.
"""

import os

cameras_room = plan.rooms["cameras"]
board_recordings = cameras_room.pattern("board")


def of_cameras(pattern, recording="{recording}"):
    """One file a camera of the recording's rig."""

    @quick
    def fill(wildcards):
        names = plan.rigs[wildcards.rig].camera_settings
        return [pattern.format(rig=wildcards.rig, recording=wildcards.recording, camera=name) for name in names]

    return fill


@quick
def camera_file(wildcards):
    """The file of a camera, as it came."""
    recording = plan.recordings[wildcards.recording]
    return brought(recording.files[recording.cameras[wildcards.camera]["file"]])


@quick
def camera_stream(wildcards):
    """Which video of that file; -1 for the first."""
    return plan.recordings[wildcards.recording].cameras[wildcards.camera].get("stream", -1)


@quick
def compress_key(wildcards):
    return versioned(1, stream=camera_stream(wildcards), **cameras_room.compressed[wildcards.rig])


def aligned_by(kind, pattern):
    """The same, where cameras are aligned by `kind`; else nothing."""
    fill = of_cameras(pattern)
    return quick(lambda wildcards: fill(wildcards) if alignment(wildcards)["by"] == kind else [])


def alignment(wildcards):
    return cameras_room.settings[wildcards.rig]["align"]


def clap_files(pattern):
    """The sounds of a clap, one a camera."""

    @quick
    def fill(wildcards):
        align = alignment(wildcards)
        names = [align["microphones"][name] for name in rig_cameras(wildcards)] if align["by"] == "clap" else []
        return [pattern.format(rig=wildcards.rig, recording=wildcards.recording, microphone=name) for name in names]

    return fill


@quick
def rig_cameras(wildcards):
    return list(plan.rigs[wildcards.rig].camera_settings)


def multicam_setting(section):
    return quick(lambda wildcards: cameras_room.settings[wildcards.rig][section])


def multicam_key(version, *sections):
    """The key of a rule: the sections of `multicam` that it reads."""
    settings = cameras_room.settings
    return quick(lambda wildcards: versioned(version, **{name: settings[wildcards.rig][name] for name in sections}))


@quick
def board_key(wildcards):
    """Corners of a grid of markers, and of a chessboard with a dot, are not what they were; those of others are."""
    board = cameras_room.settings[wildcards.rig]["board"]
    changed = board["kind"] == "aruco_grid" or (board["kind"] == "chessboard" and board["dot"])
    return versioned(1 + changed, board=board)


def detect_version(rig):
    """Of detect_keypoints: corners that `aruco` finds, and blobs with names or bones, are not what they were."""
    detect = cameras_room.settings[rig]["detect"]
    named = detect["backend"] == "markers" and (detect["names"] or detect["skeleton"])
    return 3 if detect["backend"] == "aruco" or named else 2


@quick
def align_key(wildcards):
    """Of frames aligned by tables, their size is part of it."""
    tables = cameras_room.tables[wildcards.recording]
    return versioned(5, align=alignment(wildcards), **({"bytes": bytes_of(*tables)} if tables else {}))


@quick
def imported_key(wildcards):
    return versioned(
        2,
        bytes=bytes_of(cameras_room.sources[wildcards.recording]),
        calibration=cameras_room.settings[wildcards.rig]["calibration"],
    )


def of_this(pattern):
    """A file of the rig and recording."""
    return quick(lambda wildcards: pattern.format(rig=wildcards.rig, recording=wildcards.recording))


def for_gimbal(files):
    """Files that poses are smoothed from by gimbal alone; else nothing."""
    settings = cameras_room.settings
    return quick(lambda wildcards: files(wildcards) if settings[wildcards.rig]["smooth"]["method"] == "gimbal" else [])


@quick
def given_keypoints(wildcards):
    return cameras_room.given[wildcards.recording].get(wildcards.camera, [])


def on_gpu(rig, section):
    return accelerator != "cpu" and cameras_room.settings[rig][section]["backend"] == "torchscript"


def env_of(rig, section):
    """The user's own env if one is named, torch's for TorchScript, else that of the stage."""
    settings = cameras_room.settings[rig][section]
    if settings["env"]:
        # A file is named from the working directory, and not, as an env of our own, from the folder of the rules.
        return os.path.abspath(settings["env"]) if settings["env"].endswith((".yaml", ".yml")) else settings["env"]
    return f"../envs/faces.{accelerator}.yaml" if settings["backend"] == "torchscript" else "../envs/cameras.yaml"


def segments_of(rig):
    """What says where the subject is; nothing for a rig whose pictures are looked at whole."""
    return cameras_room.path("{camera}.segments.parquet").replace("{rig}", rig) if cameras_room.segments(rig) else []


def unbatched(rig, section):
    """Settings of which results depend: not how many pictures go through a model together."""
    return {name: value for name, value in cameras_room.settings[rig][section].items() if name != "batch"}
