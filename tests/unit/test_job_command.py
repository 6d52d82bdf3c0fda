"""What may stand on the command line of a cluster's job."""

import subprocess

import pytest
from snakemake_interface_executor_plugins.utils import format_cli_arg

from scripts.common.errors import ConfigError
from scripts.planning.job_command import check, is_plain


def after_two_shells(name: str) -> str:
    """What a job reads whose command line Snakemake writes, and its executor for SLURM wraps."""
    wrapped = format_cli_arg("printf %s", [name]).replace('"', '\\"')
    command = ["sh", "-c", f'sh -c "{wrapped}"']
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    "name", ["raw/a b.mov", "it's #1.mov", '5" wide.mov', "Üñí/日本 [a-z]*?!~.mov", "a;b&c|d>e(f)"]
)
def test_a_plain_name_comes_back_from_two_shells(name: str) -> None:
    assert is_plain(name)
    assert after_two_shells(name) == name


@pytest.mark.parametrize(
    "name", ["$HOME.mov", "`echo ran`", 'it\'s "a".mov', "10.00\u202fAM.mov", "a\nb", "a\\$b", '"a";echo ran;".mov"']
)
def test_a_name_that_does_not_come_back_is_not_plain(name: str) -> None:
    assert not is_plain(name)
    assert after_two_shells(name) != name


def test_the_first_setting_that_is_not_plain_is_named() -> None:
    check({"the working folder": "/data/it's #1", "results": "results"})
    with pytest.raises(ConfigError, match=r"^results: '/data/\$x' would be changed on the command line") as error:
        check({"the working folder": "/data", "results": "/data/$x", "--config only": "only=`a`"})
    assert "\n" not in str(error.value)
