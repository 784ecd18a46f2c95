"""Locks by name: whoever does a thing to a room, or for a player, does it alone."""

import asyncio
from collections.abc import Iterator
from weakref import WeakValueDictionary


class Locks:
    """One `asyncio.Lock` a name, for as long as somebody holds or awaits it; so there are no more than callers."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __getitem__(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def __iter__(self) -> Iterator[str]:
        """The names in use."""
        return iter(list(self._locks))
