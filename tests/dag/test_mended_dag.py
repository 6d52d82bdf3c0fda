"""A person's file that was mended is read again, also where its copy kept an older time."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.dag.archive import COLUMNS, MEDIA, Archive

LONG_AGO = 1_000_000_000


class Written(Archive):
    """An archive with every kind of file that people write, as they were at first."""

    def __init__(self, root):
        super().__init__(root)
        self.files_of_sources(*MENDED)
        self.datasets = {"visemes": {"kind": "windows", "rig": "booth", "landmarks": "given"}}
        self.rigs["aviary"]["exports"] = {"clips": {"table": "clips.csv"}}
        self.rigs["arena"] = {
            "source": "files",
            "cameras": {name: f"{{source}}/*.{name}.mp4" for name in ("top", "side")},
            "multicam": {
                "align": {"by": "given", "table": "pairs.csv"},
                "detect": {"backend": "aruco", "markers": [1, 2]},
            },
        }
        self.files_of_sources("raw/e/e.top.mp4", "raw/e/e.side.mp4", "others.npy")
        for row, landmarks in zip(self.rows, ["given.npy", "others.npy", "others.npy", "", ""], strict=True):
            row[4] = landmarks
        self.rows = [[*row, "", ""] for row in self.rows]
        self.rows[0][-2] = "l.csv"
        self.rows.append(["e", "arena", "raw/e", "Cid", "", "", "", "", "", "lenses.toml"])

    def write(self, **changes):
        """Write sheets and config."""
        self.sheet([*COLUMNS, "labels", "calibration"], self.rows)
        self.write_config(**{"media": MEDIA, **changes})

    def make(self, path):
        """Make an output; rows are counted where cameras are aligned."""
        if path.name in ("clips", "exported"):
            path.mkdir(exist_ok=True)
        elif path.suffix == ".parquet" and "arena" in path.parts:
            pq.write_table(pa.table({}), path)
        else:
            super().make(path)


MENDED = {
    "l.csv": {"import_labels": 1},
    "given.npy": {"extract_landmarks": 1},
    "clips.csv": {"cut_clips": 2},
    "pairs.csv": {"align_cameras": 1},
    "lenses.toml": {"import_calibration": 1},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    archive = Written(tmp_path_factory.mktemp("mended"))
    archive.finish()
    return archive


@pytest.mark.parametrize("name", MENDED)
def test_a_mended_file_with_an_older_time_is_read_again(finished, name):
    file = finished.root / name
    was = file.stat()
    file.write_text("mended")
    os.utime(file, (LONG_AGO, LONG_AGO))
    shown = finished.dry_run("all", "labels")
    file.write_bytes(b"")
    os.utime(file, (was.st_atime, was.st_mtime))
    assert {rule: shown.jobs.get(rule) for rule in MENDED[name]} == MENDED[name], shown.text
    others = {rule for jobs in MENDED.values() for rule in jobs} - set(MENDED[name])
    assert not others & shown.rules


def test_nothing_is_read_again_while_none_is_mended(finished):
    assert finished.dry_run("all", "labels").jobs == {}
