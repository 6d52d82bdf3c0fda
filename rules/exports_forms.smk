"""
exports_forms: one camera or one microphone without loss in another file. Part of stage media.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock   (sources)
Makes   exports/{rig}/{recording}/separate/{camera}.mkv, audio/{microphone}.{raw,flac,wavpack}
"""


wildcard_constraints:
    coding="flac|wavpack",


rule copy_matroska:
    """A camera's packets as Matroska, compared with those of its MP4."""
    input:
        video=path.video("media"),
        frames=path.frames("media"),
    output:
        video=exports.path("separate/{camera}.mkv"),
        ledger=exports.ledger("separate/{camera}.mkv"),
    log:
        path.log("copy_matroska", "{rig}/{recording}.{camera}"),
    benchmark:
        path.benchmark("copy_matroska", "{rig}/{recording}.{camera}")
    conda:
        "../envs/media.yaml"
    # What cannot be copied is encoded.
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500),
        runtime=work.runtime(seconds_per_mb=2),
    params:
        recording="{recording}",
        product="separate/{camera}.mkv",
        camera="{camera}",
        key=versioned(1),
    script:
        "../scripts/media/copy_matroska.py"


rule extract_raw_audio:
    """The samples of a microphone as they came, without what fills gaps."""
    input:
        sound=path.sound("media"),
        clock=path.clock("media"),
    output:
        raw=exports.path("audio/{microphone}.raw"),
        ledger=exports.ledger("audio/{microphone}.raw"),
    log:
        path.log("extract_raw_audio", "{rig}/{recording}.{microphone}"),
    benchmark:
        path.benchmark("extract_raw_audio", "{rig}/{recording}.{microphone}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=500),
        runtime=work.runtime(seconds_per_mb=0.1),
    params:
        recording="{recording}",
        product="audio/{microphone}.raw",
        microphone="{microphone}",
        key=versioned(1),
    script:
        "../scripts/media/extract_raw_audio.py"


rule compress_audio:
    """FLAC or WavPack in groups of at most eight channels, each decoded again and compared."""
    input:
        sound=path.sound("media"),
        clock=path.clock("media"),
    output:
        folder=directory(exports.path("audio/{microphone}.{coding}")),
        ledger=exports.ledger("audio/{microphone}.{coding}"),
    log:
        path.log("compress_audio", "{rig}/{recording}.{microphone}.{coding}"),
    benchmark:
        path.benchmark("compress_audio", "{rig}/{recording}.{microphone}.{coding}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.runtime(seconds_per_mb=0.5),
    params:
        recording="{recording}",
        product="audio/{microphone}.{coding}",
        microphone="{microphone}",
        coding="{coding}",
        key=versioned(1),
    script:
        "../scripts/media/compress_audio.py"
