"""Recordings that know the truth about themselves: seeded, small, made in seconds.

A picture carries its frame number as a bar code; a flash is shown at known times, and a beep begins at each.
Every writer returns what it wrote as a plain dict, the recording's entry in `truth.json` (see `demo.py`).
"""

from rushes.synthetic.aviary import write_aviary_bag
from rushes.synthetic.bars import draw_flash, draw_number, is_flash, read_number
from rushes.synthetic.bench import write_mcap
from rushes.synthetic.demo import VERSION, make_demo, read_truth
from rushes.synthetic.faces import brows_raised, mouth_opening
from rushes.synthetic.sounds import find_beeps
from rushes.synthetic.talking_head import write_garbage, write_talking_head

__all__ = [
    "VERSION",
    "brows_raised",
    "draw_flash",
    "draw_number",
    "find_beeps",
    "is_flash",
    "make_demo",
    "mouth_opening",
    "read_number",
    "read_truth",
    "write_aviary_bag",
    "write_garbage",
    "write_mcap",
    "write_talking_head",
]
