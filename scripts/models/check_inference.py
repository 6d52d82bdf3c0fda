"""The last word of an inference: which sounds and requests failed. The others are made."""

from pathlib import Path

from scripts.common.errors import RunError
from scripts.common.inference_rows import RENDER, failed_requests, failed_sounds
from scripts.common.job import run
from scripts.common.ledger import Row

# As many failures as a terminal shows at once; the rest stand in the ledger.
SHOWN = 20
AGAIN = "The same command asks again."


def check_inference(spoken: Path, out_checked: Path) -> None:
    """Raises RunError while a sound, a request, or the whole has failed."""
    sounds, requests = failed_sounds(spoken), failed_requests(spoken)
    # A row without an item is of the job: its checkpoint, zip or engine was refused before any sound.
    for row in sounds + requests:
        if not row.item:
            advice = AGAIN if row in requests else "Give another, and the command again."
            raise RunError(f"nothing is made: {row.message} ({row.reason})\n  {advice}")
    unrendered = [row for row in requests if row.step == RENDER]
    unasked = [row for row in requests if row.step != RENDER]
    said = [
        *_said(sounds, "sound", "failed", "Mend or remove them, and give the same command again.", spoken),
        *_said(unasked, "sound", "got no landmarks from the engine", AGAIN, spoken),
        *_said(unrendered, "result", "not rendered", AGAIN, spoken),
    ]
    if said:
        raise RunError("\n".join(said))
    out_checked.write_text("every sound is made\n", encoding="utf-8")


def _said(rows: list[Row], what: str, happened: str, advice: str, ledger: Path) -> list[str]:
    if not rows:
        return []
    heading = f"{len(rows)} {what}s" if len(rows) > 1 else f"1 {what}"
    lines = [f"  {row.item}: {row.message} ({row.reason})" for row in rows[:SHOWN]]
    more = [f"  … and {len(rows) - SHOWN} more in {ledger}"] if len(rows) > SHOWN else []
    return [f"{heading} {happened}; everything else is made:", *lines, *more, f"  {advice}"]


if __name__ == "__main__":
    run(check_inference)
