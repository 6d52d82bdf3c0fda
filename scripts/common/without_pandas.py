"""pyarrow imports pandas to know whether a value is one of pandas' own. No rule has such values.

The import is half of what a short job takes to start.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Refusal(MetaPathFinder):
    """Says that there is no pandas."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pyarrow is not to ask for pandas", name=fullname)
        return None


def spare_pandas() -> None:
    """Let pyarrow believe that there is no pandas; everybody else can still import it. Nothing where it is there."""
    if "pyarrow" not in sys.modules or "pandas" in sys.modules:
        return
    import pyarrow as pa

    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        # It asks once a process, with the first list that becomes an array.
        pa.array([0])
    finally:
        sys.meta_path.remove(refusal)
