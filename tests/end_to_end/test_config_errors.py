"""A mistake in the config or a sheet is one line with its place, before anything is made."""

import pytest

from tests.end_to_end.small import CONFIG, CONFIGFILE, ROWS, sheet, small_workspace

SHEET = "config/small.tsv"
EXCLUDE = "config/exclude.tsv"

# What is changed: file, text, its replacement (all of the file where the text is empty); what the line says.
MISTAKES = {
    "an unknown key": (CONFIGFILE, "augment_factor", "augment_facto", "datasets.visemes", "augment_factor"),
    "a bad type": (CONFIGFILE, "overlays: 1", "overlays: many", "reports.overlays", "integer"),
    "a key that stands there twice": (
        CONFIGFILE,
        '    microphones: {voice: "{source}"}',
        '    microphones: {voice: "{source}"}\n    cameras: {side: "{source}"}',
        "config/small.yaml, line 13: the key `cameras` stands there twice in `rigs.booth`, first in line 11",
    ),
    "cameras that differ in case alone": (
        CONFIGFILE,
        'cameras: {front: "{source}"}',
        'cameras: {front: "{source}", Front: "{source}"}',
        "rigs.booth.cameras",
        "`front` and `Front`",
    ),
    "an accepted failure of nobody": (CONFIGFILE, "[garbage]", "[garbag]", "known_failures", "`garbage`"),
    "a missing sheet": (CONFIGFILE, "small.tsv", "smal.tsv", "config/smal.tsv", "does not exist"),
    "a recording of an absent rig": (SHEET, "one\tbooth", "one\tboth", "small.tsv, line 3", "`booth`"),
    "a missing source": (SHEET, "recordings/one.mp4", "recordings/on.mp4", "small.tsv, line 3", "`one.mp4`"),
    "a duplicate recording": (SHEET, "\ntwo\t", "\nOne\t", "small.tsv, line 4", "line 3"),
    "a recording that cannot name a file": (SHEET, "\ntwo\t", "\n../two\t", "small.tsv, line 4", "../two"),
    "an excluded recording that is not there": (EXCLUDE, "", "recording\treason\nonne\tblurred\n", "line 2", "`one`"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, small_recordings):
    return small_workspace(tmp_path_factory.mktemp("mistakes") / "small run", small_recordings)


def what_is_said(output: str) -> list[str]:
    """The lines of a run's output without those by which Snakemake tells of its own command line."""
    lines = [line for line in output.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(("Using profile ", "Config file config/config.yaml"))]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_one_line_with_its_place_before_any_job(workspace, mistake):
    name, old, new, *words = MISTAKES[mistake]
    file = workspace.root / name
    right = file.read_text()
    assert old in right
    file.write_text(right.replace(old, new) if old else new)
    try:
        run = workspace.snakemake("--cores", "1", timeout=60)
    finally:
        file.write_text(right)
    assert run.returncode == 1
    (line,) = what_is_said(run.stdout)
    for word in words:
        assert word in line
    assert not (workspace.root / "results").exists()


def test_a_word_on_the_command_line_is_checked_like_the_config(workspace):
    for setting, *words in (("only=oen", "only", "`one`"), ("previw=3", "config", "`preview`")):
        run = workspace.snakemake("--cores", "1", "--config", setting, timeout=60)
        assert run.returncode == 1
        (line,) = what_is_said(run.stdout)
        for word in words:
            assert word in line
    assert not (workspace.root / "results").exists()


def test_a_config_without_mistakes_has_a_plan(workspace):
    """So that the mistakes above are what stops a run."""
    assert (workspace.root / CONFIGFILE).read_text() == CONFIG
    assert (workspace.root / SHEET).read_text() == sheet(ROWS)
    run = workspace.snakemake("-n", "--config", "reports={overlays: 2}", timeout=60)
    assert run.returncode == 0, run.stdout
    assert not (workspace.root / "results").exists()
