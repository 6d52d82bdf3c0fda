"""Rushes: what a user's own code imports to read what the workflow made."""

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """`rushes.shards`, `rushes.windows`, `rushes.video2dataset` without an import of their own."""
    if name in ("shards", "windows", "video2dataset"):
        return importlib.import_module(f"rushes.{name}")
    raise AttributeError(f"module `rushes` has no {name}")
