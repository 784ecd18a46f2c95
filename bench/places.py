"""
Places: which processor cores each side of a run may use.

    2 cores:   server | databases and load        4 cores:   server | databases | load

A server has one core to itself, whichever server it is; the databases and the load that it is given are never on it.
What is started `at` some cores stays there with all its threads and children. Without Linux' affinity nothing is
pinned.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

Cores = frozenset[int]


class Places(msgspec.Struct, frozen=True):
    """Empty sets pin nothing."""

    server: Cores
    databases: Cores
    load: Cores

    def __str__(self) -> str:
        if not self.server:
            return "not pinned: this system has too few cores, or no way to pin"
        shown = (f"{', '.join(map(str, sorted(cores)))}" for cores in (self.server, self.databases, self.load))
        return "pinned: server on core {}, databases on {}, load on {}".format(*shown)


def choose() -> Places:
    """The same for every server of a comparison."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return divide(cores)


def divide(cores: list[int]) -> Places:
    if len(cores) < 2:
        return Places(frozenset(), frozenset(), frozenset())
    server, *rest = cores
    databases, *load = rest if len(rest) > 1 else rest * 2
    return Places(frozenset({server}), frozenset({databases}), frozenset(load))


@contextmanager
def at(cores: Cores) -> Iterator[None]:
    """What is started within, by this thread, runs on these cores."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
