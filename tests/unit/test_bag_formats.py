"""Every format that docs/sources.md promises, one test each: ids here are the first column of its table."""

import re
import struct
from pathlib import Path

import pytest

from tests.unit.bag_formats import containers, images, packets, profiles, sounds, stills
from tests.unit.bag_formats.register import exported, formats_of
from tests.unit.bag_maker import (
    COMPRESSED,
    Ros,
    send_compressed,
)
from tests.unit.examples import REPO

FORMATS = formats_of(containers, packets, images, stills, sounds, profiles)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_exported(tmp_path: Path, name: str) -> None:
    FORMATS[name](tmp_path)


def test_the_docs_list_exactly_the_formats_that_are_tested() -> None:
    table = (REPO / "docs" / "sources.md").read_text().partition("<!-- formats -->")[2].partition("<!-- end -->")[0]
    listed = [
        name for row in re.findall(r"^\| (.+?) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    ]
    assert sorted(listed) == sorted(FORMATS)


def test_a_compressed_image_of_ros_is_what_it_says(tmp_path: Path) -> None:
    ros = Ros(1)
    send_compressed(ros, 0, struct.pack("<iff", 0, 0, 0) + b"rvl data", "16UC1; compressedDepth rvl")
    made = exported(ros.write(tmp_path / "a.bag"), tmp_path)
    assert made.rows["cam"].reason == "unsupported"
    assert "is not compressed as png" in made.rows["cam"].message
    assert COMPRESSED in ros.store.types
