"""
spectrogram: sound made visible, and the latency of microphones. Part of stage media.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock   (sources)
Makes   exports/{rig}/{recording}/spectrogram.{group}.mp4 and the instants of its pictures, location.parquet,
        latency.tsv
"""

from scripts.planning.spectrogram_rules import SpectrogramRules

of_spectrogram = SpectrogramRules(exports)


rule locate_sound:
    """Where the loudest sound comes from, in the room and in the picture of each calibrated camera."""
    input:
        sound=of_spectrogram.located(path.sound("media")),
        clock=of_spectrogram.located(path.clock("media")),
        calibration=of_spectrogram.calibration,
    output:
        track=exports.path("location.parquet"),
        ledger=exports.ledger("location"),
    log:
        path.log("locate_sound", "{rig}/{recording}"),
    benchmark:
        path.benchmark("locate_sound", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=2000),
        runtime=work.runtime(seconds_per_mb=4),
    params:
        recording="{recording}",
        product="location",
        microphone=of_spectrogram.located_microphone,
        cameras=of_spectrogram.all_cameras,
        location=of_spectrogram.location,
        key=of_spectrogram.location_key,
    script:
        "../scripts/media/locate_sound.py"


rule render_spectrogram:
    """A group of the mosaic with its sound's spectrogram below it, and the place of the sound in each cell."""
    input:
        videos=of_spectrogram.filled(path.video("media"), "camera", of_spectrogram.cameras),
        frames=of_spectrogram.filled(path.frames("media"), "camera", of_spectrogram.cameras),
        sounds=of_spectrogram.filled(path.sound("media"), "microphone", of_spectrogram.heard),
        clocks=of_spectrogram.filled(path.clock("media"), "microphone", of_spectrogram.heard),
        track=of_spectrogram.track,
        calibration=of_spectrogram.calibration,
    output:
        video=exports.path("spectrogram.{group}.mp4"),
        instants=exports.path("spectrogram.{group}.instants.parquet"),
        ledger=exports.ledger("spectrogram.{group}"),
    log:
        path.log("render_spectrogram", "{rig}/{recording}.{group}"),
    benchmark:
        path.benchmark("render_spectrogram", "{rig}/{recording}.{group}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=4000),
        runtime=work.runtime(seconds_per_mb=5),
        gpu=of_spectrogram.gpus,
    params:
        recording="{recording}",
        product="spectrogram.{group}",
        cameras=of_spectrogram.cameras,
        microphones=of_spectrogram.heard,
        scene=of_spectrogram.scene,
        sound=of_spectrogram.sound,
        spectrogram=of_spectrogram.look,
        key=of_spectrogram.spectrogram_key,
    script:
        "../scripts/media/render_spectrogram.py"


rule measure_latency:
    """The constant latency of a microphone, from events that a camera sees and the microphone hears."""
    input:
        video=of_spectrogram.timed(path.video("media"), "camera"),
        frames=of_spectrogram.timed(path.frames("media"), "camera"),
        sound=of_spectrogram.timed(path.sound("media"), "microphone"),
        clock=of_spectrogram.timed(path.clock("media"), "microphone"),
    output:
        events=exports.path("latency.tsv"),
        ledger=exports.ledger("latency"),
    log:
        path.log("measure_latency", "{rig}/{recording}"),
    benchmark:
        path.benchmark("measure_latency", "{rig}/{recording}")
    conda:
        "../envs/media.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1500),
        runtime=work.runtime(seconds_per_mb=1),
    params:
        recording="{recording}",
        product="latency",
        camera=of_spectrogram.setting("latency", "camera"),
        microphone=of_spectrogram.setting("latency", "microphone"),
        latency=of_spectrogram.events,
        key=of_spectrogram.latency_key,
    script:
        "../scripts/media/measure_latency.py"
