"""
models: networks that are trained on the datasets, and what they say of new sounds.

Needs   datasets/{dataset}/…   (datasets)
Makes   models/{model}/{checkpoints,tf_logs,val_samples}/, metrics.json, training.svg
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
        key=model_key(1),
    script:
        "../scripts/models/train_speech_landmarks.py"
