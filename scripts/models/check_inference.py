"""The last word of an inference: which sounds failed. The others are made."""

from pathlib import Path

from scripts.common import ledger
from scripts.common.errors import RunError
from scripts.common.job import run

# As many failures as a terminal shows at once; the rest stand in the ledger.
SHOWN = 20


def check_inference(spoken: Path, out_checked: Path) -> None:
    """Raises RunError while a sound has failed."""
    failed = [row for row in ledger.rows(ledger.read([spoken])) if row.outcome == "failed"]
    if failed:
        lines = [f"  {row.item}: {row.message} ({row.reason})" for row in failed[:SHOWN]]
        more = [f"  … and {len(failed) - SHOWN} more in {spoken}"] if len(failed) > SHOWN else []
        many = f"{len(failed)} sounds" if len(failed) > 1 else "1 sound"
        advice = "  Mend or remove them, and give the same command again."
        raise RunError("\n".join([f"{many} failed; everything else is made:", *lines, *more, advice]))
    out_checked.write_text("every sound is made\n")


if __name__ == "__main__":
    run(check_inference)
