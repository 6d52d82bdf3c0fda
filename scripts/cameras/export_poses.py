"""A recording's keypoints in space as files of other programs."""

from pathlib import Path

from scripts.cameras.pose_writers import WRITERS, Session
from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.keypoints import Poses

STEP = "export_poses"


def export_poses(
    poses: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    formats: list[str],
) -> None:
    """Write `poses.{format}` for each of `formats`: npz, csv, h5, trc, c3d.

    Raises InputError if there are no keypoints in space.
    """
    found = Poses.read(poses)
    if not len(found):
        raise InputError(ledger.UPSTREAM, f"{recording}: it has no keypoints in space, see the ledgers before")
    session = Session(recording, found, found.fps)
    out_folder.mkdir()
    for name in formats:
        WRITERS[name](session, out_folder)
    rows = [ledger.Row(STEP, recording, name, "written", value=float(len(found))) for name in formats]
    ledger.write(out_ledger, rows)


if __name__ == "__main__":
    run(export_poses)
