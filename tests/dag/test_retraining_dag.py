"""Whether a change of a dataset trains its models again: asked of models that stand, nothing of it run."""

import copy

import pytest

from tests.dag.archive import COLUMNS, MEDIA, Archive

FOLDERS = {"npz", "train", "val", "test", "checkpoints", "tf_logs", "val_samples", "folders"}
TRAININGS = {"train_speech_landmarks", "train_frame_classifier"}
MODELS = {
    "lips": {"kind": "speech_landmarks", "dataset": "visemes"},
    "acts": {"kind": "frame_classifier", "dataset": "acts"},
}
ACTS = {
    "kind": "frames",
    "rig": "booth",
    "split": {"lists": {"train": ["Ann"], "val": ["Bob"], "test": ["Cid"]}, "seed": 0},
    "labels": {"map": {"Sit": "sit", "Run": "run"}},
}


class Trained(Archive):
    """An archive with windows, labelled frames, and a model of each."""

    def __init__(self, root):
        super().__init__(root)
        self.rows[1][3], self.rows[2][3] = "Bob", "Cid"
        self.files_of_sources("labels.csv")
        split = {"train": 0.4, "val": 0.3, "test": 0.3}
        self.datasets = {"visemes": {**self.datasets["visemes"], "split": split}, "acts": ACTS}
        self.rows = [[*row[:-1], split] for row, split in zip(self.rows, ("train", "val", "test", "", ""), strict=True)]

    def write(self, **changes):
        """Write sheets and config."""
        labels = ("labels.csv", "labels.csv", "labels.csv", "", "")
        self.sheet([*COLUMNS, "labels"], [[*row, file] for row, file in zip(self.rows, labels, strict=True)])
        self.write_config(**{"media": MEDIA, "models": MODELS, **changes})

    def make(self, path):
        """Make an output as an empty file or folder."""
        path.mkdir(exist_ok=True) if {path.name, path.parent.name} & FOLDERS else path.touch()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    archive = Trained(tmp_path_factory.mktemp("trained"))
    archive.finish()
    return archive


def changed(trained, dataset, **settings):
    """What would be done for the models after a change of a dataset."""
    datasets = copy.deepcopy(trained.datasets)
    datasets[dataset].update(settings)
    return trained.dry_run("models", datasets=datasets)


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        ("visemes", {"formats": ["folders", "shards"]}),
        ("visemes", {"formats": ["shards"], "shard_samples": 7}),
        ("visemes", {"hop": 32}),
        ("visemes", {"limits": {"low_sync": 5}}),
        ("acts", {"formats": ["folders", "webdataset", "clips"]}),
        ("acts", {"clips": {"crf": 30}, "shard_rows": 7}),
        ("acts", {"split": {"seed": 0, "lists": {"test": ["Cid"], "train": ["Ann"], "val": ["Bob"]}}}),
        ("acts", {"labels": {"map": {"Run": "run", "Sit": "sit"}}}),
    ],
)
def test_a_dataset_that_is_written_or_said_in_another_way_trains_nothing_again(trained, dataset, settings):
    shown = changed(trained, dataset, **settings)
    assert shown.status == 0, shown.text
    assert shown.jobs == {}, shown.text


def test_another_form_of_a_dataset_is_all_that_it_makes(trained):
    datasets = copy.deepcopy(trained.datasets)
    datasets["visemes"]["formats"] = ["folders", "shards"]
    datasets["acts"]["formats"] = ["folders", "imagefolder"]
    shown = trained.dry_run("datasets", datasets=datasets)
    assert shown.jobs == {"pack_train": 1, "pack_val": 1, "pack_test": 1, "arrange_frames": 1, "datasets": 1}


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        ("visemes", {"hop": 16}),
        ("visemes", {"limits": {"jump": 0.5}}),
        ("acts", {"size": 96}),
        ("acts", {"labels": {"map": {"Run": "sit", "Sit": "run"}}}),
    ],
)
def test_what_stands_in_a_dataset_trains_its_model_again(trained, dataset, settings):
    assert len(changed(trained, dataset, **settings).rules & TRAININGS) == 1
