"""A calibration that another program wrote, in the form that every later step reads."""

from pathlib import Path

from scripts.cameras.calibration_import import read_calibration
from scripts.cameras.picture_size import picture_size
from scripts.common import ledger
from scripts.common.job import run

STEP = "import_calibration"


def import_calibration(
    given: Path,
    videos: list[Path],
    out_calibration: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: list[str],
    unit: str,
    fisheye: list[str],
) -> None:
    """Write the cameras of the rig, by name, in mm, for pictures as large as those of its videos.

    fisheye: cameras whose distortions a file that does not say it has for a fisheye. Raises InputError for what is no
    whole calibration of them, or one for pictures of another shape.
    """
    sizes = {name: picture_size(video) for name, video in zip(cameras, videos, strict=True)}
    calibration, notes = read_calibration(given, cameras, unit, fisheye, sizes)
    calibration.write(out_calibration)
    message = "; ".join([f"{len(cameras)} cameras from {given.name}", *notes])
    ledger.write(out_ledger, [ledger.Row(STEP, recording, recording, "written", value=len(cameras), message=message)])


if __name__ == "__main__":
    run(import_calibration)
