"""Plots that are higher than the window are seen from their top in the report of a local run."""

import re
from pathlib import Path

import snakemake
import yaml

from tests.unit.examples import REPO

LOCAL = REPO / "profiles" / "local"
VIEWER = Path(snakemake.__file__).parent / "report" / "html_reporter" / "template" / "components" / "content.js"


def test_the_style_that_the_profile_names_is_of_what_the_report_centres():
    style = (LOCAL / yaml.safe_load((LOCAL / "profile.yaml").read_text())["report-stylesheet"]).read_text()
    (selector,) = re.findall(r"^div\.(\S+) \{\s*align-items: safe center;", style, re.M)
    centred = [names.split() for names in re.findall(r'className: "([^"]*)"', VIEWER.read_text())]
    assert any(set(selector.split(".")) <= set(names) for names in centred)
