"""
shards: tables of URLs to shards of clips, lot by lot.

Needs   the tables of the datasets of kind `shards`
Makes   lots/{dataset}/{rows.parquet,plan.json}, {lot}.{tar,items.parquet,scans.parquet,frames.parquet,…}
        datasets/{dataset}/shards/data/*, {index,metadata,ledger}.parquet, card.json
"""


rule list_recordings:
    """A table of a rig's conformed recordings, each camera a row, for its shards."""
    input:
        videos=listed_recordings("video"),
        sounds=listed_recordings("sound"),
        frames=listed_recordings("frames"),
    output:
        table=shards.listing(),
    log:
        path.log("list_recordings", "{dataset}"),
    benchmark:
        path.benchmark("list_recordings", "{dataset}")
    wildcard_constraints:
        dataset=shards.names,
    conda:
        "../envs/sources.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=10, per_recording=0.1),
    params:
        rows=listed_recordings("row"),
        key=lambda wildcards: versioned(2, rows=listed_recordings("row")(wildcards)),
    script:
        "../scripts/sources/list_recordings.py"


checkpoint plan_shards:
    """Pack the rows of a table into shards, and shards into lots; rows that are appended move nothing."""
    input:
        tables=tables_of,
    output:
        rows=shards.rows(),
        plan=shards.planned(),
    log:
        path.log("plan_shards", "{dataset}"),
    benchmark:
        path.benchmark("plan_shards", "{dataset}")
    wildcard_constraints:
        dataset=shards.names,
    conda:
        "../envs/sources.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1500),
        runtime=work.minutes(base=60),
    params:
        names=lambda wildcards: list(shards.datasets[wildcards.dataset].tables),
        columns=shards_setting("columns"),
        limits=plan_limits,
        lot_shards=shards_setting("lot_shards"),
        digits=plan_digits,
        kept=lambda wildcards: shards.kept_plan().format(dataset=wildcards.dataset),
        key=shards_key(2, "table", "columns", "shard_rows", "shard_seconds", "shard_bytes", "lot_shards"),
    script:
        "../scripts/sources/plan_shards.py"


rule fetch_shard:
    """Bring the items of a lot here; each ends as fetched, or as failed with a reason."""
    input:
        rows=ancient(shards.rows()),
    output:
        media=kept(shards.lot("tar")),
        contents=shards.lot("items.parquet"),
        ledger=shards.lot("fetch.ledger.parquet"),
    log:
        path.log("fetch_shard", "{dataset}.{lot}"),
    benchmark:
        path.benchmark("fetch_shard", "{dataset}.{lot}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
    conda:
        "../envs/sources.yaml"
    threads: 1
    resources:
        mem_mb=lot_memory(base_mb=1000, per_row_mb=0.02),
        runtime=lot_minutes(seconds_per_row=1.0),
    params:
        dataset="{dataset}",
        row_group=of_lot("number"),
        rows_sha256=of_lot("sha256"),
        settings=fetch_settings,
        working=shards.working("fetch"),
        key=fetch_key,
    script:
        "../scripts/sources/fetch_shard.py"


rule scan_shard:
    """Decode every item of a lot once: frame tables, cuts, scores, hashes, codec data; and its clips by the way."""
    input:
        media=shards.lot("tar"),
        contents=shards.lot("items.parquet"),
    output:
        scans=shards.lot("scans.parquet"),
        frames=shards.lot("frames.parquet"),
        clocks=shards.lot("clocks.parquet"),
        ledger=shards.lot("scan.ledger.parquet"),
    log:
        path.log("scan_shard", "{dataset}.{lot}"),
    benchmark:
        path.benchmark("scan_shard", "{dataset}.{lot}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
    conda:
        "../envs/shards.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=5000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=3.0, seconds_per_second=0.25),
    params:
        dataset="{dataset}",
        look=looks,
        thumbnails=lambda wildcards: shards.datasets[wildcards.dataset].entry["scan"]["thumbnails"],
        fps=lambda wildcards: shards.datasets[wildcards.dataset].entry["scan"]["fps"],
        working=shards.working("scan"),
        ahead=cut_ahead,
        key=scan_key,
    script:
        "../scripts/datasets/scan_shard.py"


rule find_duplicates:
    """Clips that show what another one shows, across all lots."""
    input:
        contents=of_lots("items.parquet"),
        scans=of_lots("scans.parquet"),
        frames=of_lots("frames.parquet"),
        speech=speech_of_lots,
    output:
        duplicates=shards.dataset("duplicates.parquet"),
    log:
        path.log("find_duplicates", "{dataset}"),
    benchmark:
        path.benchmark("find_duplicates", "{dataset}")
    wildcard_constraints:
        dataset=shards.names,
    conda:
        "../envs/shards.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=8000),
        runtime=work.minutes(base=60),
    params:
        settings=shards_setting(*CHOICE_SETTINGS),
        key=shards_key(2, *CHOICE_SETTINGS),
    script:
        "../scripts/datasets/find_duplicates.py"


rule detect_lot_speech:
    """Where somebody speaks in the items of a lot, if clips are to be what is said."""
    input:
        media=shards.lot("tar"),
        contents=shards.lot("items.parquet"),
        frames=shards.lot("frames.parquet"),
    output:
        speech=shards.lot("speech.parquet"),
    log:
        path.log("detect_lot_speech", "{dataset}.{lot}"),
    benchmark:
        path.benchmark("detect_lot_speech", "{dataset}.{lot}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
    conda:
        "../envs/speech.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=3000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=0.5, seconds_per_second=0.02),
    params:
        rule=plan.config["faces"]["speech"],
        working=shards.working("speech"),
        key=versioned(LOT_METHODS["detect_lot_speech"], **plan.config["faces"]["speech"]),
    script:
        "../scripts/faces/detect_lot_speech.py"


rule cut_shard:
    """Cut the clips of a lot's items: one decode an item, one encode a clip."""
    input:
        media=shards.lot("tar"),
        contents=shards.lot("items.parquet"),
        scans=shards.lot("scans.parquet"),
        frames=shards.lot("frames.parquet"),
        duplicates=duplicates_of,
        speech=speech_of_lot,
    output:
        media=kept(shards.lot("clips.tar")),
        clips=shards.lot("clips.parquet"),
        ledger=shards.lot("cut.ledger.parquet"),
    log:
        path.log("cut_shard", "{dataset}.{lot}"),
    benchmark:
        path.benchmark("cut_shard", "{dataset}.{lot}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
    conda:
        "../envs/shards.yaml"
    threads: 4
    resources:
        mem_mb=lot_memory(base_mb=4000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=2.0, seconds_per_second=0.2),
    params:
        dataset="{dataset}",
        settings=shards_setting(*CUT_SETTINGS),
        working=shards.working("cut"),
        key=shards_key(LOT_METHODS["cut_shard"], *CUT_SETTINGS),
    script:
        "../scripts/datasets/cut_shard.py"


rule write_shard:
    """Write the shards of a lot: members sorted, without times, the same bytes on every run."""
    input:
        media=shards.lot("tar"),
        cut=shards.lot("clips.tar"),
        clips=shards.lot("clips.parquet"),
        annotation_files=annotated("tar"),
        annotation_values=annotated("parquet"),
    output:
        folder=directory(shards.lot("shards")),
        index=shards.lot("index.parquet"),
        metadata=shards.lot("metadata.parquet"),
    log:
        path.log("write_shard", "{dataset}.{lot}"),
    benchmark:
        path.benchmark("write_shard", "{dataset}.{lot}")
    wildcard_constraints:
        dataset=shards.names,
        lot=r"lot\d+",
    conda:
        "../envs/shards.yaml"
    threads: 1
    resources:
        mem_mb=lot_memory(base_mb=2000, per_row_mb=0.1),
        runtime=lot_minutes(seconds_per_row=0.1),
    params:
        first_shard=of_lot("first_shard"),
        shards=of_lot("shards"),
        digits=shards_setting("shard_digits"),
        output=shards_setting("output"),
        classes=shards_setting("classes"),
        annotated=annotation_columns,
        key=shards_key(1, "shard_digits", "output", "classes"),
    script:
        "../scripts/datasets/write_shard.py"


rule index_shards:
    """All shards in one folder with index, metadata, ledger and card; every row must have ended exactly once."""
    input:
        plan=shards.planned(),
        fetched=of_lots("fetch.ledger.parquet"),
        scanned=of_lots("scan.ledger.parquet"),
        cut=of_lots("cut.ledger.parquet"),
        annotated=annotated_lots("ledger.parquet"),
        indexes=of_lots("index.parquet"),
        metadata=of_lots("metadata.parquet"),
        folders=of_lots("shards"),
    output:
        folder=directory(shards.dataset("data")),
        index=shards.dataset("index.parquet"),
        metadata=shards.dataset("metadata.parquet"),
        ledger=shards.dataset("ledger.parquet"),
        card=shards.dataset("card.json"),
    log:
        path.log("index_shards", "{dataset}"),
    benchmark:
        path.benchmark("index_shards", "{dataset}")
    wildcard_constraints:
        dataset=shards.names,
    conda:
        "../envs/shards.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=4000),
        runtime=work.minutes(base=60),
    params:
        dataset="{dataset}",
        settings=lambda wildcards: plan.config["datasets"][wildcards.dataset],
        licence=shards_setting("licence"),
        failed_share=shards_setting("failed_share"),
        key=lambda wildcards: versioned(2, settings=plan.config["datasets"][wildcards.dataset]),
    script:
        "../scripts/datasets/index_shards.py"
