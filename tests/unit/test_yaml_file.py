"""A YAML file that a person wrote is whole, or one line says what is wrong with it."""

import pytest

from scripts.common.errors import ConfigError
from scripts.planning.yaml_file import check_config_files, read_yaml


def said_of(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as error:
        check_config_files([path])
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\nb: 2\n'a': 3\n", "line 3: the key `a` stands there twice, first in line 1; keep one"),
        (
            "rigs:\n  top:\n    cameras: {}\n    source: x\n    cameras: {}\n",
            "line 5: the key `cameras` stands there twice in `rigs.top`, first in line 3; keep one",
        ),
        (
            "a:\n- {b: 1}\n- {b: 1, b: 2}\n",
            "line 3: the key `b` stands there twice in `a[1]`, first in line 3; keep one",
        ),
        ('{"a": 1,\n"a": 2}', "line 2: the key `a` stands there twice, first in line 1; keep one"),
        (b"a: 1\n# \xe9\n", "line 2: this is not UTF-8; save the file as UTF-8"),
    ],
)
def test_what_snakemake_would_take_without_a_word_is_one_line(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    assert said_of(tmp_path / "config" / "a.yaml", content).startswith(f"config/a.yaml, {said}")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a: &x {b: 1}\nc: {<<: *x, b: 2}\nd: *x\n",
        "1: a\n'1': b\n",
        "a: &x [*x]\n",
        # That it is no YAML, Snakemake says, and JSON may have tabs.
        "a: [\n",
        '{\t"a": 1}',
    ],
)
def test_what_is_right_or_said_by_others_passes(tmp_path, content):
    (tmp_path / "a.yaml").write_text(content)
    check_config_files([tmp_path / "a.yaml", tmp_path / "none.yaml"])


def test_a_file_is_read_as_yaml_reads_it(tmp_path):
    (tmp_path / "a.yaml").write_text("a: {ü: [1, x]}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"ü": [1, "x"]}}
