"""
faces: landmarks of every face in a conformed video.

Needs   conformed/{rig}/{recording}/{camera}.mp4 + frame table   (media), models/{weights}   (sources)
Makes   faces/{rig}/{recording}/{camera}.{landmarks}.landmarks.npz
"""


rule extract_landmarks:
    """68 landmarks of every face in every frame, as tracks, by one of the back ends fan, openseeface, given."""
    input:
        video=path.video("conformed"),
        frames=path.frames("conformed"),
        weights=weight_files,
        given=given_landmarks,
        media_frames=path.frames("media"),
    output:
        landmarks=kept(path.landmarks()),
        ledger=path.landmarks_ledger(),
    log:
        path.log("extract_landmarks", "{rig}/{recording}.{camera}.{landmarks}"),
    benchmark:
        path.benchmark("extract_landmarks", "{rig}/{recording}.{camera}.{landmarks}")
    conda:
        f"../envs/faces.{accelerator}.yaml"
    threads: 2
    resources:
        **gpu_kind(memory_gb=6),
        mem_mb=work.memory(base_mb=3000),
        runtime=work.runtime(seconds_per_mb=60 if accelerator == "cpu" else 5),
        gpu=gpus,
    params:
        recording="{recording}",
        camera="{camera}",
        backend="{landmarks}",
        whole=is_whole,
        batch=plan.config["faces"]["batch"],
        detect_every=plan.config["faces"]["detect_every"],
        min_score=plan.config["faces"]["min_score"],
        key=versioned(
            1,
            detect_every=plan.config["faces"]["detect_every"],
            min_score=plan.config["faces"]["min_score"],
        ),
    script:
        "../scripts/faces/extract_landmarks.py"
