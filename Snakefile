"""Rushes: raw recordings in, training-ready datasets out. `snakemake -n` shows everything before it is made."""

import sys

from snakemake.utils import min_version

from scripts.planning import failures
from scripts.planning import graceful_end
from scripts.planning import job_command
from scripts.planning import missing_inputs
from scripts.planning import missing_outputs
from scripts.planning import missing_packages
from scripts.planning import planning_cost
from scripts.planning import publishing
from scripts.planning import retry
from scripts.planning import run_lock
from scripts.planning import stage_verdict
from scripts.planning import plan as planning
from scripts.common.errors import ConfigError
from scripts.planning.yaml_file import check_config_files

min_version("9.27")

CONFIGFILE = "config/config.yaml"

try:
    # A job has the config of its run, which was looked at.
    if workflow.is_main_process:
        check_config_files([*workflow.configfiles, CONFIGFILE])
except ConfigError as mistake:
    sys.exit(str(mistake))


configfile: CONFIGFILE


try:
    plan = planning.load(planning.for_targets(config, sys.argv))
    publishing.check_store(workflow, plan.config["publish"])
except ConfigError as mistake:
    sys.exit(str(mistake))

planning_cost.lower(workflow)
missing_inputs.guard(workflow)
missing_outputs.guard(workflow)
missing_packages.guard(workflow)
run_lock.guard(workflow)
graceful_end.guard()
job_command.guard(workflow, plan.path.results)
stage_verdict.guard(workflow, accepted=plan.config["known_failures"], tables=plan.url_tables())
retry.force(workflow, plan)
plan.give_notice(workflow)


include: "rules/common.smk"
include: "rules/sources.smk"
include: "rules/media.smk"
include: "rules/exports.smk"
include: "rules/exports_forms.smk"
include: "rules/spectrogram.smk"
include: "rules/faces_common.smk"
include: "rules/faces.smk"
include: "rules/cameras_common.smk"
include: "rules/cameras.smk"
include: "rules/keypoints.smk"
include: "rules/labels.smk"
include: "rules/datasets.smk"
include: "rules/frames_common.smk"
include: "rules/frames.smk"
include: "rules/shards_common.smk"
include: "rules/shards.smk"
include: "rules/annotations.smk"
include: "rules/models_common.smk"
include: "rules/models.smk"
include: "rules/reports.smk"
include: "rules/publish_common.smk"
include: "rules/publish.smk"


rule all:
    """Everything that the config asks for."""
    default_target: True
    input:
        plan.everything(),


rule sources:
    """Every recording as videos with frame tables and sounds with clocks."""
    input:
        plan.targets("sources"),


rule media:
    """Every stream on the dataset's own clock."""
    input:
        plan.targets("media"),


rule faces:
    """Landmarks of every face, speech and cuts."""
    input:
        plan.targets("faces"),


rule cameras:
    """Common frames, calibrations and keypoints of rigs of several cameras."""
    input:
        plan.targets("cameras"),


rule labels:
    """One table of intervals of every labelled recording."""
    input:
        plan.targets("labels"),


rule datasets:
    """Windows with splits, statistics and a sample index."""
    input:
        plan.targets("datasets"),


rule models:
    """Every model of the config, trained, with its figures."""
    input:
        plan.targets("models"),


rule infer:
    """Landmarks of sounds that are no recordings: --config audio_dir=FOLDER checkpoint=FILE."""
    input:
        plan.rooms["models"].inference_targets(),


rule reports:
    """What a person looks at; fails while an item of the run has failed."""
    input:
        plan.targets("reports"),


onerror:
    print(failures.summary(plan.path.log_folder, log), file=sys.stderr)
