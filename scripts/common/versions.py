"""The version of a method in the params of its rule, so that what an older one made is made again."""

from typing import Any


def versioned(version: int, **settings: Any) -> dict[str, Any]:
    """The param `key` of a rule: the version of its method and its settings by name.

    Snakemake compares params by their sorted values, without names, and cannot tell a swap of two; this it compares
    whole. A higher version reruns what an older method has made.
    """
    return {"version": version, **settings}
