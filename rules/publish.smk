"""
publish: shards, manifests and pages to a bucket, or whatever store `publish` of the config names. Part of stage reports.

Needs   datasets/{dataset}/{index.parquet,card.json,…}, shards of every kind of dataset   (datasets)
        what the report is made of: tables, plots, pages   (reports, models)
Makes   the same below {publish}/, and {publish}/RUSHES.txt first
"""


rule publish_mark:
    """The first object of the store: Snakemake's plugin deletes a bucket with its last one."""
    output:
        mark=stored(MARK),
    log:
        path.log("publish_mark"),
    benchmark:
        path.benchmark("publish_mark")
    localrule: True
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=5),
    params:
        key=versioned(1),
    script:
        "../scripts/reports/publish_mark.py"


rule publish_file:
    """An index, a card, a page: one object."""
    input:
        file=f"{path.results}/{{published}}",
        mark=mark_of_store,
    output:
        file=stored("{published}"),
    log:
        path.log("publish_file", "{published}"),
    benchmark:
        path.benchmark("publish_file", "{published}")
    wildcard_constraints:
        published=publishable(plan, "files"),
    localrule: True
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=30),
    params:
        key=versioned(1),
    script:
        "../scripts/reports/publish_file.py"


rule list_published:
    """The sums of what a folder holds, where the rule that makes it writes none."""
    input:
        folder=f"{path.results}/{{published}}",
    output:
        manifest=f"{path.results}/{{published}}.shards.json",
    log:
        path.log("list_published", "{published}"),
    benchmark:
        path.benchmark("list_published", "{published}")
    wildcard_constraints:
        published=publishable(plan, "listed"),
    localrule: True
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=60),
    params:
        key=versioned(1),
    script:
        "../scripts/reports/list_published.py"


rule publish_folder:
    """A folder of shards, an object a shard; again only when its manifest says that they have changed."""
    input:
        folder=ancient(f"{path.results}/{{published}}"),
        manifest=f"{path.results}/{{published}}.shards.json",
        mark=mark_of_store,
    output:
        folder=stored_folder("{published}"),
    log:
        path.log("publish_folder", "{published}"),
    benchmark:
        path.benchmark("publish_folder", "{published}")
    wildcard_constraints:
        published=publishable(plan, "folders"),
    localrule: True
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=500),
        runtime=work.minutes(base=60),
    params:
        key=versioned(1),
    script:
        "../scripts/reports/publish_folder.py"


rule publish:
    """Tables, shards and pages of all datasets, and the parts of the report, in the store that `publish` names."""
    input:
        [stored(name, retrieve=False) for name in published(plan)["files"]],
        [stored(name, retrieve=False) for name in published(plan)["folders"]],
