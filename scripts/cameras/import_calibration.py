"""A calibration that another program wrote, in the form that every later step reads."""

from pathlib import Path

from scripts.common import ledger
from scripts.common.calibration_import import read_calibration
from scripts.common.job import run

STEP = "import_calibration"


def import_calibration(
    given: Path, out_calibration: Path, out_ledger: Path, *, recording: str, cameras: list[str], unit: str
) -> None:
    """Write the cameras of the rig, by name, in mm. Raises InputError for what is no whole calibration of them."""
    read_calibration(given, cameras, unit).write(out_calibration)
    message = f"{len(cameras)} cameras from {given.name}"
    ledger.write(out_ledger, [ledger.Row(STEP, recording, recording, "written", value=len(cameras), message=message)])


if __name__ == "__main__":
    run(import_calibration)
