"""
cameras: several cameras as one - common frames and calibration. Their keypoints stand in keypoints.smk.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock   (sources)
        the tables that align.table names; the calibration files of the sheet
Makes   cameras/{rig}/{recording}/aligned.parquet, {camera}.corners.parquet, calibration.toml + calibration.json,
        imported.toml, compressed/{camera}.mp4; reports/gpu.json on demand
"""


rule compress_video:
    """A smaller copy of a camera's file, whose frames are counted and compared with the original's."""
    input:
        source=camera_file,
    output:
        video=cameras_room.path("compressed/{camera}.mp4"),
        card=cameras_room.path("compressed/{camera}.json"),
        ledger=cameras_room.path("compressed/{camera}.ledger.parquet"),
    log:
        path.log("compress_video", "{rig}/{recording}.{camera}"),
    benchmark:
        path.benchmark("compress_video", "{rig}/{recording}.{camera}")
    wildcard_constraints:
        rig=cameras_room.compressing,
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=3000),
        runtime=work.runtime(seconds_per_mb=20),
    params:
        recording="{recording}",
        camera="{camera}",
        stream=camera_stream,
        crf=lambda wildcards: cameras_room.compressed[wildcards.rig]["crf"],
        preset=lambda wildcards: cameras_room.compressed[wildcards.rig]["preset"],
        key=compress_key,
    script:
        "../scripts/cameras/compress_video.py"


rule align_cameras:
    """Which frames of the cameras show the same instant."""
    input:
        frames=of_cameras(path.frames("media")),
        videos=aligned_by("flash", path.video("media")),
        sounds=clap_files(path.sound("media")),
        clocks=clap_files(path.clock("media")),
        tables=lambda wildcards: cameras_room.tables[wildcards.recording],
    output:
        aligned=cameras_room.path("aligned.parquet"),
        ledger=cameras_room.path("align.ledger.parquet"),
    log:
        path.log("align_cameras", "{rig}/{recording}"),
    benchmark:
        path.benchmark("align_cameras", "{rig}/{recording}")
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.per_frame("align_cameras", seconds=0.02, seconds_per_mb=1),
    params:
        recording="{recording}",
        cameras=rig_cameras,
        by=lambda wildcards: alignment(wildcards)["by"],
        key=align_key,
    script:
        "../scripts/cameras/align_cameras.py"


rule detect_boards:
    """Corners of the calibration board in one camera's pictures."""
    input:
        video=path.video("media"),
        frames=path.frames("media"),
        aligned=cameras_room.path("aligned.parquet"),
    output:
        corners=cameras_room.path("{camera}.corners.parquet"),
        ledger=cameras_room.path("{camera}.corners.ledger.parquet"),
    log:
        path.log("detect_boards", "{rig}/{recording}.{camera}"),
    benchmark:
        path.benchmark("detect_boards", "{rig}/{recording}.{camera}")
    wildcard_constraints:
        recording=board_recordings,
    conda:
        "../envs/cameras.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500),
        runtime=work.per_frame("detect_boards", seconds=0.5, seconds_per_mb=20),
    params:
        recording="{recording}",
        camera="{camera}",
        board=multicam_setting("board"),
        every=lambda wildcards: cameras_room.settings[wildcards.rig]["board"]["every"],
        key=board_key,
    script:
        "../scripts/cameras/detect_boards.py"


rule calibrate_cameras:
    """Lenses and places of all cameras, adjusted together."""
    input:
        corners=of_cameras(cameras_room.path("{camera}.corners.parquet")),
    output:
        calibration=cameras_room.path("calibration.toml"),
        card=cameras_room.path("calibration.json"),
        ledger=cameras_room.path("calibration.ledger.parquet"),
    log:
        path.log("calibrate_cameras", "{rig}/{recording}"),
    benchmark:
        path.benchmark("calibrate_cameras", "{rig}/{recording}")
    wildcard_constraints:
        recording=board_recordings,
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=3000),
        runtime=work.minutes(base=30),
    params:
        recording="{recording}",
        cameras=rig_cameras,
        board=multicam_setting("board"),
        settings=multicam_setting("calibration"),
        key=multicam_key(5, "board", "calibration"),
    script:
        "../scripts/cameras/calibrate_cameras.py"


rule import_calibration:
    """A calibration that another program wrote."""
    input:
        given=lambda wildcards: cameras_room.sources[wildcards.recording],
        videos=of_cameras(path.video("media")),
    output:
        calibration=cameras_room.path("imported.toml"),
        ledger=cameras_room.path("imported.ledger.parquet"),
    log:
        path.log("import_calibration", "{rig}/{recording}"),
    benchmark:
        path.benchmark("import_calibration", "{rig}/{recording}")
    wildcard_constraints:
        recording=cameras_room.pattern("imported"),
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=500),
        runtime=work.minutes(base=5),
    params:
        recording="{recording}",
        cameras=rig_cameras,
        unit=lambda wildcards: cameras_room.settings[wildcards.rig]["calibration"]["unit"],
        fisheye=lambda wildcards: cameras_room.settings[wildcards.rig]["calibration"]["fisheye"],
        key=imported_key,
    script:
        "../scripts/cameras/import_calibration.py"


rule check_gpu:
    """Whether networks run in this env on this partition's GPUs: `snakemake check_gpu`, before hours are spent."""
    output:
        report=path.report("gpu.json"),
    log:
        path.log("check_gpu"),
    benchmark:
        path.benchmark("check_gpu")
    conda:
        f"../envs/faces.{accelerator}.yaml"
    threads: 1
    resources:
        **gpu_kind(memory_gb=6),
        mem_mb=work.of_all(base=4000),
        runtime=work.minutes(base=10),
        gpu=int(accelerator != "cpu"),
    params:
        wanted_mb=4000,
        key=versioned(1, wanted_mb=4000),
    script:
        "../scripts/cameras/check_gpu.py"
