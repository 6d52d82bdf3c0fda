"""
reports: what a person looks at.

Needs   conformed/… (media), faces/… (faces), datasets/… (datasets), every ledger
Makes   reports/overlays/{dataset}/{recording}.mp4, reports/clocks.svg, reports/outcomes.svg,
        reports/labels/{dataset}.html, reports/cameras/{rig}/{recording}.{mp4,html}, reports/landmark_agreement.tsv,
        reports/ledger.{parquet,tsv}, reports/failed.tsv, reports/ledger.checked
"""


rule render_overlay:
    """Landmarks drawn into the picture, with the sound, for the first seconds of a recording."""
    input:
        video=of_recording(path.video("conformed")),
        sound=of_recording(path.sound("conformed")),
        landmarks=of_recording(path.landmarks()),
    output:
        video=report(
            path.report("overlays/{dataset}/{recording}.mp4"),
            category="Landmarks",
            labels={"dataset": "{dataset}", "recording": "{recording}"},
            caption="../docs/captions/overlay.rst",
        ),
    log:
        path.log("render_overlay", "{dataset}/{recording}"),
    benchmark:
        path.benchmark("render_overlay", "{dataset}/{recording}")
    conda:
        "../envs/reports.yaml"
    threads: 2
    resources:
        mem_mb=work.memory(base_mb=1500),
        runtime=work.runtime(seconds_per_mb=0.5),
    params:
        seconds=plan.config["reports"]["overlay_s"],
        key=versioned(1, seconds=plan.config["reports"]["overlay_s"]),
    script:
        "../scripts/reports/render_overlay.py"


rule render_labels:
    """A page on a dataset of labelled frames: counts, timelines, doubtful intervals, pictures."""
    input:
        index=labelled_frames.dataset("index.parquet"),
        classes=labelled_frames.dataset("classes.json"),
        tars=of_parts("tar"),
        raw=labels_of_frames(labels_room.intervals()),
        cleaned=labels_of_frames(labelled_frames.cleaned("labels.parquet")),
    output:
        page=report(
            labelled_frames.page(),
            category="Labels",
            labels={"dataset": "{dataset}", "page": "labels"},
            caption="../docs/captions/labels.rst",
        ),
    log:
        path.log("render_labels", "{dataset}"),
    benchmark:
        path.benchmark("render_labels", "{dataset}")
    wildcard_constraints:
        dataset=labelled_frames.names,
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=2000, per_recording=5),
        runtime=work.minutes(base=30, per_recording=0.5),
    params:
        dataset="{dataset}",
        key=versioned(2),
    script:
        "../scripts/reports/render_labels.py"


rule render_keypoint_qc:
    """What the cameras saw, what stands in space and what was smoothed, and how well they agree."""
    input:
        videos=of_cameras(path.video("media")),
        frames=of_cameras(path.frames("media")),
        keypoints=of_cameras(cameras_room.path("{camera}.keypoints.parquet")),
        aligned=cameras_room.path("aligned.parquet"),
        points=cameras_room.path("points.parquet"),
        smoothed=cameras_room.poses(),
        calibration=lambda wildcards: cameras_room.calibration_of(wildcards.recording),
    output:
        video=report(
            cameras_room.page("mp4"),
            category="Cameras",
            labels={"recording": "{recording}", "page": "video"},
            caption="../docs/captions/keypoint_video.rst",
        ),
        page=report(
            cameras_room.page("html"),
            category="Cameras",
            labels={"recording": "{recording}", "page": "errors"},
            caption="../docs/captions/keypoints.rst",
        ),
    log:
        path.log("render_keypoint_qc", "{rig}/{recording}"),
    benchmark:
        path.benchmark("render_keypoint_qc", "{rig}/{recording}")
    conda:
        "../envs/reports.yaml"
    threads: 2
    resources:
        mem_mb=work.memory_per_frame(base_mb=3000, kb_per_frame=20, per_mb=1),
        runtime=work.per_frame("render_keypoint_qc", seconds=0.05, seconds_per_mb=1),
    params:
        recording="{recording}",
        cameras=rig_cameras,
        settings=multicam_setting("triangulate"),
        seconds=plan.config["reports"]["overlay_s"],
        key=multicam_key(2, "triangulate"),
    script:
        "../scripts/reports/render_keypoint_qc.py"


rule compare_landmarks:
    """How far apart the landmarks of two back ends of one camera are."""
    input:
        ones=[one for one, _, _ in plan.rooms["faces"].compared],
        others=[other for _, other, _ in plan.rooms["faces"].compared],
    output:
        table=report(
            path.report("landmark_agreement.tsv"),
            category="Landmarks",
            labels={"table": "agreement of back ends"},
            caption="../docs/captions/agreement.rst",
        ),
    log:
        path.log("compare_landmarks"),
    benchmark:
        path.benchmark("compare_landmarks")
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1000, per_recording=0.2),
        runtime=work.minutes(base=5, per_recording=0.02),
    params:
        pairs=[pair for _, _, pair in plan.rooms["faces"].compared],
        key=versioned(1),
    script:
        "../scripts/reports/compare_landmarks.py"


rule plot_clocks:
    """How far the stamps of sound and picture stand from the clocks that were fitted to them."""
    input:
        manifests=[path.manifest().format(rig=recording.rig, recording=recording.name) for recording in plan.chosen],
    output:
        plot=report(
            path.report("clocks.svg"),
            category="Time",
            labels={"plot": "A/V clocks"},
            caption="../docs/captions/clocks.rst",
        ),
    log:
        path.log("plot_clocks"),
    benchmark:
        path.benchmark("plot_clocks")
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1000, per_recording=0.2),
        runtime=work.minutes(base=5, per_recording=0.01),
    params:
        key=versioned(1),
    script:
        "../scripts/reports/plot_clocks.py"


rule merge_ledgers:
    """One ledger of the whole run; the counts of every step add up, or it fails."""
    input:
        ledgers=plan.ledgers(),
        manifests=plan.manifests(stretch[0] for stretch in plan.stretches()),
    output:
        ledger=path.report("ledger.parquet"),
        counts=report(
            path.report("ledger.tsv"),
            category="Ledger",
            labels={"table": "items by step, outcome and reason"},
            caption="../docs/captions/ledger.rst",
        ),
        failed=report(
            path.report("failed.tsv"),
            category="Ledger",
            labels={"table": "what failed, and why"},
            caption="../docs/captions/failed.rst",
        ),
    log:
        path.log("merge_ledgers"),
    benchmark:
        path.benchmark("merge_ledgers")
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=memory_with_lots(base=1000, per_recording=0.5, per_row=0.002),
        runtime=work.minutes(base=15, per_recording=0.01),
    params:
        results=lambda wildcards: path.results,
        excluded=[[exclusion.recording, exclusion.reason] for exclusion in plan.excluded],
        stretches=plan.stretches(),
        key=versioned(1),
    script:
        "../scripts/reports/merge_ledgers.py"


rule plot_outcomes:
    """Items kept and rejected in every step, by reason."""
    input:
        counts=path.report("ledger.tsv"),
    output:
        plot=report(
            path.report("outcomes.svg"),
            category="Ledger",
            labels={"plot": "kept and rejected"},
            caption="../docs/captions/outcomes.rst",
        ),
    log:
        path.log("plot_outcomes"),
    benchmark:
        path.benchmark("plot_outcomes")
    conda:
        "../envs/reports.yaml"
    threads: 1
    resources:
        mem_mb=work.of_all(base=1000),
        runtime=work.minutes(base=5),
    params:
        key=versioned(1),
    script:
        "../scripts/reports/plot_outcomes.py"


rule check_ledger:
    """Say what failed, and fail while there is anything that a person has not accepted."""
    input:
        failed=path.report("failed.tsv"),
        cards=list(plan.url_tables().values()),
        plots=[path.report("clocks.svg"), path.report("outcomes.svg")],
        overlays=[
            path.report("overlays/{dataset}/{recording}.mp4").format(dataset=dataset, recording=recording)
            for dataset, recording in plan.overlays()
        ],
        pages=plan.report_pages(),
    output:
        checked=path.report("ledger.checked"),
    log:
        path.log("check_ledger"),
    # Another attempt would say the same.
    retries: 0
    localrule: True
    conda:
        "../envs/reports.yaml"
    threads: 1
    params:
        known_failures=plan.config["known_failures"],
        tables=list(plan.url_tables()),
        key=versioned(2, known_failures=plan.config["known_failures"], tables=list(plan.url_tables())),
    script:
        "../scripts/reports/check_ledger.py"
