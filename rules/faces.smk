"""
faces: landmarks of every face in a conformed video, its scenes, and the speech in a conformed sound.

Needs   conformed/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock   (media)
        models/{weights}   (sources)
Makes   faces/{rig}/{recording}/{camera}.{landmarks}.landmarks.npz, {camera}.scenes.parquet, {microphone}.speech.parquet,
        {camera}.{landmarks}.{crops.tar,measures.parquet}
"""


rule extract_landmarks:
    """68 landmarks of every face in every frame, as tracks, by one of the back ends fan, fan3d, openseeface, given."""
    input:
        video=path.video("conformed"),
        frames=path.frames("conformed"),
        weights=weight_files,
        given=given_landmarks,
        media_frames=path.frames("media"),
        scenes=faces_room.scenes(),
    output:
        landmarks=kept(path.landmarks()),
        ledger=path.landmarks_ledger(),
    log:
        path.log("extract_landmarks", "{rig}/{recording}.{camera}.{landmarks}"),
    benchmark:
        path.benchmark("extract_landmarks", "{rig}/{recording}.{camera}.{landmarks}")
    conda:
        f"../envs/faces.{accelerator}.yaml"
    threads: 2 if accelerator == "cpu" else 8
    resources:
        **gpu_kind(memory_gb=6),
        mem_mb=work.memory(base_mb=3000 if accelerator == "cpu" else 6000),
        runtime=work.runtime(seconds_per_mb=60 if accelerator == "cpu" else 5),
        gpu=gpus,
    params:
        recording="{recording}",
        camera="{camera}",
        backend="{landmarks}",
        detect_every=landmarks_setting("detect_every"),
        min_score=landmarks_setting("min_score"),
        detector=landmarks_setting("detector"),
        interpolate_frames=landmarks_setting("interpolate_frames"),
        smooth=landmarks_setting("smooth"),
        network=landmarks_setting("network"),
        batch=landmarks_batch,
        recorded=landmarks_setting("batch"),
        whole=is_whole,
        fps=rig_fps,
        key=landmarks_key,
    script:
        "../scripts/faces/extract_landmarks.py"


rule crop_faces:
    """Aligned videos of each face and mouth, with head pose and the opening of eyes and lips."""
    input:
        video=path.video("conformed"),
        landmarks=path.landmarks(),
    output:
        crops=faces_room.crops("crops.tar"),
        measures=faces_room.crops("measures.parquet"),
        ledger=faces_room.crops("crops.ledger.parquet"),
    log:
        path.log("crop_faces", "{rig}/{recording}.{camera}.{landmarks}"),
    benchmark:
        path.benchmark("crop_faces", "{rig}/{recording}.{camera}.{landmarks}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500),
        runtime=work.runtime(seconds_per_mb=3),
    params:
        recording="{recording}",
        camera="{camera}",
        backend="{landmarks}",
        crops=[crop for crop in plan.config["faces"]["crops"] if crop != "measures"],
        fps=rig_fps,
        key=versioned(1, crops=plan.config["faces"]["crops"]),
    script:
        "../scripts/faces/crop_faces.py"


rule measure_sync:
    """Whether lips and sound fit together, by a model of the user's; and how far apart they seem, as a diagnostic."""
    input:
        video=path.video("conformed"),
        landmarks=path.landmarks(),
        sound=path.sound("conformed"),
        model=plan.config["faces"]["sync"]["model"] or [],
    output:
        sync=faces_room.sync(),
        ledger=faces_room.sync("sync.ledger.parquet"),
    log:
        path.log("measure_sync", "{rig}/{recording}.{camera}.{landmarks}.{microphone}"),
    benchmark:
        path.benchmark("measure_sync", "{rig}/{recording}.{camera}.{landmarks}.{microphone}")
    conda:
        "../envs/onnx.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=2000, per_mb=0.5),
        runtime=work.runtime(seconds_per_mb=10),
    params:
        recording="{recording}",
        camera="{camera}",
        backend="{landmarks}",
        microphone="{microphone}",
        fps=rig_fps,
        key=versioned(1, **plan.config["faces"]["sync"]),
    script:
        "../scripts/faces/measure_sync.py"


rule detect_cuts:
    """The scenes of a conformed video, as intervals."""
    input:
        video=path.video("conformed"),
        frames=path.frames("conformed"),
        manifest=path.manifest(),
    output:
        scenes=faces_room.scenes(),
        ledger=faces_room.scenes_ledger(),
    log:
        path.log("detect_cuts", "{rig}/{recording}.{camera}"),
    benchmark:
        path.benchmark("detect_cuts", "{rig}/{recording}.{camera}")
    conda:
        "../envs/media.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=800),
        runtime=work.runtime(seconds_per_mb=2),
    params:
        recording="{recording}",
        camera="{camera}",
        fps=rig_fps,
        rule=plan.config["faces"]["cuts"],
        key=versioned(3, **plan.config["faces"]["cuts"]),
    script:
        "../scripts/faces/detect_cuts.py"


rule detect_speech:
    """Where somebody speaks in a conformed sound, as intervals."""
    input:
        sound=path.sound("conformed"),
        clock=path.clock("conformed"),
    output:
        speech=faces_room.speech(),
        ledger=faces_room.speech_ledger(),
    log:
        path.log("detect_speech", "{rig}/{recording}.{microphone}"),
    benchmark:
        path.benchmark("detect_speech", "{rig}/{recording}.{microphone}")
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=800),
        runtime=work.runtime(seconds_per_mb=0.5),
    params:
        recording="{recording}",
        microphone="{microphone}",
        rule=plan.config["faces"]["speech"],
        key=versioned(1, **plan.config["faces"]["speech"]),
    script:
        "../scripts/faces/detect_speech.py"
