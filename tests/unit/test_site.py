"""What a site's files make of a rule's needs."""

from pathlib import Path

import pytest
import yaml

from scripts.common.errors import ConfigError
from scripts.planning.site import GpuKind, Site, read_site, request

REPO = Path(__file__).parents[2]
T4 = GpuKind("t4", 7.5, 16)
A100 = GpuKind("a100", 8.0, 40)
H100 = GpuKind("h100", 9.0, 80)


def test_any_gpu_will_do_where_nothing_is_known_or_all_are_enough():
    assert request([], 8.0, 24) == {}
    assert request([A100, H100], 8.0, 24) == {}


def test_the_smallest_gpu_that_is_enough_is_asked_for():
    assert request([H100, A100, T4], 8.0, 24) == {"gpu_model": "a100"}


def test_features_let_several_kinds_serve():
    kinds = [GpuKind("t4", 7.5, 16, "old"), GpuKind("l40s", 8.9, 48, "ada"), GpuKind("a100", 8.0, 40, "ampere")]
    assert request(kinds, 8.0, 24) == {"constraint": "ada|ampere"}


def test_too_much_is_an_error_before_any_job():
    with pytest.raises(ConfigError, match=r"compute capability 8.0 and 24 GB"):
        request([T4], 8.0, 24)


def test_the_shipped_profile_says_nothing_special():
    assert read_site(REPO / "profiles" / "slurm", {}) == Site()


def test_a_folder_without_files_is_a_plain_site(tmp_path):
    assert read_site(tmp_path, {}) == Site()


def test_the_environment_names_another_folder_and_wins_over_its_factor(tmp_path):
    (tmp_path / "partitions.yaml").write_text("runtime_factor: 1.5\n")
    (tmp_path / "gpus.yaml").write_text("kinds:\n  - {model: t4, compute_capability: 7.5, memory_gb: 16}\n")
    elsewhere = {"RUSHES_SITE": str(tmp_path)}
    assert read_site(REPO, elsewhere) == Site(1.5, (T4,))
    assert read_site(REPO, {**elsewhere, "RUSHES_RUNTIME_FACTOR": "3"}).runtime_factor == 3.0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpus.yaml", "kinds:\n  - {name: t4}\n"),
        ("partitions.yaml", "runtime_factor: fast\n"),
        ("partitions.yaml", "runtime_factor: -1\n"),
        ("gpus.yaml", "kinds: [\n"),
    ],
)
def test_a_mistake_in_a_site_s_file_is_one_line(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as mistake:
        read_site(tmp_path, {})
    assert "\n" not in str(mistake.value)


def test_no_partition_s_time_is_read_as_a_number_of_seconds():
    partitions = yaml.safe_load((REPO / "profiles/slurm/partitions.yaml").read_text())["partitions"]
    assert {name: limits["max_runtime"] for name, limits in partitions.items()} == {"cpu": "24h", "gpu": "12h"}


def test_a_site_may_say_how_long_a_frame_takes_a_rule(tmp_path):
    (tmp_path / "partitions.yaml").write_text("seconds_per_frame: {detect_keypoints: 0.7}\n")
    assert read_site(tmp_path, {}).seconds_per_frame == {"detect_keypoints": 0.7}


@pytest.mark.parametrize("said", ["[1]", "{a: x}", "{a: 0}"])
def test_a_pace_that_is_none_is_one_line(tmp_path, said):
    (tmp_path / "partitions.yaml").write_text(f"seconds_per_frame: {said}\n")
    with pytest.raises(ConfigError, match="seconds_per_frame"):
        read_site(tmp_path, {})
