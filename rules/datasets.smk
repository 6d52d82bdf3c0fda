"""
datasets: windows of landmarks and sound, and of poses, with splits, statistics and a sample index.

Needs   conformed/… frame table, {microphone}.wav + clock   (media), faces/….landmarks.npz   (faces)
        cameras/{rig}/{recording}/smoothed.parquet, aligned.parquet   (cameras)
Makes   datasets/{dataset}/npz/{recording}/*.npz, windows/{recording}.index.parquet, …
        datasets/{dataset}/{splits.tsv,index.parquet,card.json,lm_mean.npy,lm_std.npy}, {train,val,test}/<speaker>/*.npz,
        shards/{train,val,test}/*.tar
"""

from scripts.common.names import one_of

windows_datasets = one_of(plan.datasets)


rule extract_windows:
    """Cut a recording into windows of landmarks and sound; every candidate is written, or filtered with a reason."""
    input:
        frames=of_recording(path.frames("conformed")),
        sound=of_recording(path.sound("conformed")),
        clock=of_recording(path.clock("conformed")),
        landmarks=of_recording(path.landmarks()),
        scenes=of_recording(faces_room.scenes()),
        speech=speech_of,
        sync=sync_of,
    output:
        windows=directory(path.npz()),
        index=path.windows("index.parquet"),
        stats=path.windows("stats.npz"),
        ledger=path.windows("ledger.parquet"),
    log:
        path.log("extract_windows", "{dataset}/{recording}"),
    benchmark:
        path.benchmark("extract_windows", "{dataset}/{recording}")
    wildcard_constraints:
        dataset=plan.windows_of("cut"),
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000, per_mb=0.1),
        runtime=work.runtime(seconds_per_mb=0.5),
    params:
        recording="{recording}",
        fps=dataset_fps,
        window_frames=dataset_setting("window_frames"),
        hop=dataset_setting("hop"),
        limits=dataset_setting("limits"),
        speaker=dataset_setting("speaker"),
        features=lambda wildcards: list(plan.datasets[wildcards.dataset].features),
        start_s=start_s,
        excluded=ruled_out,
        key=window_key,
    script:
        "../scripts/datasets/extract_windows.py"


rule extract_poses:
    """Cut a recording into windows of keypoints in space; every candidate is written, or filtered with a reason."""
    input:
        poses=of_recording(plan.rooms["cameras"].poses()),
        aligned=of_recording(plan.rooms["cameras"].path("aligned.parquet")),
        frames=posed_frames,
    output:
        windows=directory(path.npz()),
        index=path.windows("index.parquet"),
        stats=path.windows("stats.npz"),
        ledger=path.windows("ledger.parquet"),
    log:
        path.log("extract_poses", "{dataset}/{recording}"),
    benchmark:
        path.benchmark("extract_poses", "{dataset}/{recording}")
    wildcard_constraints:
        dataset=plan.windows_of("posed"),
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000, per_mb=0.1),
        runtime=work.runtime(seconds_per_mb=0.2),
    params:
        recording="{recording}",
        window_frames=dataset_setting("window_frames"),
        hop=dataset_setting("hop"),
        limits=dataset_setting("limits"),
        start_s=start_s,
        excluded=ruled_out,
        key=pose_key,
    script:
        "../scripts/datasets/extract_poses.py"


rule adopt_windows:
    """Take the windows of a speaker from a folder as they are, and index them."""
    input:
        folder=lambda wildcards: plan.datasets[wildcards.dataset].adopted[wildcards.recording],
    output:
        windows=directory(path.npz()),
        index=path.windows("index.parquet"),
        stats=path.windows("stats.npz"),
        ledger=path.windows("ledger.parquet"),
    log:
        path.log("adopt_windows", "{dataset}/{recording}"),
    benchmark:
        path.benchmark("adopt_windows", "{dataset}/{recording}")
    wildcard_constraints:
        dataset=plan.windows_of("adopted"),
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=10),
    params:
        recording="{recording}",
        fps=dataset_fps,
        rate_hz=dataset_setting("rate_hz"),
        window_frames=dataset_setting("window_frames"),
        features=lambda wildcards: list(plan.datasets[wildcards.dataset].features),
        others=recordings_after,
        key=lambda wildcards: versioned(
            3,
            features=list(plan.datasets[wildcards.dataset].features),
            others=recordings_after(wildcards),
            window_frames=plan.datasets[wildcards.dataset].window_frames,
            fps=plan.datasets[wildcards.dataset].fps,
            rate_hz=plan.datasets[wildcards.dataset].rate_hz,
        ),
    script:
        "../scripts/datasets/adopt_windows.py"


rule split_dataset:
    """Write down which recording stands in which split; decided by the group's name, or by the sheet."""
    output:
        splits=path.dataset("splits.tsv"),
    log:
        path.log("split_dataset", "{dataset}"),
    benchmark:
        path.benchmark("split_dataset", "{dataset}")
    wildcard_constraints:
        dataset=windows_datasets,
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=5, per_recording=0.001),
    params:
        splits=dataset_setting("splits"),
        subjects=dataset_setting("subjects"),
        key=lambda wildcards: versioned(1, splits=plan.datasets[wildcards.dataset].splits),
    script:
        "../scripts/datasets/split_dataset.py"


rule compute_stats:
    """Mean and standard deviation of the train windows, merged from those of each recording."""
    input:
        stats=of_dataset(path.windows("stats.npz")),
        splits=path.dataset("splits.tsv"),
    output:
        mean=path.dataset("lm_mean.npy"),
        std=path.dataset("lm_std.npy"),
    log:
        path.log("compute_stats", "{dataset}"),
    benchmark:
        path.benchmark("compute_stats", "{dataset}")
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500, per_recording=0.1),
        runtime=work.minutes(base=5, per_recording=0.005),
    params:
        key=versioned(1),
    script:
        "../scripts/datasets/compute_stats.py"


rule index_dataset:
    """One table of all samples, with the dataset's card."""
    input:
        indexes=of_dataset(path.windows("index.parquet")),
        ledgers=of_dataset(path.windows("ledger.parquet")),
        splits=path.dataset("splits.tsv"),
    output:
        index=path.dataset("index.parquet"),
        card=path.dataset("card.json"),
    log:
        path.log("index_dataset", "{dataset}"),
    benchmark:
        path.benchmark("index_dataset", "{dataset}")
    wildcard_constraints:
        dataset=windows_datasets,
    conda:
        "../envs/datasets.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1000, per_recording=0.5),
        runtime=work.minutes(base=5, per_recording=0.01),
    params:
        dataset="{dataset}",
        places=dataset_setting("places"),
        settings=card_settings,
        key=lambda wildcards: versioned(1, settings=card_settings(wildcards)),
    script:
        "../scripts/datasets/index_dataset.py"


for split in ("train", "val", "test"):

    rule:
        """Link the windows of a split into one folder a speaker."""
        name:
            f"arrange_{split}"
        input:
            index=path.dataset("index.parquet"),
            windows=of_dataset(path.npz(), split),
        output:
            folder=directory(path.dataset(split)),
        log:
            path.log("arrange_windows", f"{{dataset}}.{split}"),
        benchmark:
            path.benchmark("arrange_windows", f"{{dataset}}.{split}")
        conda:
            "../envs/datasets.yaml"
        threads: 1
        resources:
            mem_mb=work.of_all(base=500, per_recording=0.5),
            runtime=work.minutes(base=5, per_recording=0.05),
        params:
            split=split,
            key=versioned(1, split=split),
        script:
            "../scripts/datasets/arrange_windows.py"

    rule:
        """Pack the windows of a split into shards, as webdataset reads them."""
        name:
            f"pack_{split}"
        input:
            index=path.dataset("index.parquet"),
            windows=of_dataset(path.npz(), split),
        output:
            folder=directory(path.dataset(f"shards/{split}")),
        log:
            path.log("pack_windows", f"{{dataset}}.{split}"),
        benchmark:
            path.benchmark("pack_windows", f"{{dataset}}.{split}")
        conda:
            "../envs/datasets.yaml"
        threads: 1
        resources:
            mem_mb=work.of_all(base=500, per_recording=0.5),
            runtime=work.minutes(base=5, per_recording=0.05),
        params:
            split=split,
            shard_samples=dataset_setting("shard_samples"),
            key=lambda wildcards, split=split: versioned(
                2, split=split, shard_samples=plan.datasets[wildcards.dataset].shard_samples
            ),
        script:
            "../scripts/datasets/pack_windows.py"
