"""
labels: what people have marked in recordings, whatever tool they used, as intervals on the recording's clock.

Needs   the files of the sheet's column `labels`; media/{rig}/{recording}/manifest.json   (sources)
Makes   labels/{rig}/{recording}.labels.parquet
"""

labels_room = plan.rooms["labels"]


rule import_labels:
    """One table of intervals from a file of labels."""
    input:
        labels=lambda wildcards: plan.recordings[wildcards.recording].labels,
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
        settings=lambda wildcards: labels_room.settings[wildcards.rig],
        key=lambda wildcards: versioned(1, **labels_room.settings[wildcards.rig]),
    script:
        "../scripts/labels/import_labels.py"
