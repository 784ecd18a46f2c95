"""
Database: one embedded database, from its start to its end, and again from its start when it died.

    start --> at work --(died)--> leftovers ended --> pause --> started on the same port --> at work
                 `--end--> gone                         ^------ did not start -------'

The port and the password stay what they were, so whoever holds its URL only has to connect again. The first start after
a quiet time comes at once; a database that keeps dying is started ever more slowly, but never given up: a full disk may
be freed. A PostgreSQL whose backend was killed restarts its own processes, and has not died.

What it doesn't do: judge a database that is frozen or slow. The server's probes do.
"""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from server.embedded.account import EmbeddedFailed

_LOOK_S = 0.1
#: Before each attempt in quick succession, the last for all that follow. Short, for nobody plays meanwhile and whatever
#: was in its way may be gone at any moment.
_PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0)
#: Who lived so long has not died of its start.
_STEADY_S = 10.0
_LEFTOVERS_S = 1.0

_log = structlog.get_logger(service="embedded")


class Started(msgspec.Struct, frozen=True):
    """A database that answers at its URL."""

    process: subprocess.Popen[bytes]
    port: int
    url: str


class Database:
    """`start` starts it at a port, for None at any free one; `end` ends what works in its home, within a patience."""

    def __init__(
        self,
        name: str,
        start: Callable[[int | None], Awaitable[Started]],
        end: Callable[[float], Awaitable[bool]],
    ) -> None:
        self.name = name
        self._start = start
        self._end = end
        self._started: Started | None = None

    @property
    def url(self) -> str:
        """Where it answers; the same for all its lives."""
        assert self._started is not None
        return self._started.url

    def is_alive(self) -> bool:
        return self._started is not None and self._started.process.poll() is None

    async def start(self) -> None:
        """Start it, at the port it had before if it had one; nothing may be at work in its home.

        Raises EmbeddedFailed; nothing is left running then."""
        self._started = await self._start(None if self._started is None else self._started.port)

    async def end(self, patience_s: float) -> bool:
        """End it and what it may have left; True if there was any. Idempotent."""
        found = await self._end(patience_s)
        if self._started is not None:
            self._started.process.wait()
        return found

    async def watch(self) -> None:
        """Start it again whenever it has died. Runs until cancelled, which must come before `end`."""
        attempts, since_s = 0, time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._started is None or self.is_alive():
                continue
            _log.error("database.died", database=self.name, status=self._started.process.returncode)
            if time.monotonic() - since_s >= _STEADY_S:
                attempts = 0
            while not await self._is_back(_PAUSES_S[min(attempts, len(_PAUSES_S) - 1)]):
                attempts += 1
            attempts, since_s = attempts + 1, time.monotonic()

    async def _is_back(self, pause_s: float) -> bool:
        """One attempt to start it again; whether it answers."""
        begun_s = time.monotonic()
        try:
            await self._end(_LEFTOVERS_S)
            await asyncio.sleep(pause_s)
            await self.start()
        except EmbeddedFailed as problem:
            _log.error("database.not_started", database=self.name, pause_s=pause_s, problem=str(problem))
            return False
        _log.warning("database.started_again", database=self.name, took_s=round(time.monotonic() - begun_s, 3))
        return True
