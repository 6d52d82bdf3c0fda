"""What failed in an inference: the sounds themselves, or the requests to a server, which may answer another time."""

from pathlib import Path

from scripts.common import ledger

# The steps of the ledger that post results to a render service, and sounds to an engine.
RENDER = "request_render"
ENGINE = "infer_from_engine"
# Reasons of a request to an engine or a render service that ended badly.
UNANSWERED = ("no_answer", "refused", "bad_answer")


def failed_sounds(ledger_file: Path) -> list[ledger.Row]:
    """Rows of what failed by itself."""
    return [row for row in _failed(ledger_file) if not _is_request(row)]


def failed_requests(ledger_file: Path) -> list[ledger.Row]:
    """Rows of requests that met no good answer."""
    return [row for row in _failed(ledger_file) if _is_request(row)]


def _failed(ledger_file: Path) -> list[ledger.Row]:
    return [row for row in ledger.rows(ledger.read([ledger_file])) if row.outcome == "failed"]


def _is_request(row: ledger.Row) -> bool:
    # An engine can be started anew with another checkpoint, at the same address.
    of_engine = row.step == ENGINE and row.reason == "checkpoint_differs"
    return row.step == RENDER or row.reason in UNANSWERED or of_engine
