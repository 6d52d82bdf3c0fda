"""Snakemake that asks after its cluster jobs once a second.

The executor for SLURM waits 10 s longer after every question that brought no news, and no option shortens that.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.remove(str(Path(__file__).parent))  # jobs inherit the path

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def one_second(self: Any) -> None:
    await asyncio.sleep(1)


RemoteExecutor.sleep = one_second
main()
