"""
exports: pictures and sounds that people want to keep, from any source. Part of stage media.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock   (sources)
Makes   exports/{rig}/{recording}/{full,mosaic.{group},merge}.mp4 and the instants of their pictures,
        frame/{camera}/, allframes/, clips/, aviary/
"""

from scripts.planning.aviary_rules import AviaryRules
from scripts.planning.exports_rules import ExportRules

exports = plan.rooms["exports"]
of_exports = ExportRules(exports)
of_aviary = AviaryRules(exports)


wildcard_constraints:
    group="[^/.]+",


rule render_full:
    """All cameras of a recording in one grid, synchronised by the times of their frames."""
    input:
        videos=of_exports.filled(path.video("media"), "camera", of_exports.cameras),
        frames=of_exports.filled(path.frames("media"), "camera", of_exports.cameras),
        sounds=[],
        clocks=[],
    output:
        video=exports.path("full.mp4"),
        instants=exports.path("full.instants.parquet"),
        ledger=exports.ledger("full"),
    log:
        path.log("render_full", "{rig}/{recording}"),
    benchmark:
        path.benchmark("render_full", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=of_exports.grid_memory,
        runtime=work.runtime(seconds_per_mb=4),
        gpu=of_exports.gpus,
    params:
        recording="{recording}",
        product="full",
        cameras=of_exports.cameras,
        microphones=[],
        scene=of_exports.scene,
        sound={},
        key=of_exports.grid_key,
    script:
        "../scripts/media/render_mosaic.py"


rule render_mosaic:
    """A group of cameras in one grid, with a mix of microphones on each side."""
    input:
        videos=of_exports.filled(path.video("media"), "camera", of_exports.cameras),
        frames=of_exports.filled(path.frames("media"), "camera", of_exports.cameras),
        sounds=of_exports.filled(path.sound("media"), "microphone", of_exports.microphones),
        clocks=of_exports.filled(path.clock("media"), "microphone", of_exports.microphones),
    output:
        video=exports.path("mosaic.{group}.mp4"),
        instants=exports.path("mosaic.{group}.instants.parquet"),
        ledger=exports.ledger("mosaic.{group}"),
    log:
        path.log("render_mosaic", "{rig}/{recording}.{group}"),
    benchmark:
        path.benchmark("render_mosaic", "{rig}/{recording}.{group}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=of_exports.grid_memory,
        runtime=work.runtime(seconds_per_mb=4),
        gpu=of_exports.gpus,
    params:
        recording="{recording}",
        product="mosaic.{group}",
        cameras=of_exports.cameras,
        microphones=of_exports.microphones,
        scene=of_exports.scene,
        sound=of_exports.sound,
        key=of_exports.grid_key,
    script:
        "../scripts/media/render_mosaic.py"


rule merge_video_audio:
    """The grid or one camera, copied, with chosen or mixed microphones."""
    input:
        video=of_exports.merge_picture,
        times=of_exports.merge_times,
        sounds=of_exports.filled(path.sound("media"), "microphone", of_exports.microphones),
        clocks=of_exports.filled(path.clock("media"), "microphone", of_exports.microphones),
    output:
        video=exports.path("merge.mp4"),
        ledger=exports.ledger("merge"),
    log:
        path.log("merge_video_audio", "{rig}/{recording}"),
    benchmark:
        path.benchmark("merge_video_audio", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.runtime(seconds_per_mb=1),
    params:
        recording="{recording}",
        product="merge",
        microphones=of_exports.microphones,
        sound=of_exports.sound,
        key=of_exports.merge_key,
    script:
        "../scripts/media/merge_video_audio.py"


rule extract_stills:
    """One picture of a camera every so many seconds."""
    input:
        video=path.video("media"),
        frames=path.frames("media"),
        manifest=path.manifest(),
    output:
        folder=directory(exports.path("frame/{camera}")),
        ledger=exports.ledger("frame/{camera}"),
    log:
        path.log("extract_stills", "{rig}/{recording}.{camera}"),
    benchmark:
        path.benchmark("extract_stills", "{rig}/{recording}.{camera}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.runtime(seconds_per_mb=0.5),
    params:
        recording="{recording}",
        product="frame/{camera}",
        camera="{camera}",
        every_s=of_exports.setting("frame", "every_s"),
        quality=of_exports.setting("frame", "quality"),
        key=of_exports.key("frame", "every_s", "quality"),
    script:
        "../scripts/media/extract_stills.py"


rule extract_all_frames:
    """Every synchronised frame of each camera and of the grid, as jpeg."""
    input:
        videos=of_exports.filled(path.video("media"), "camera", of_exports.frames_cameras),
        frames=of_exports.filled(path.frames("media"), "camera", of_exports.frames_cameras),
    output:
        folder=directory(exports.path("allframes")),
        ledger=exports.ledger("allframes"),
    log:
        path.log("extract_all_frames", "{rig}/{recording}"),
    benchmark:
        path.benchmark("extract_all_frames", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=2000),
        runtime=work.runtime(seconds_per_mb=8),
    params:
        recording="{recording}",
        product="allframes",
        cameras=of_exports.frames_cameras,
        scene=of_exports.frames_scene,
        views=of_exports.setting("allframes", "views"),
        form=of_exports.setting("allframes", "form"),
        shard_mb=of_exports.setting("allframes", "shard_mb"),
        quality=of_exports.setting("allframes", "quality"),
        key=of_exports.frames_key,
    script:
        "../scripts/media/extract_all_frames.py"


rule cut_clips:
    """Time ranges of a table, cut out of every camera and microphone."""
    input:
        videos=of_exports.filled(path.video("media"), "camera", of_exports.all_cameras),
        frames=of_exports.filled(path.frames("media"), "camera", of_exports.all_cameras),
        sounds=of_exports.filled(path.sound("media"), "microphone", of_exports.all_microphones),
        clocks=of_exports.filled(path.clock("media"), "microphone", of_exports.all_microphones),
        manifest=path.manifest(),
        table=of_exports.setting("clips", "table"),
    output:
        folder=directory(exports.path("clips")),
        ledger=exports.ledger("clips"),
    log:
        path.log("cut_clips", "{rig}/{recording}"),
    benchmark:
        path.benchmark("cut_clips", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=2000),
        runtime=work.runtime(seconds_per_mb=2),
        gpu=of_exports.clip_gpus,
    params:
        recording="{recording}",
        product="clips",
        cameras=of_exports.all_cameras,
        microphones=of_exports.all_microphones,
        time=of_exports.setting("clips", "time"),
        zone=of_exports.setting("clips", "zone"),
        mode=of_exports.setting("clips", "mode"),
        coding=of_exports.clip_coding,
        key=of_exports.clip_key,
    script:
        "../scripts/media/cut_clips.py"


rule link_aviary_names:
    """The exports once more under the names of the old system, as hard links."""
    input:
        files=of_aviary.files,
        frames=of_aviary.frames,
        clocks=of_aviary.clocks,
        raws=of_aviary.raws,
        instants=of_aviary.instants,
        manifest=path.manifest(),
    output:
        folder=directory(exports.path("aviary")),
        ledger=exports.ledger("aviary"),
    log:
        path.log("link_aviary_names", "{rig}/{recording}"),
    benchmark:
        path.benchmark("link_aviary_names", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=500),
        runtime=work.runtime(seconds_per_mb=0.1),
    params:
        recording="{recording}",
        product="aviary",
        names=of_aviary.names,
        source=of_aviary.source,
        microphones=of_aviary.microphones,
        key=of_aviary.key,
    script:
        "../scripts/media/link_aviary_names.py"
