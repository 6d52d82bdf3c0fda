"""A recording's keypoints in space as files of other programs."""

from pathlib import Path

from scripts.cameras.pose_writers import WRITERS, Session
from scripts.common import ledger
from scripts.common.errors import InputError, UpstreamError
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
    """Write `poses.{format}` for each of `formats`: npz, csv, h5, trc, c3d; one that cannot hold them fails alone.

    Raises InputError if there are no keypoints in space.
    """
    found = Poses.read(poses)
    if not len(found):
        raise UpstreamError(recording, "it has no keypoints in space")
    session = Session(recording, found, found.fps)
    out_folder.mkdir()
    ledger.write(out_ledger, [_written(session, name, out_folder) for name in formats])


def _written(session: Session, name: str, folder: Path) -> ledger.Row:
    try:
        WRITERS[name](session, folder)
    except InputError as error:
        said = f"{session.recording}: {error.message}"
        return ledger.Row(STEP, session.recording, name, "failed", error.reason, error.value, error.limit, said)
    return ledger.Row(STEP, session.recording, name, "written", value=float(len(session.poses)))


if __name__ == "__main__":
    run(export_poses)
