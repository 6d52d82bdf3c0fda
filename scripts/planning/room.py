"""What one kind of product adds to a run. A room is made from the plan, checks its own part of the config, and answers
with what it makes; the plan asks each of them, and knows none by name."""

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.planning.plan import Plan


class Room:
    """A kind of product: its paths, targets and ledgers. The constructor raises ConfigError for what cannot be made."""

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan

    def targets(self, stage: str) -> list[str]:
        """One output of every job that the target rule of `stage` asks for; of `plan.chosen` alone under `only`."""
        return []

    def ledgers(self) -> list[str]:
        """Every ledger of the room, in the order of the stages; of `plan.chosen` alone under `only`."""
        return []

    def reports(self) -> list[str]:
        """Pages, plots and videos that the report waits for; of `plan.chosen` alone under `only`."""
        return []

    def published(self) -> dict[str, list[str]]:
        """What leaves for a store: `files`; `folders` of shards, beside each of which `.shards.json` lists them; and
        `listed`, folders for which that is still to be written."""
        return {}

    def notices(self) -> list[str]:
        """What a person should know before anything runs, a line each."""
        return []

    def url_tables(self) -> dict[str, str]:
        """Names in the ledger of which some rows may fail without ending a run badly, but not all: with their cards."""
        return {}

    def retried(self) -> list[str]:
        """Outputs that `--config retry=failed` makes again, beside the ledgers of what failed."""
        return []

    def again(self, targets: Collection[str]) -> list[str]:
        """Outputs that a run of these targets makes again untold: something that they asked met no answer."""
        return []
