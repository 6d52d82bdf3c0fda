"""A job starts with what it needs alone, and its processes have what they need when they start."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from scripts.common.small_picture import SmallPictures
from scripts.common.video import EXACT, plane_arrays

REPO = Path(__file__).parents[2]


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_tables_are_written_and_read_without_pandas_which_others_can_still_import(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
import pyarrow as pa, pyarrow.parquet as pq
from scripts.common.without_pandas import spare_pandas
spare_pandas()
table = pa.Table.from_pylist([{{"a": 1, "b": "x"}}])
pq.write_table(table, {str(tmp_path / "t.parquet")!r})
assert pq.read_table({str(tmp_path / "t.parquet")!r}, partitioning=None).to_pylist() == [{{"a": 1, "b": "x"}}]
print("pandas" in sys.modules)
print(table.to_pandas()["a"].tolist())
"""
    pytest.importorskip("pandas")
    assert python(program).split() == ["False", "[1]"]


def test_processes_of_a_lot_are_forks_of_one_that_has_imported_what_they_need(tmp_path):
    """The path to the modules is the main program's alone, as it is in Snakemake's jobs."""
    (tmp_path / "slow_module.py").write_text(
        "import os\n"
        "HOME = os.getpid()\n"
        "def task(number):\n"
        "    import cv2\n"
        "    return {'home': HOME, 'own': os.getpid(), 'threads': cv2.getNumThreads()}\n"
    )
    program = f"""
import sys, os
from pathlib import Path
sys.path[:0] = [{str(REPO)!r}, {str(tmp_path)!r}]
from scripts.common.lot_work import work_on
from scripts.common.working import Working
import slow_module
ended = work_on(slow_module.task, {{str(k): k for k in range(8)}}, Working(Path({str(tmp_path / "work")!r}), ""), 2, "")
print(all(s["home"] not in (s["own"], os.getpid()) for s in ended.values()), {{s["threads"] for s in ended.values()}})
print(os.environ.get("PYTHONPATH", ""), os.environ.get("OMP_NUM_THREADS", ""))
"""
    assert python(program, PYTHONPATH="", OMP_NUM_THREADS="7").split("\n") == ["True {1}", " 7"]


@pytest.mark.parametrize("colours", [1, 2, 5, 6, 9])
def test_a_small_picture_has_the_pixels_that_ffmpeg_converts(colours):
    """Without scaling, so that the conversion of every colour is seen alone."""
    random = np.random.default_rng(colours)
    whole = av.VideoFrame(256, 128, "yuv420p")
    for plane in plane_arrays(whole):
        plane[:] = random.integers(0, 256, plane.shape)
    whole.colorspace, whole.color_range = colours, 1
    planes = av.VideoFrame(256, 128, "yuv444p")
    small = SmallPictures()
    found = small.bgr(whole)
    for target, source in zip(plane_arrays(planes), small._planes, strict=True):
        target[:] = source
    planes.colorspace, planes.color_range = whole.colorspace, whole.color_range
    expected = planes.reformat(format="bgr24", interpolation=EXACT, threads=1).to_ndarray()
    assert np.array_equal(found, expected)
