"""What keeps a dry run cheap must not change what Snakemake knows of a file."""

import importlib
import pickle
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from snakemake.exceptions import ChildIOException
from snakemake.io import IOFile, flag
from snakemake.iocontainers import InputFiles

from scripts.common.planning_cost import check_nesting_quickly, slim_files


@pytest.fixture(autouse=True)
def _slim():
    importlib.import_module("snakemake.api")  # Snakemake's modules import each other, and only in this order
    slim_files()


def test_a_file_without_flags_is_plain_text_until_its_flags_are_asked_for():
    file = IOFile("{name}.txt", rule=None).apply_wildcards({"name": "a"})
    assert type(file._file) is str
    assert not file.is_flagged("temp")
    assert file == "a.txt"
    assert hash(file) == hash("a.txt")


def test_a_flag_that_is_set_later_stays():
    file = IOFile("{name}.txt", rule=None).apply_wildcards({"name": "a"})
    file.flags["report"] = 7
    assert file.is_flagged("report")
    assert file.flags == {"report": 7}


def test_a_flag_goes_with_the_file_that_is_made_of_a_pattern():
    pattern = IOFile(flag("{name}.txt", "temp"), rule=None)
    first, second = (pattern.apply_wildcards({"name": name}) for name in "ab")
    first.flags["first"] = True
    assert first.is_flagged("temp")
    assert second.flags == {"temp": True}
    assert pattern.flags == {"temp": True}


def test_a_list_of_files_still_guards_its_names_and_can_be_sent_to_a_job():
    files = pickle.loads(pickle.dumps(InputFiles(toclone=["a"], plainstr=True)))
    with pytest.raises(AttributeError, match="sort"):
        files.sort()
    with pytest.raises(AttributeError, match="index"):
        files.index("a")
    assert list(files) == ["a"]


@dataclass(order=True, frozen=True)
class Job:
    """As much of a job as the check of its outputs asks for."""

    output: tuple[str, ...]


@pytest.mark.parametrize(
    ("outputs", "nested"),
    [
        ([("a/b",), ("a/bc", "a/d/e")], False),
        ([("a/b",), ("a/b/c",)], True),
        ([("a/b/c/d",), ("x", "a/b")], True),
        ([("a/b", "a/b/c")], False),
    ],
)
def test_an_output_inside_of_another_jobs_output_is_refused(outputs, nested):
    check_nesting_quickly()
    check = importlib.import_module("snakemake.dag").DAG.check_directory_outputs
    dag = SimpleNamespace(jobs=[Job(output) for output in outputs])
    if nested:
        with pytest.raises(ChildIOException):
            check(dag)
    else:
        check(dag)
