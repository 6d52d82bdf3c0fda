"""
media: put every stream on the dataset's own clock.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock, manifest.json   (sources)
Makes   conformed/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock
"""


rule conform_video:
    """Give a video a constant frame rate; every output frame keeps the time of the frame it shows."""
    input:
        video=path.video("media"),
        frames=path.frames("media"),
        manifest=path.manifest(),
    output:
        video=kept(path.video("conformed")),
        frames=path.frames("conformed"),
        ledger=path.conform_ledger("camera"),
    log:
        path.log("conform_video", "{rig}/{recording}.{camera}"),
    benchmark:
        path.benchmark("conform_video", "{rig}/{recording}.{camera}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500),
        runtime=work.runtime(seconds_per_mb=4),
    params:
        recording="{recording}",
        camera="{camera}",
        fps=rig_fps,
        crf=plan.config["media"]["crf"],
        preset=plan.config["media"]["preset"],
        key=conform_key("fps", "crf", "preset"),
    script:
        "../scripts/media/conform_video.py"


rule conform_audio:
    """Resample a sound by its fitted rate, fill its gaps, and cut it to the frames of the picture."""
    input:
        sound=path.sound("media"),
        clock=path.clock("media"),
        manifest=path.manifest(),
    output:
        sound=kept(path.sound("conformed")),
        clock=path.clock("conformed"),
        ledger=path.conform_ledger("microphone"),
    log:
        path.log("conform_audio", "{rig}/{recording}.{microphone}"),
    benchmark:
        path.benchmark("conform_audio", "{rig}/{recording}.{microphone}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.runtime(seconds_per_mb=1),
    params:
        recording="{recording}",
        microphone="{microphone}",
        fps=rig_fps,
        rate_hz=rig_rate_hz,
        channels="mix",
        key=conform_key("fps", "rate_hz"),
    script:
        "../scripts/media/conform_audio.py"
