"""Names at the addresses that they had once, for scripts of others: looked up where they are now, when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection


def found_in(place: str, names: Collection[str]) -> Callable[[str], object]:
    """Return a module's `__getattr__` for names that lie in `place`, a module below the pack, "weights" for example."""

    def look_up(name: str) -> object:
        if name not in names:
            raise AttributeError(f"no attribute {name!r} here; {', '.join(sorted(names))} have moved to {place}")
        return getattr(importlib.import_module(f".{place}", __package__), name)

    return look_up
