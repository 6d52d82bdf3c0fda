"""What keeps a dry run cheap must not change what Snakemake plans."""

import importlib
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.exceptions import ChildIOException
from snakemake.output_index import OutputIndex

from scripts.planning.planning_cost import check_nesting_quickly, find_scripts_once, match_by_prefix


@pytest.fixture(scope="module", autouse=True)
def _snakemake():
    importlib.import_module("snakemake.api")  # Snakemake's modules import each other, and only in this order


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


@dataclass(frozen=True)
class Pattern:
    """As much of a rule's output as is asked for by what looks for its rule."""

    prefix: str
    suffix: str

    def constant_prefix(self) -> str:
        return self.prefix

    def constant_suffix(self) -> str:
        return self.suffix


PARTS = st.text(st.sampled_from("ab/"), max_size=4)


@given(
    rules=st.lists(st.lists(st.builds(Pattern, PARTS, PARTS), max_size=3).map(tuple), max_size=6),
    files=st.lists(st.text(st.sampled_from("ab/"), max_size=9), min_size=1, max_size=5),
)
def test_the_rules_of_a_file_are_those_whose_outputs_begin_and_end_like_it(rules, files):
    match_by_prefix()
    made = [SimpleNamespace(products=lambda outputs=outputs: outputs) for outputs in rules]
    index = OutputIndex([Hashable(rule) for rule in made])
    for file in files:
        expected = {
            number
            for number, outputs in enumerate(rules)
            if any(file.startswith(output.prefix) and file.endswith(output.suffix) for output in outputs)
        }
        assert {made.index(rule.rule) for rule in index.match(file)} == expected


class Hashable:
    """A rule that can stand in a set."""

    def __init__(self, rule: SimpleNamespace) -> None:
        self.rule = rule
        self.products = rule.products


def test_the_name_of_a_script_is_expanded_once_a_rule_unless_it_has_wildcards(monkeypatch):
    job_kind = importlib.import_module("snakemake.jobs").Job
    asked = []
    monkeypatch.setattr(job_kind, "_path_to_source_file", lambda job, path: asked.append(path) or (job.rule, str(path)))
    find_scripts_once()
    for rule, path in [("a", "x.py"), ("a", "x.py"), ("b", "x.py"), ("a", "{name}.py"), ("a", "{name}.py")]:
        assert job_kind._path_to_source_file(SimpleNamespace(rule=rule), path) == (rule, path)
    assert asked == ["x.py", "x.py", "{name}.py", "{name}.py"]
