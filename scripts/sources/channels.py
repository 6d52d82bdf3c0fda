"""What the readers of this project's own offer of a topic, in the form of rosbags' connections."""

from collections.abc import Callable
from dataclasses import dataclass

from scripts.sources.message_layout import Leaf, Read


@dataclass(eq=False)
class Channel:
    """One publisher of a topic. leaves: the fields of its messages; reader: makes a reader of chosen ones."""

    topic: str
    msgtype: str
    msgcount: int
    leaves: list[Leaf]
    reader: Callable[[tuple[str, ...]], Read]
