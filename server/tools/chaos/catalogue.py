"""
Catalogue: what a scenario is, and what it may need.
"""

import inspect
import os
import shutil
from collections.abc import Awaitable, Callable
from enum import Enum

import msgspec

from server.tools.chaos.stage import Stage


class Need(Enum):
    """What not every machine has."""

    ROOT = "root, to mount a small disk"
    STRACE = "strace, and the right to use it"


class Scenario(msgspec.Struct, frozen=True):
    """One fault, or a few at once. `run` raises Broken or Skipped; what it has recorded is checked after it."""

    #: Begins with its number in the catalogue of faults, where it has one.
    name: str
    #: Its docstring says what is done, and what must hold.
    run: Callable[[Stage], Awaitable[None]]
    #: It takes a few seconds, and is part of `make test`.
    is_fast: bool = False
    needs: tuple[Need, ...] = ()

    @property
    def about(self) -> str:
        return " ".join((inspect.getdoc(self.run) or "").split())

    def missing(self) -> Need | None:
        """What it needs and this machine lacks."""
        lacks = {Need.ROOT: os.geteuid() != 0, Need.STRACE: shutil.which("strace") is None}
        return next((need for need in self.needs if lacks[need]), None)
