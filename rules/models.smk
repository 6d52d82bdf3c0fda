"""
models: networks that are trained on the datasets, and what they say of new sounds.

Needs   datasets/{dataset}/…   (datasets)
Makes   models/{model}/{checkpoints,tf_logs,val_samples}/, metrics.json, training.svg
        models/{model}/{split_by}/{checkpoints,tf_logs}/, metrics.json, confusion.svg, models/{model}/splits.svg
        inference/{sounds}/{checkpoint}/landmarks/*.{npy,json,txt,mp4}
"""


rule train_speech_landmarks:
    """Sound, with the landmarks of the first frame, to the landmarks of every frame; goes on after a kill."""
    input:
        index=of_model_dataset("index.parquet"),
        card=of_model_dataset("card.json"),
        mean=of_model_dataset("lm_mean.npy"),
        std=of_model_dataset("lm_std.npy"),
        windows=windows_of_model,
    output:
        checkpoints=directory(models.file("checkpoints")),
        tf_logs=directory(models.file("tf_logs")),
        val_samples=directory(models.file("val_samples")),
        metrics=models.file("metrics.json"),
        plot=report(
            models.file("training.svg"),
            category="Models",
            labels={"model": "{model}", "plot": "training"},
            caption="../docs/captions/training.rst",
        ),
        ledger=models.file("ledger.parquet"),
    log:
        path.log("train_speech_landmarks", "{model}"),
    benchmark:
        path.benchmark("train_speech_landmarks", "{model}")
    wildcard_constraints:
        model=models.names("speech_landmarks"),
    conda:
        f"../envs/models.{accelerator}.yaml"
    threads: 2
    resources:
        **gpu_kind(memory_gb=8),
        mem_mb=work.of_all(base=4000, per_recording=5),
        runtime=training_minutes(seconds_per_epoch=60 if accelerator == "cpu" else 20),
        gpu=model_gpus(),
    params:
        model="{model}",
        fps=fps_of_model,
        rate_hz=rate_of_model,
        settings=lambda wildcards: models.models[wildcards.model].settings,
        of_weights=lambda wildcards: models.models[wildcards.model].of_weights,
        working=lambda wildcards: models.file("working").format(model=wildcards.model),
        key=speech_key,
    script:
        "../scripts/models/train_speech_landmarks.py"


rule train_frame_classifier:
    """From a labelled frame to its class; one run of a model, which goes on after a kill."""
    input:
        index=frames_of_model,
    output:
        checkpoints=directory(models.run_file("checkpoints")),
        tf_logs=directory(models.run_file("tf_logs")),
        metrics=models.run_file("metrics.json"),
        confusion=report(
            models.run_file("confusion.svg"),
            category="Models",
            labels={"model": "{model}", "plot": "confusion, {split_by}"},
            caption="../docs/captions/classifier.rst",
        ),
        ledger=models.run_file("ledger.parquet"),
    log:
        path.log("train_frame_classifier", "{model}.{split_by}"),
    benchmark:
        path.benchmark("train_frame_classifier", "{model}.{split_by}")
    wildcard_constraints:
        model=models.names("frame_classifier"),
        split_by=r"whole|random|fold\d+",
    conda:
        f"../envs/models.{accelerator}.yaml"
    threads: 2
    resources:
        **gpu_kind(memory_gb=8),
        mem_mb=work.of_all(base=4000, per_recording=5),
        runtime=training_minutes(seconds_per_epoch=120 if accelerator == "cpu" else 30),
        gpu=model_gpus(),
    params:
        model="{model}",
        split_by="{split_by}",
        settings=lambda wildcards: models.models[wildcards.model].settings,
        of_weights=lambda wildcards: models.models[wildcards.model].of_weights,
        working=run_working,
        key=model_key(4),
    script:
        "../scripts/models/train_frame_classifier.py"


rule train_clip_classifier:
    """From a sequence of labelled frames to their class; one run of a model, which goes on after a kill."""
    input:
        index=frames_of_model,
    output:
        checkpoints=directory(models.run_file("checkpoints")),
        tf_logs=directory(models.run_file("tf_logs")),
        metrics=models.run_file("metrics.json"),
        confusion=report(
            models.run_file("confusion.svg"),
            category="Models",
            labels={"model": "{model}", "plot": "confusion, {split_by}"},
            caption="../docs/captions/classifier.rst",
        ),
        ledger=models.run_file("ledger.parquet"),
    log:
        path.log("train_clip_classifier", "{model}.{split_by}"),
    benchmark:
        path.benchmark("train_clip_classifier", "{model}.{split_by}")
    wildcard_constraints:
        model=models.names("clip_classifier"),
        split_by=r"whole|random|fold\d+",
    conda:
        f"../envs/models.{accelerator}.yaml"
    threads: 2
    resources:
        **gpu_kind(memory_gb=8),
        mem_mb=work.of_all(base=4000, per_recording=5),
        runtime=training_minutes(seconds_per_epoch=120 if accelerator == "cpu" else 30),
        gpu=model_gpus(),
    params:
        model="{model}",
        split_by="{split_by}",
        settings=lambda wildcards: models.models[wildcards.model].settings,
        of_weights=lambda wildcards: models.models[wildcards.model].of_weights,
        working=run_working,
        key=model_key(4),
    script:
        "../scripts/models/train_clip_classifier.py"


rule evaluate_classifier:
    """The runs of a classifier side by side: split by subjects, folds, and what a random split would have claimed."""
    input:
        metrics=of_runs("metrics.json"),
    output:
        metrics=models.file("metrics.json"),
        table=report(
            models.file("splits.tsv"),
            category="Models",
            labels={"model": "{model}", "table": "what a random split would have claimed"},
            caption="../docs/captions/classifier.rst",
        ),
        plot=report(
            models.file("splits.svg"),
            category="Models",
            labels={"model": "{model}", "plot": "subject split and random split"},
            caption="../docs/captions/classifier.rst",
        ),
    log:
        path.log("evaluate_classifier", "{model}"),
    benchmark:
        path.benchmark("evaluate_classifier", "{model}")
    wildcard_constraints:
        model=classifiers(),
    conda:
        f"../envs/models.{accelerator}.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1000),
        runtime=work.minutes(base=10),
    params:
        model="{model}",
        runs=lambda wildcards: models.models[wildcards.model].runs,
        key=lambda wildcards: versioned(2, runs=models.models[wildcards.model].runs),
    script:
        "../scripts/models/evaluate_classifier.py"


rule infer_landmarks:
    """Landmarks of every sound of a folder or zip: `snakemake infer --config audio_dir=… checkpoint=…`."""
    input:
        files=of_inference("files", []),
        checkpoint=asked_checkpoint,
        face=asked_face,
        card=of_asked_dataset("card.json"),
        mean=of_asked_dataset("lm_mean.npy"),
        std=of_asked_dataset("lm_std.npy"),
    output:
        folder=directory(models.inferred("landmarks")),
        ledger=models.inferred("ledger.parquet"),
    log:
        path.log("infer_landmarks"),
    benchmark:
        path.benchmark("infer_landmarks")
    conda:
        f"../envs/models.{accelerator}.yaml"
    threads: 2
    resources:
        **gpu_kind(memory_gb=4),
        mem_mb=sound_memory(base_mb=4000, per_mb=5),
        runtime=work.minutes(base=120),
        gpu=model_gpus(),
    params:
        audio_dir=of_inference("audio_dir", ""),
        settings=of_inference("settings", {}),
        unusable=of_inference("unusable", {}),
        renders=models.inferred("renders"),
        key=inference_key,
    script:
        "../scripts/models/infer_landmarks.py"


rule serve_engine:
    """The inference behind HTTP, for as long as `infer_from_engine` needs it."""
    input:
        checkpoint=asked_checkpoint,
        face=asked_face,
    output:
        url=service(models.engine()),
    log:
        path.log("serve_engine"),
    conda:
        f"../envs/models.{accelerator}.yaml"
    resources:
        mem_mb=sound_memory(base_mb=4000, per_mb=5),
        runtime=work.minutes(base=120),
    params:
        accelerator=accelerator,
        options=of_inference("engine_options", []),
        root=workflow.basedir,
        python=program_of_env(),
    shell:
        ": > {output.url:q}; PYTHONPATH={params.root:q} exec {params.python:q} -m rushes.engine --checkpoint {input.checkpoint:q} --port 0"
        " {params.options:q} --accelerator {params.accelerator:q} --url-file {output.url:q} > {log:q} 2>&1"


rule infer_from_engine:
    """Landmarks of every sound of a folder or zip, by an engine: `inference.endpoint` of the config."""
    input:
        files=of_inference("files", []),
        engine=own_engine,
        card=of_asked_dataset("card.json"),
        mean=of_asked_dataset("lm_mean.npy"),
        std=of_asked_dataset("lm_std.npy"),
    output:
        folder=directory(models.inferred("landmarks", engine=True)),
        ledger=models.inferred("ledger.parquet", engine=True),
    log:
        path.log("infer_from_engine"),
    benchmark:
        path.benchmark("infer_from_engine")
    conda:
        f"../envs/models.{accelerator}.yaml"
    threads: 1
    resources:
        mem_mb=sound_memory(base_mb=2000, per_mb=5),
        runtime=work.minutes(base=120),
    params:
        audio_dir=of_inference("audio_dir", ""),
        endpoint=of_inference("endpoint", ""),
        settings=of_inference("settings", {}),
        unusable=of_inference("unusable", {}),
        renders=models.inferred("renders", engine=True),
        key=inference_key,
    script:
        "../scripts/models/infer_from_engine.py"


for by_engine in (False, True):

    rule:
        """The last word of an inference: fails while a sound has failed."""
        name:
            "check_engine" if by_engine else "check_inference"
        input:
            spoken=models.inferred("ledger.parquet", engine=by_engine),
        output:
            checked=models.inferred("ledger.checked", engine=by_engine),
        log:
            path.log("check_inference", "engine" if by_engine else "checkpoint"),
        localrule: True
        conda:
            "../envs/datasets.yaml"
        threads: 1
        params:
            key=versioned(1),
        script:
            "../scripts/models/check_inference.py"
