"""
labels: what people have marked in recordings, whatever tool they used, as intervals on the recording's clock.

Needs   the files of the sheet's column `labels`; media/{rig}/{recording}/manifest.json   (sources)
Makes   labels/{rig}/{recording}.labels.parquet, {recording}.exports/, labels/{rig}/pooled/
        and a ledger beside each
"""

labels_room = plan.rooms["labels"]


rule import_labels:
    """One table of intervals from a file of labels."""
    input:
        labels=lambda wildcards: brought(plan.recordings[wildcards.recording].labels),
        manifest=path.manifest(),
    output:
        intervals=labels_room.intervals(),
        ledger=labels_room.ledger(),
    log:
        path.log("import_labels", "{rig}/{recording}"),
    benchmark:
        path.benchmark("import_labels", "{rig}/{recording}")
    conda:
        "../envs/labels.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.minutes(base=5),
    params:
        recording="{recording}",
        subject=lambda wildcards: plan.recordings[wildcards.recording].subject,
        settings=lambda wildcards: labels_room.reading(wildcards.rig),
        key=lambda wildcards: versioned(
            5,
            bytes=bytes_of(plan.recordings[wildcards.recording].labels),
            **labels_room.reading(wildcards.rig),
        ),
    script:
        "../scripts/labels/import_labels.py"


rule export_labels:
    """The intervals of a recording back into the files of other tools, so that a person can check them."""
    input:
        intervals=labels_room.intervals(),
        manifest=path.manifest(),
    output:
        folder=directory(labels_room.exported()),
        ledger=labels_room.exported_ledger(),
    log:
        path.log("export_labels", "{rig}/{recording}"),
    benchmark:
        path.benchmark("export_labels", "{rig}/{recording}")
    conda:
        "../envs/labels.yaml"
    threads: 1
    resources:
        mem_mb=work.memory(base_mb=1000),
        runtime=work.minutes(base=5),
    params:
        recording="{recording}",
        formats=lambda wildcards: labels_room.settings[wildcards.rig]["export"],
        fps=lambda wildcards: labels_room.settings[wildcards.rig]["export_fps"],
        key=lambda wildcards: versioned(
            2,
            formats=labels_room.settings[wildcards.rig]["export"],
            fps=labels_room.settings[wildcards.rig]["export_fps"],
        ),
    script:
        "../scripts/labels/export_labels.py"


rule pool_procedures:
    """The intervals of all recordings of a rig, a file a label."""
    input:
        intervals=lambda wildcards: labels_room.of_rig(wildcards.rig, labels_room.intervals()),
        manifests_of=lambda wildcards: labels_room.of_rig(wildcards.rig, path.manifest()),
    output:
        folder=directory(labels_room.pooled()),
        ledger=labels_room.pooled_ledger(),
    log:
        path.log("pool_procedures", "{rig}"),
    benchmark:
        path.benchmark("pool_procedures", "{rig}")
    conda:
        "../envs/labels.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1000, per_recording=2),
        runtime=work.minutes(base=10, per_recording=0.1),
    params:
        rig="{rig}",
        fps=lambda wildcards: labels_room.settings[wildcards.rig]["export_fps"],
        key=lambda wildcards: versioned(3, fps=labels_room.settings[wildcards.rig]["export_fps"]),
    script:
        "../scripts/labels/pool_procedures.py"
