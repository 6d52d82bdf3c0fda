"""
exports: pictures and sounds that people want to keep, from any source. Part of stage media.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock   (sources)
Makes   exports/{rig}/{recording}/{full,mosaic.{group},merge}.mp4 and the instants of their pictures
"""

from scripts.common.exports_rules import ExportRules

exports = plan.rooms["exports"]
of_exports = ExportRules(exports)


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
        mem_mb=work.memory(base_mb=4000),
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
        mem_mb=work.memory(base_mb=4000),
        runtime=work.runtime(seconds_per_mb=4),
        gpu=of_exports.gpus,
    params:
        recording="{recording}",
        product=of_exports.product,
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
