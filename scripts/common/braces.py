"""Names with braces, as shells expand them."""

import re


def expand_braces(pattern: str) -> list[str]:
    """`a{b,c}` and `a{00..09}`, nested or several, as every shell expands them."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    before, inner, after = pattern[: found.start()], found[1], pattern[found.end() :]
    steps = re.fullmatch(r"(\d+)\.\.(\d+)", inner)
    if steps:
        width = len(steps[1]) if steps[1].startswith("0") else 0
        choices = [f"{number:0{width}d}" for number in range(int(steps[1]), int(steps[2]) + 1)]
    elif "," in inner:
        choices = inner.split(",")
    else:
        return [pattern]
    # The inner braces are expanded first, so the outer ones meet each of their own choices more than once.
    return list(dict.fromkeys(name for choice in choices for name in expand_braces(f"{before}{choice}{after}")))
