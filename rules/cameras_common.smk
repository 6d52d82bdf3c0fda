"""
cameras_common: the files and settings that the rules of cameras share. Functions only.
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


def on_gpu(rig):
    return accelerator != "cpu" and cameras_room.settings[rig]["detect"]["backend"] == "torchscript"


def detect_env(rig):
    """The user's own env for a function of theirs, torch's for TorchScript, else that of the stage."""
    detect = cameras_room.settings[rig]["detect"]
    if detect["backend"] == "function" and detect["env"]:
        # A file is named from the working directory, and not, as an env of our own, from the folder of the rules.
        return os.path.abspath(detect["env"]) if detect["env"].endswith((".yaml", ".yml")) else detect["env"]
    return f"../envs/faces.{accelerator}.yaml" if detect["backend"] == "torchscript" else "../envs/cameras.yaml"
