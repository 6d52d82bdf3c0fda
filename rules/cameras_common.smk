"""
cameras_common: the files and settings that the rules of cameras share. Functions only.
"""

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
