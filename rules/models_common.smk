"""
models_common: settings, inputs and resources of the models. No rules.
"""

from scripts.common.versions import versioned
from scripts.planning.inference_plan import OWN
from scripts.planning.models_plan import CLASSIFIERS, INDEX
from scripts.planning.planning_cost import quick

models = plan.rooms["models"]


def of_model_dataset(name):
    """A file of the dataset that a model learns from."""
    return quick(lambda wildcards: path.dataset(name).format(dataset=models.models[wildcards.model].dataset))


@quick
def frames_of_model(wildcards):
    """The table of labelled frames that a classifier learns from."""
    dataset = models.models[wildcards.model].dataset
    return dataset if dataset.endswith(INDEX) else path.dataset(INDEX).format(dataset=dataset)


def of_runs(name):
    """A file of every run of a classifier."""

    @quick
    def fill(wildcards):
        runs = models.models[wildcards.model].runs
        return [models.run_file(name).format(model=wildcards.model, split_by=run) for run in runs]

    return fill


def classifiers():
    """The classifiers as a wildcard's pattern."""
    return "|".join(models.names(kind) for kind in CLASSIFIERS)


def run_working(wildcards):
    return models.file("working/{split_by}").format(model=wildcards.model, split_by=wildcards.split_by)


@quick
def windows_of_model(wildcards):
    """The folders with the windows of a model's dataset."""
    dataset = plan.datasets[models.models[wildcards.model].dataset]
    return [path.npz().format(dataset=dataset.makers[name], recording=name) for name in dataset.recordings]


@quick
def rate_of_model(wildcards):
    return plan.datasets[models.models[wildcards.model].dataset].rate_hz


@quick
def fps_of_model(wildcards):
    return plan.datasets[models.models[wildcards.model].dataset].fps


def model_key(version):
    """The key of a training: the version of its method and all settings."""
    return quick(lambda wildcards: versioned(version, **models.models[wildcards.model].settings))


@quick
def speech_key(wildcards):
    """The key of a training from sound. Features of other rates than 16 kHz had rows of other lengths."""
    version = 1 + (rate_of_model(wildcards) != 16_000)
    return versioned(version, **models.models[wildcards.model].settings)


def training_minutes(*, seconds_per_epoch):
    """Runtime of a training: what its epochs take, at most two days; a killed one goes on where it was."""

    @quick
    def runtime(wildcards, attempt):
        seconds = models.models[wildcards.model].settings["epochs"] * seconds_per_epoch
        return min(int((10 + seconds / 60) * plan.site.runtime_factor * 2 ** (attempt - 1)), 2880)

    return runtime


def of_inference(name, missing):
    """A fact of what `snakemake infer` is asked for."""
    return quick(lambda wildcards: getattr(models.inference, name) if models.inference else missing)


@quick
def asked_checkpoint(wildcards):
    return models.inference.checkpoint if models.inference and models.inference.checkpoint else []


@quick
def asked_face(wildcards):
    return models.inference.settings["face"] if models.inference and models.inference.settings["face"] else []


def of_asked_dataset(name):
    """A file of the dataset that the checkpoint must be of, if the config says which."""

    @quick
    def fill(wildcards):
        dataset = models.inference.settings["dataset"] if models.inference else ""
        return path.dataset(name).format(dataset=dataset) if dataset else []

    return fill


@quick
def own_engine(wildcards):
    """Where an engine that is started for the run writes its URL."""
    return models.engine() if models.inference and models.inference.endpoint == OWN else []


@quick
def inference_key(wildcards):
    """What an inference depends on besides its files: their sizes and its settings, but not how hard it tries."""
    if not models.inference:
        return versioned(1)
    settings = {
        name: value for name, value in models.inference.settings.items() if name not in ("timeout_s", "retries")
    }
    return versioned(3, sizes=models.inference.sizes, **settings)


def sound_memory(*, base_mb, per_mb):
    """Megabytes of memory: a base and a share of the largest sound; half as much again with each attempt."""

    @quick
    def mem_mb(wildcards, attempt):
        largest_mb = models.inference.largest_mb if models.inference else 0
        return int((base_mb + per_mb * largest_mb) * (1 + 0.5 * (attempt - 1)))

    return mem_mb


def program_of_env():
    """Python as a shell finds it: the env's, or without envs the one that runs Snakemake."""
    methods = getattr(workflow.deployment_settings, "deployment_method", ())
    return "python" if any(str(method).endswith("conda") for method in methods) else sys.executable


def model_gpus():
    """One GPU where networks run on CUDA."""
    return 0 if accelerator == "cpu" else 1
