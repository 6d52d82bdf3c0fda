"""
models_common: settings, inputs and resources of the models. Functions only.
"""

from scripts.common.plan import versioned
from scripts.common.planning_cost import quick

models = plan.rooms["models"]


def model_setting(name):
    """A setting of a model."""
    return quick(lambda wildcards: models.models[wildcards.model].settings[name])


def of_model_dataset(name):
    """A file of the dataset that a model learns from."""
    return quick(lambda wildcards: path.dataset(name).format(dataset=models.models[wildcards.model].dataset))


@quick
def windows_of_model(wildcards):
    """The folders with the windows of a model's dataset."""
    dataset = plan.datasets[models.models[wildcards.model].dataset]
    return [path.npz().format(dataset=dataset.name, recording=name) for name in dataset.recordings]


@quick
def rate_of_model(wildcards):
    return plan.rigs[plan.datasets[models.models[wildcards.model].dataset].rig].rate_hz


@quick
def fps_of_model(wildcards):
    return plan.rigs[plan.datasets[models.models[wildcards.model].dataset].rig].fps


def model_key(version):
    """The key of a training: the version of its method and all settings."""
    return quick(lambda wildcards: versioned(version, **models.models[wildcards.model].settings))


def training_minutes(*, seconds_per_epoch):
    """Runtime of a training: what its epochs take, at most two days; a killed one goes on where it was."""

    @quick
    def runtime(wildcards, attempt):
        seconds = models.models[wildcards.model].settings["epochs"] * seconds_per_epoch
        return min(int((10 + seconds / 60) * plan.site.runtime_factor * 2 ** (attempt - 1)), 2880)

    return runtime


def model_gpus():
    """One GPU where networks run on CUDA."""
    return 0 if accelerator == "cpu" else 1
