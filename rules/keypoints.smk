"""
keypoints: the stage cameras, once cameras are calibrated - keypoints in pictures, in space, over time.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table   (sources)
        cameras/{rig}/{recording}/aligned.parquet, calibration.toml or imported.toml   (cameras)
Makes   cameras/{rig}/{recording}/{camera}.segments.parquet, {camera}.keypoints.parquet, points.parquet,
        smoothed.parquet, exported/poses.{npz,csv,h5,trc,c3d}
"""

for rig in filter(cameras_room.segments, cameras_room.settings):

    # One rule a rig, for an env is the rule's.
    rule:
        """Where the subject is in one camera's pictures."""
        name:
            f"segment_frames_{rig}"
        input:
            video=path.video("media").replace("{rig}", rig),
            frames=path.frames("media").replace("{rig}", rig),
            weights=cameras_room.models[rig]["segment"] or [],
        output:
            segments=cameras_room.path("{camera}.segments.parquet").replace("{rig}", rig),
            ledger=cameras_room.path("{camera}.segments.ledger.parquet").replace("{rig}", rig),
        log:
            path.log("segment_frames", f"{rig}/{{recording}}.{{camera}}"),
        benchmark:
            path.benchmark("segment_frames", f"{rig}/{{recording}}.{{camera}}")
        conda:
            env_of(rig, "segment")
        threads: 2
        resources:
            **(gpu_kind(memory_gb=6) if on_gpu(rig, "segment") else {}),
            mem_mb=work.memory(base_mb=3000),
            runtime=work.per_frame("segment_frames", seconds=0.3, seconds_per_mb=20),
            gpu=int(on_gpu(rig, "segment")),
        params:
            recording="{recording}",
            camera="{camera}",
            settings=cameras_room.settings[rig]["segment"],
            key=versioned(1, **unbatched(rig, "segment")),
        script:
            "../scripts/cameras/segment_frames.py"


for rig in cameras_room.settings:

    rule:
        """Keypoints in one camera's pictures."""
        name:
            f"detect_keypoints_{rig}"
        input:
            video=path.video("media").replace("{rig}", rig),
            frames=path.frames("media").replace("{rig}", rig),
            weights=cameras_room.models[rig]["detect"] or [],
            segments=segments_of(rig),
            given=given_keypoints,
        output:
            keypoints=cameras_room.path("{camera}.keypoints.parquet").replace("{rig}", rig),
            ledger=cameras_room.path("{camera}.keypoints.ledger.parquet").replace("{rig}", rig),
        log:
            path.log("detect_keypoints", f"{rig}/{{recording}}.{{camera}}"),
        benchmark:
            path.benchmark("detect_keypoints", f"{rig}/{{recording}}.{{camera}}")
        conda:
            env_of(rig, "detect")
        threads: 2
        resources:
            **(gpu_kind(memory_gb=6) if on_gpu(rig, "detect") else {}),
            mem_mb=work.memory(base_mb=3000),
            runtime=work.per_frame("detect_keypoints", seconds=0.5, seconds_per_mb=30),
            gpu=int(on_gpu(rig, "detect")),
        params:
            recording="{recording}",
            camera="{camera}",
            settings=cameras_room.settings[rig]["detect"],
            key=versioned(detect_version(rig), **unbatched(rig, "detect")),
        script:
            "../scripts/cameras/detect_keypoints.py"


rule triangulate_keypoints:
    """Keypoints in space, and which cameras bear them out."""
    input:
        keypoints=of_cameras(cameras_room.path("{camera}.keypoints.parquet")),
        videos=of_cameras(path.video("media")),
        aligned=cameras_room.path("aligned.parquet"),
        calibration=lambda wildcards: cameras_room.calibration_of(wildcards.recording),
    output:
        points=cameras_room.path("points.parquet"),
        ledger=cameras_room.path("points.ledger.parquet"),
    log:
        path.log("triangulate_keypoints", "{rig}/{recording}"),
    benchmark:
        path.benchmark("triangulate_keypoints", "{rig}/{recording}")
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=work.memory_per_frame(base_mb=2000, kb_per_frame=150, per_mb=1, of="aligned"),
        runtime=work.per_frame("triangulate_keypoints", seconds=0.005, seconds_per_mb=0.5, of="aligned"),
    params:
        recording="{recording}",
        cameras=rig_cameras,
        settings=multicam_setting("triangulate"),
        key=multicam_key(3, "triangulate"),
    script:
        "../scripts/cameras/triangulate_keypoints.py"


rule smooth_poses:
    """Keypoints in space, smoothed over time."""
    input:
        points=cameras_room.path("points.parquet"),
        keypoints=for_gimbal(of_cameras(cameras_room.path("{camera}.keypoints.parquet"))),
        aligned=for_gimbal(of_this(cameras_room.path("aligned.parquet"))),
        calibration=for_gimbal(lambda wildcards: cameras_room.calibration_of(wildcards.recording)),
    output:
        smoothed=cameras_room.path("smoothed.parquet"),
        ledger=cameras_room.path("smooth.ledger.parquet"),
    log:
        path.log("smooth_poses", "{rig}/{recording}"),
    benchmark:
        path.benchmark("smooth_poses", "{rig}/{recording}")
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=work.memory_per_frame(base_mb=2000, kb_per_frame=150, per_mb=1, of="points"),
        runtime=work.per_frame("smooth_poses", seconds=0.02, seconds_per_mb=1, of="points"),
    params:
        recording="{recording}",
        cameras=rig_cameras,
        triangulate=multicam_setting("triangulate"),
        settings=multicam_setting("smooth"),
        key=multicam_key(4, "triangulate", "smooth"),
    script:
        "../scripts/cameras/smooth_poses.py"


rule export_poses:
    """Keypoints in space as files of other programs."""
    input:
        poses=cameras_room.poses(),
    output:
        folder=directory(cameras_room.path("exported")),
        ledger=cameras_room.path("exported.ledger.parquet"),
    log:
        path.log("export_poses", "{rig}/{recording}"),
    benchmark:
        path.benchmark("export_poses", "{rig}/{recording}")
    conda:
        "../envs/cameras.yaml"
    threads: 1
    resources:
        mem_mb=work.memory_per_frame(base_mb=2000, kb_per_frame=100, per_mb=1, of="poses"),
        runtime=work.per_frame("export_poses", seconds=0.005, seconds_per_mb=0.5, of="poses"),
    params:
        recording="{recording}",
        formats=multicam_setting("export"),
        key=multicam_key(2, "export"),
    script:
        "../scripts/cameras/export_poses.py"
