"""
frames: labelled pictures of recordings, split by subject. Part of stage datasets.

Needs   media/{rig}/{recording}/{camera}.mp4 + frame table, manifest.json   (sources), labels/….labels.parquet   (labels)
Makes   datasets/{dataset}/labels/{recording}.labels.parquet, pictures/{recording}.{camera}.{tar,pictures.parquet}
        datasets/{dataset}/{splits.tsv,classes.json,index.parquet,card.json}
        datasets/{dataset}/{folders,imagefolder,mmaction2}/, {webdataset,parquet,tfrecord,clips}/{recording}.{camera}/
"""


rule clean_labels:
    """The labels of a recording as a dataset wants them; every interval is kept, or left out with a reason."""
    input:
        intervals=of_frames_rig(labels_room.intervals()),
        manifest=of_frames_rig(path.manifest()),
    output:
        intervals=labelled_frames.cleaned("labels.parquet"),
        ledger=labelled_frames.cleaned("ledger.parquet"),
    log:
        path.log("clean_labels", "{dataset}/{recording}"),
    benchmark:
        path.benchmark("clean_labels", "{dataset}/{recording}")
    wildcard_constraints:
        dataset=labelled_frames.names,
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.minutes(base=5),
    params:
        recording="{recording}",
        settings=frames_setting("labels"),
        classes=frames_setting("classes"),
        key=frames_key(2, "labels", "classes"),
    script:
        "../scripts/datasets/clean_labels.py"


rule extract_labelled_frames:
    """The labelled frames of a camera as pictures; only what is labelled is decoded."""
    input:
        video=of_frames_rig(path.video("media")),
        frames=of_frames_rig(path.frames("media")),
        intervals=labelled_frames.cleaned("labels.parquet"),
        manifest=of_frames_rig(path.manifest()),
    output:
        pictures=labelled_frames.part("tar"),
        index=labelled_frames.part("pictures.parquet"),
        ledger=labelled_frames.part("ledger.parquet"),
    log:
        path.log("extract_labelled_frames", "{dataset}/{recording}.{camera}"),
    benchmark:
        path.benchmark("extract_labelled_frames", "{dataset}/{recording}.{camera}")
    wildcard_constraints:
        dataset=labelled_frames.names,
    conda:
        "../envs/shards.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500, per_mb=0.02),
        runtime=work.runtime(seconds_per_mb=2),
    params:
        recording="{recording}",
        camera="{camera}",
        fields=picture_fields,
        settings=frames_setting(*PICTURE_SETTINGS),
        excluded=ruled_out,
        key=picture_key,
    script:
        "../scripts/datasets/extract_labelled_frames.py"


rule split_frames:
    """Which recording stands in which split, the number of every class, and what leaks all the same."""
    input:
        pictures=of_parts("pictures.parquet"),
    output:
        splits=labelled_frames.dataset("splits.tsv"),
        classes=labelled_frames.dataset("classes.json"),
    log:
        path.log("split_frames", "{dataset}"),
    benchmark:
        path.benchmark("split_frames", "{dataset}")
    wildcard_constraints:
        dataset=labelled_frames.names,
    conda:
        "../envs/shards.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=2000, per_recording=20),
        runtime=work.minutes(base=30, per_recording=0.5),
    params:
        dataset="{dataset}",
        groups=frames_fact("groups"),
        known=frames_fact("splits"),
        fixed=fixed_splits,
        classes=frames_setting("classes"),
        cap=frames_setting("cap"),
        split=split_settings,
        key=split_key,
    script:
        "../scripts/datasets/split_frames.py"


rule index_frames:
    """One table of all pictures, with the dataset's card; counts must agree, and parts that are no more go."""
    input:
        pictures=of_parts("pictures.parquet"),
        ledgers=of_parts("ledger.parquet"),
        tars=of_parts("tar"),
        splits=labelled_frames.dataset("splits.tsv"),
        classes=labelled_frames.dataset("classes.json"),
    output:
        index=labelled_frames.dataset("index.parquet"),
        card=labelled_frames.dataset("card.json"),
        ledger=labelled_frames.dataset("ledger.parquet"),
    log:
        path.log("index_frames", "{dataset}"),
    benchmark:
        path.benchmark("index_frames", "{dataset}")
    wildcard_constraints:
        dataset=labelled_frames.names,
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=2000, per_recording=1),
        runtime=work.minutes(base=30, per_recording=0.5),
    params:
        dataset="{dataset}",
        parts=parts_of,
        settings=frames_card,
        key=lambda wildcards: versioned(2, settings=frames_card(wildcards)),
    script:
        "../scripts/datasets/index_frames.py"


rule arrange_frames:
    """The pictures as files: class folders, ImageFolder with metadata, or raw frames with lists for MMAction2."""
    input:
        index=labelled_frames.dataset("index.parquet"),
        tars=of_parts("tar"),
        splits=labelled_frames.dataset("splits.tsv"),
        classes=labelled_frames.dataset("classes.json"),
    output:
        folder=directory(labelled_frames.dataset("{layout}")),
    log:
        path.log("arrange_frames", "{dataset}.{layout}"),
    benchmark:
        path.benchmark("arrange_frames", "{dataset}.{layout}")
    wildcard_constraints:
        dataset=labelled_frames.names,
        layout="folders|imagefolder|mmaction2",
    conda:
        "../envs/shards.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=2000),
        runtime=work.minutes(base=60, per_recording=1),
    params:
        layout="{layout}",
        key=versioned(1),
    script:
        "../scripts/datasets/arrange_frames.py"


rule write_frames:
    """The shards of a camera's pictures, those of a split together."""
    input:
        index=labelled_frames.part("pictures.parquet"),
        tar=labelled_frames.part("tar"),
        splits=labelled_frames.dataset("splits.tsv"),
        classes=labelled_frames.dataset("classes.json"),
    output:
        folder=directory(labelled_frames.shards()),
        manifest=labelled_frames.shards_manifest(),
    log:
        path.log("write_frames", "{dataset}/{shape}.{recording}.{camera}"),
    benchmark:
        path.benchmark("write_frames", "{dataset}/{shape}.{recording}.{camera}")
    wildcard_constraints:
        dataset=labelled_frames.names,
        shape="webdataset|parquet|tfrecord",
    conda:
        "../envs/shards.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=2000),
        runtime=work.minutes(base=30),
    params:
        recording="{recording}",
        camera="{camera}",
        shape="{shape}",
        rows=frames_setting("shard_rows"),
        key=frames_key(1, "shard_rows"),
    script:
        "../scripts/datasets/write_frames.py"


rule cut_bouts:
    """A video for each labelled bout of a camera."""
    input:
        video=of_frames_rig(path.video("media")),
        frames=of_frames_rig(path.frames("media")),
        intervals=labelled_frames.cleaned("labels.parquet"),
        manifest=of_frames_rig(path.manifest()),
        splits=labelled_frames.dataset("splits.tsv"),
        classes=labelled_frames.dataset("classes.json"),
    output:
        folder=directory(labelled_frames.clips()),
        ledger=labelled_frames.clips_ledger(),
    log:
        path.log("cut_bouts", "{dataset}/{recording}.{camera}"),
    benchmark:
        path.benchmark("cut_bouts", "{dataset}/{recording}.{camera}")
    wildcard_constraints:
        dataset=labelled_frames.names,
    conda:
        "../envs/shards.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500, per_mb=0.02),
        runtime=work.runtime(seconds_per_mb=4),
    params:
        recording="{recording}",
        camera="{camera}",
        subject=lambda wildcards: plan.recordings[wildcards.recording].subject,
        settings=frames_setting(*PICTURE_SETTINGS),
        coding=clip_coding,
        min_frames=lambda wildcards: frames_setting("clips")(wildcards)["min_frames"],
        excluded=ruled_out,
        key=clip_key,
    script:
        "../scripts/datasets/cut_bouts.py"
