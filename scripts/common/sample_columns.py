"""What the columns of a sample are called, in its json and in the table of metadata. For planning, too."""

# What the json of a sample says of the clip itself.
OWN = ("key", "shard", "caption", "start_s", "stop_s", "duration_s", "asked_start_s", "asked_stop_s", "dropped_s")
# What it says of the item and of its pictures; beside these, `source_<fact>` and `cuts_s`, `cuts_s_<fps>`.
OF_ITEM = ("url", "item", "motion", "black", "freeze", "sharpness", "brightness")
# Endings of members, which are columns of parquet.
MEMBERS = ("mp4", "m4a", "jpg", "npy", "txt", "json")
# What is no material of a recorded item, and never a column: [[start_s, stop_s, reason, message], …] in its seconds;
# null is its start or end.
UNUSABLE = "_unusable"
# The reason of one that a person has ruled out.
EXCLUDED = "excluded"


def is_ours(name: str) -> bool:
    """Whether a column that every dataset may have is called so."""
    return name in (*OWN, *OF_ITEM, *MEMBERS) or name.startswith(("source_", "table_", "cuts_s"))


def as_tables(name: str) -> str:
    """What a table's column is called whose name is taken."""
    return f"table_{name}"
