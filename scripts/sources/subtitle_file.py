"""Subtitles in WebVTT or SubRip as [[start_s, stop_s, text], …]."""

import html
import re
from typing import Any

# 00:01:02.345 --> 00:01:04.000, hours optional, a comma in SubRip.
TIMES = re.compile(r"((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})\s*-->\s*((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})")
TAGS = re.compile(r"<[^>]*>|\{\\[^}]*\}")


def read_subtitles(text: str) -> list[list[Any]]:
    """Every line that says something, in the order of time; a line that repeats the one before lengthens it.

    The rolling captions that recognisers write show each line twice.
    """
    found: list[list[Any]] = []
    for block in re.split(r"\r?\n\s*\r?\n", text.lstrip("\ufeff")):
        times = TIMES.search(block)
        if times is None:
            continue
        lines = [" ".join(html.unescape(TAGS.sub("", line)).split()) for line in block[times.end() :].splitlines()[1:]]
        said = " ".join(line for line in lines if line)
        start, stop = (_seconds(times[group]) for group in (1, 2))
        if not said or stop <= start:
            continue
        if found and found[-1][2] == said and start <= found[-1][1] + 0.05:
            found[-1][1] = stop
            continue
        found.append([start, stop, said])
    return sorted(found, key=lambda line: line[:2])


def _seconds(text: str) -> float:
    *larger, seconds = text.replace(",", ".").split(":")
    return round(sum(60 ** (place + 1) * int(part) for place, part in enumerate(reversed(larger))) + float(seconds), 3)
