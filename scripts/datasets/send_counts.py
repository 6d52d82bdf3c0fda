"""The counts of a dataset to Weights & Biases, for whoever asks for it."""

import importlib
import logging
from typing import Any

log = logging.getLogger("rushes")


def send_counts(project: str, card: dict[str, Any]) -> None:
    """One run with the card's numbers; what cannot be sent is a warning, for the dataset is whole without it."""
    try:
        wandb: Any = importlib.import_module("wandb")
        with wandb.init(project=project, name=card["dataset"], config=card["settings"]) as run:
            run.log(numbers_of(card))
    except ImportError:
        log.warning("the counts were not sent: the package wandb is not installed in this env")
    # wandb has errors of its own for what the network and its server do, and no base for them that is exported.
    except Exception as error:
        log.warning("the counts were not sent to the project %s: %s", project, " ".join(str(error).split())[:200])


def numbers_of(card: dict[str, Any]) -> dict[str, float]:
    """What is sent: samples, hours, bytes, and every row of the counts."""
    numbers = {name: float(card[name]) for name in ("samples", "shards", "hours", "bytes")}
    numbers |= {f"rows/{name}": float(count) for name, count in card["rows"].items()}
    for step, counts in card["steps"].items():
        numbers |= {f"{step}/{name}": float(count) for name, count in counts.items()}
    return numbers
