"""The order of files that people or programs have numbered."""

import re


def natural_order(name: str) -> list:
    """Sorting key in which frame9 comes before frame10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]
