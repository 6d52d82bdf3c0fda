"""
sources: every source becomes the same thing - a video with a frame table, a sound with a clock.

Needs   the sources of the recordings sheet; the URLs of config/models.yaml
Makes   media/{rig}/{recording}/{camera}.mp4 + frame table, {microphone}.wav + clock, manifest.json
        models/{weights}
"""

for rig in plan.rigs.values():
    if rig.source == "bag":

        rule:
            """Export every stream of a bag in one pass."""
            name:
                f"export_bag_{rig.name}"
            input:
                bag=source_files,
            output:
                **plan.exported(rig),
            log:
                path.log("export_bag", "{recording}"),
            benchmark:
                path.benchmark("export_bag", "{recording}")
            conda:
                "../envs/sources.yaml"
            threads: 2
            resources:
                mem_mb=work.memory(base_mb=800, per_mb=0.02),
                runtime=work.runtime(seconds_per_mb=0.1),
            params:
                recording="{recording}",
                cameras=cameras,
                microphones=microphones,
                crf=plan.config["media"]["crf"],
                start_s=start_s,
                stop_s=stop_s,
                salvage=rig.entry["salvage"],
                max_message_mb=rig.entry["max_message_mb"],
                key=import_key,
            script:
                "../scripts/sources/export_bag.py"

    elif rig.source == "chunks":

        rule:
            """Join the chunks of a recording by stream copy; what is missing between two stays a gap."""
            name:
                f"join_chunks_{rig.name}"
            input:
                source=source_files,
            output:
                **plan.exported(rig),
            log:
                path.log("join_chunks", "{recording}"),
            benchmark:
                path.benchmark("join_chunks", "{recording}")
            conda:
                "../envs/sources.yaml"
            threads: 2
            resources:
                mem_mb=work.memory(base_mb=1000, per_mb=0.02),
                runtime=work.runtime(seconds_per_mb=0.5),
            params:
                recording="{recording}",
                cameras=cameras,
                microphones=microphones,
                chunks=rig.entry["chunks"],
                start_s=start_s,
                stop_s=stop_s,
                key=import_key,
            script:
                "../scripts/sources/join_chunks.py"

    elif rig.source == "frames":

        rule:
            """Numbered pictures of a folder as a video, byte for byte; numbers that are missing are gaps."""
            name:
                f"import_frames_{rig.name}"
            input:
                source=source_folder,
            output:
                **plan.exported(rig),
            log:
                path.log("import_frames", "{recording}"),
            benchmark:
                path.benchmark("import_frames", "{recording}")
            conda:
                "../envs/sources.yaml"
            threads: 1
            resources:
                mem_mb=work.memory(base_mb=1000),
                runtime=work.minutes(base=60),
            params:
                recording="{recording}",
                cameras=cameras,
                numbers=rig.entry["frames"],
                start_s=start_s,
                stop_s=stop_s,
                key=import_key,
            script:
                "../scripts/sources/import_frames.py"

    else:

        rule:
            """Import the files of a recording; streams are copied where the container allows."""
            name:
                f"import_video_{rig.name}"
            input:
                source=source_files,
            output:
                **plan.exported(rig),
            log:
                path.log("import_video", "{recording}"),
            benchmark:
                path.benchmark("import_video", "{recording}")
            conda:
                "../envs/sources.yaml"
            threads: 2
            resources:
                mem_mb=work.memory(base_mb=800, per_mb=0.02),
                runtime=work.runtime(seconds_per_mb=0.5),
            params:
                recording="{recording}",
                cameras=cameras,
                microphones=microphones,
                start_s=start_s,
                stop_s=stop_s,
                key=import_key,
            script:
                "../scripts/sources/import_video.py"


rule fetch_model:
    """Bring a weight file, from `models_dir` or its URL, and verify its sha256."""
    output:
        weights=path.weights(),
    log:
        path.log("fetch_model", "{weights}"),
    benchmark:
        path.benchmark("fetch_model", "{weights}")
    conda:
        "../envs/sources.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.download(base=30, seconds_per_mb=2, weights=plan.weights),
    params:
        name="{weights}",
        url=lambda wildcards: plan.weights[wildcards.weights]["url"],
        sha256=lambda wildcards: plan.weights[wildcards.weights]["sha256"],
        key=lambda wildcards: versioned(1, sha256=plan.weights[wildcards.weights]["sha256"]),
    script:
        "../scripts/sources/fetch_model.py"


rule scan:
    """Propose a recordings sheet from the folder named by `--config folder=…`; never overwrites one."""
    log:
        path.log("scan"),
    localrule: True
    conda:
        "../envs/sources.yaml"
    threads: 1
    params:
        folder=plan.config["folder"],
        sheet=plan.config["recordings"],
        results=plan.config["results"],
        rigs=plan.config["rigs"],
    script:
        "../scripts/sources/scan.py"
