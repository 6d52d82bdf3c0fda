"""A small set of recordings that goes through every stage in a few seconds of work."""

import shutil
from pathlib import Path

from rushes.synthetic.bench import write_mcap
from rushes.synthetic.talking_head import write_garbage, write_talking_head
from tests.conftest import Workspace, make_workspace

CONFIGFILE = "config/small.yaml"
CONFIG = """\
recordings: config/small.tsv

rigs:
  bench:
    source: bag
    cameras: {front: /camera/image_raw/ffmpeg}
    microphones: {voice: {topic: /microphone/raw_audio, stamp: block_start}}
    conform: {fps: 25}
  booth:
    source: file
    cameras: {front: "{source}"}
    microphones: {voice: "{source}"}

datasets:
  visemes:
    kind: windows
    rig: booth
    landmarks: given
    frames: 64
    augment_factor: 2
    limits: {av_start: 4, av_length: 3, no_speech: 0}

reports: {overlays: 1, overlay_s: 1}
known_failures: [garbage]
"""
COLUMNS = "recording rig source subject landmarks split"
ROWS = """\
bench bench recordings/bench.mcap - - -
one booth recordings/one.mp4 one recordings/one.landmarks.npy train
two booth recordings/two.MOV two recordings/two.landmarks.npy val
garbage booth recordings/garbage.mp4 three recordings/one.landmarks.npy train
"""


def sheet(rows: str) -> str:
    """A sheet of recordings from rows whose cells stand apart by spaces; `-` is an empty cell."""
    lines = [COLUMNS, *rows.splitlines()]
    return "".join("\t".join("" if cell == "-" else cell for cell in line.split()) + "\n" for line in lines)


def make_small(folder: Path) -> None:
    """Make the recordings of ROWS, and `three.mp4`, which no row names yet, in the new folder `folder`."""
    folder.mkdir(parents=True)
    write_mcap(folder / "bench.mcap", 4.0)
    write_talking_head(folder / "one.mp4", 4.0, seed=3, fps=25)
    write_talking_head(folder / "two.MOV", 4.0, seed=4)
    write_talking_head(folder / "three.mp4", 5.0, seed=5, fps=25)
    write_garbage(folder / "garbage.mp4")


def small_workspace(root: Path, recordings: Path) -> Workspace:
    """A new workspace in `root` with copies of the small recordings, which a test may change."""
    workspace = make_workspace(root, configfile=CONFIGFILE)
    shutil.copytree(recordings, root / "recordings")
    (root / CONFIGFILE).write_text(CONFIG)
    (root / "config" / "small.tsv").write_text(sheet(ROWS))
    return workspace


def copied(workspace: Workspace, root: Path) -> Workspace:
    """A copy of a workspace and of all that was made in it, with the files' times."""
    shutil.copytree(workspace.root, root, symlinks=True)
    return Workspace(root, workspace.configfile)
