"""
publish_common: names of what leaves for a store. No rules.
"""

from scripts.common.versions import versioned
from scripts.planning.store import publishable, published

# The first object below the prefix, which stays: Snakemake's plugin deletes a bucket with its last object.
MARK = "RUSHES.txt"
# Without a store, files that no target asks for take the place of its objects, so that the rules can be read.
no_store = f"{path.results}/unpublished"


def stored(pattern, **settings):
    """An object of the store."""
    prefix = plan.config["publish"]
    return storage(f"{prefix}/{pattern}", **settings) if prefix else f"{no_store}/{pattern}"


def stored_folder(pattern):
    """A folder of the store, an object a file."""
    prefix = plan.config["publish"]
    return storage(directory(f"{prefix}/{pattern}")) if prefix else directory(f"{no_store}/{pattern}")


# It is there before everything else, and nothing that changes makes it anew.
mark_of_store = ancient(stored(MARK, retrieve=False))
