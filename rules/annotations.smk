"""
annotations: what is found out about the clips of a lot after they are cut; a rule a kind.

Needs   lots/{dataset}/{lot}.{tar,clips.tar,clips.parquet}   (shards)
Makes   lots/{dataset}/{lot}.{annotation}.annotation.{tar,parquet,ledger.parquet}
"""


rule compute_flow:
    """Optical flow of clips: its mean magnitude, and if wanted the field."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
    output:
        files=shards.lot("{annotation}.annotation.tar"),
        values=shards.lot("{annotation}.annotation.parquet"),
        ledger=shards.lot("{annotation}.annotation.ledger.parquet"),
    log:
        path.log("compute_flow", "{dataset}.{lot}.{annotation}"),
    benchmark:
        path.benchmark("compute_flow", "{dataset}.{lot}.{annotation}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
        annotation=shards.annotations("compute_flow"),
    conda:
        "../envs/shards.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=2000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=2.0, seconds_per_second=0.3),
    params:
        dataset="{dataset}",
        annotation="{annotation}",
        settings=annotation_setting("settings"),
        working=shards.working("{annotation}"),
        key=annotation_setting("key"),
    script:
        "../scripts/datasets/compute_flow.py"


rule extract_clip_frames:
    """Pictures of clips as jpg."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
    output:
        files=shards.lot("{annotation}.annotation.tar"),
        values=shards.lot("{annotation}.annotation.parquet"),
        ledger=shards.lot("{annotation}.annotation.ledger.parquet"),
    log:
        path.log("extract_clip_frames", "{dataset}.{lot}.{annotation}"),
    benchmark:
        path.benchmark("extract_clip_frames", "{dataset}.{lot}.{annotation}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
        annotation=shards.annotations("extract_clip_frames"),
    conda:
        "../envs/shards.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=2000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=0.5, seconds_per_second=0.1),
    params:
        dataset="{dataset}",
        annotation="{annotation}",
        settings=annotation_setting("settings"),
        working=shards.working("{annotation}"),
        key=annotation_setting("key"),
    script:
        "../scripts/datasets/extract_clip_frames.py"


rule embed_clips:
    """Vectors of clips by a model of the user's."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
        models=annotation_setting("files"),
    output:
        files=shards.lot("{annotation}.annotation.tar"),
        values=shards.lot("{annotation}.annotation.parquet"),
        ledger=shards.lot("{annotation}.annotation.ledger.parquet"),
    log:
        path.log("embed_clips", "{dataset}.{lot}.{annotation}"),
    benchmark:
        path.benchmark("embed_clips", "{dataset}.{lot}.{annotation}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
        annotation=shards.annotations("embed_clips"),
    conda:
        "../envs/onnx.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=4000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=5.0),
    params:
        dataset="{dataset}",
        annotation="{annotation}",
        settings=annotation_setting("settings"),
        working=shards.working("{annotation}"),
        key=annotation_setting("key"),
    script:
        "../scripts/datasets/embed_clips.py"


rule caption_clips:
    """Captions of clips by a model of the user's."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
        models=annotation_setting("files"),
    output:
        files=shards.lot("{annotation}.annotation.tar"),
        values=shards.lot("{annotation}.annotation.parquet"),
        ledger=shards.lot("{annotation}.annotation.ledger.parquet"),
    log:
        path.log("caption_clips", "{dataset}.{lot}.{annotation}"),
    benchmark:
        path.benchmark("caption_clips", "{dataset}.{lot}.{annotation}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
        annotation=shards.annotations("caption_clips"),
    conda:
        "../envs/onnx.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=4000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=5.0),
    params:
        dataset="{dataset}",
        annotation="{annotation}",
        settings=annotation_setting("settings"),
        working=shards.working("{annotation}"),
        key=annotation_setting("key"),
    script:
        "../scripts/datasets/caption_clips.py"


rule transcribe_clips:
    """What is said in clips, by faster-whisper."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
        models=annotation_setting("files"),
    output:
        files=shards.lot("{annotation}.annotation.tar"),
        values=shards.lot("{annotation}.annotation.parquet"),
        ledger=shards.lot("{annotation}.annotation.ledger.parquet"),
    log:
        path.log("transcribe_clips", "{dataset}.{lot}.{annotation}"),
    benchmark:
        path.benchmark("transcribe_clips", "{dataset}.{lot}.{annotation}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
        annotation=shards.annotations("transcribe_clips"),
    conda:
        "../envs/transcripts.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=8000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=5.0, seconds_per_second=2.0),
    params:
        dataset="{dataset}",
        annotation="{annotation}",
        settings=annotation_setting("settings"),
        working=shards.working("{annotation}"),
        key=annotation_setting("key"),
    script:
        "../scripts/datasets/transcribe_clips.py"


rule find_clip_landmarks:
    """Landmarks of every face in clips, as in recordings."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
        weights=annotation_setting("files"),
    output:
        files=shards.lot("{annotation}.annotation.tar"),
        values=shards.lot("{annotation}.annotation.parquet"),
        ledger=shards.lot("{annotation}.annotation.ledger.parquet"),
    log:
        path.log("find_clip_landmarks", "{dataset}.{lot}.{annotation}"),
    benchmark:
        path.benchmark("find_clip_landmarks", "{dataset}.{lot}.{annotation}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
        annotation=shards.annotations("find_clip_landmarks"),
    conda:
        f"../envs/faces.{accelerator}.yaml"
    threads: 4
    resources:
        **gpu_kind(memory_gb=6),
        mem_mb=lot_memory(base_mb=4000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=5.0, seconds_per_second=10.0 if accelerator == "cpu" else 1.0),
        gpu=gpus,
    params:
        dataset="{dataset}",
        annotation="{annotation}",
        settings=clip_landmarks_settings,
        recorded=annotation_setting("settings"),
        working=shards.working("{annotation}"),
        key=annotation_setting("key"),
    script:
        "../scripts/faces/find_clip_landmarks.py"
