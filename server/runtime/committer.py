"""
Group committer: writes the entries of all rooms of the node, one flush at a time.

    rooms --submit--> waiting --flush in flight--> committed --> each room's `committed(room_seq)`

While one flush is in flight the next one gathers, so groups grow with load; and flushes begin a few
milliseconds apart, so that they do before the load is full. Entries of a room stay in order; a flush is
bounded in rows and bytes.

Any doubt ends the node: a flush that was fenced, whose outcome is unknown, or that went past
the durability budget is never acknowledged, rejected nor tried under another name. `on_doubt` is
told, the process closes its clients with 4010, and the restart finds in PostgreSQL what is true.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from contracts import limits
from server.core.faults import Fault, Unavailable
from server.core.journal import Entry

_log = structlog.get_logger(service="committer")

#: Between two tries of a flush that definitely did not happen.
RETRY_S = 0.1
#: From the begin of a flush to that of the next, at least; a lone action never waits. A flush costs this process and
#: PostgreSQL as much as ten of its rows: at 1,500 actions a second this makes groups of six out of groups of two,
#: and takes a third off PostgreSQL's share of an action.
FLUSH_EVERY_S = 0.004

Flush = Callable[[Sequence[Entry]], Awaitable[None]]


class Committed(Protocol):
    """Whoever submits entries is told how far they are durable."""

    def committed(self, room_seq: int) -> None: ...


class Committer:
    def __init__(
        self,
        flush: Flush,
        budget_s: float,
        on_doubt: Callable[[Fault], None],
        on_commit: Callable[[int, float], None],
    ) -> None:
        """`on_commit` gets each flush's number of actions and seconds."""
        self._flush = flush
        self._budget_s = budget_s
        self._on_doubt = on_doubt
        self._on_commit = on_commit
        self._waiting: deque[tuple[Committed, Entry]] = deque()
        self._wakened = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_flight = 0
        #: When the next flush may begin, by the monotonic clock.
        self._flush_at = 0.0

    @property
    def pending(self) -> int:
        """Actions applied and not yet durable."""
        return len(self._waiting) + self._in_flight

    def submit(self, room: Committed, entries: Sequence[Entry]) -> None:
        """Queue a room's entries, in order. Bounded by whoever takes intents: see `pending`."""
        for entry in entries:
            self._waiting.append((room, entry))
        self._wakened.set()
        self._idle.clear()

    async def drained(self) -> None:
        """Wait until nothing is pending."""
        await self._idle.wait()

    async def run(self) -> None:
        """Flush until a flush is in doubt, or this is cancelled; a flush in flight is never cancelled with it."""
        while True:
            await self._wakened.wait()
            self._wakened.clear()
            while self._waiting:
                await self._gather()
                batch = self._take_batch()
                try:
                    await asyncio.shield(self._written([entry for _, entry in batch]))
                except Fault as fault:
                    _log.error("flush in doubt", fault=type(fault).__name__, actions=len(batch), exc_info=fault)
                    self._on_doubt(fault)
                    return
                self._in_flight = 0
                self._tell(batch)
            self._idle.set()

    async def _gather(self) -> None:
        """Let a group form."""
        wait_s = self._flush_at - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._flush_at = time.monotonic() + FLUSH_EVERY_S

    async def _written(self, entries: Sequence[Entry]) -> None:
        """Write them, trying again what definitely did not happen, within the durability budget."""
        deadline = time.monotonic() + self._budget_s
        while True:
            started = time.perf_counter()
            try:
                await self._flush(entries)
            except Unavailable as fault:
                if time.monotonic() >= deadline:
                    raise
                _log.warning("flush refused, trying again", actions=len(entries), reason=str(fault))
                await asyncio.sleep(RETRY_S)
            else:
                self._on_commit(len(entries), time.perf_counter() - started)
                return

    def _take_batch(self) -> list[tuple[Committed, Entry]]:
        waiting, size_bytes = self._waiting, 0
        batch: list[tuple[Committed, Entry]] = []
        while waiting and len(batch) < limits.FLUSH_ROWS_MAX and size_bytes < limits.FLUSH_BYTES_MAX:
            batch.append(waiting.popleft())
            size_bytes += batch[-1][1].size_bytes()
        self._in_flight = len(batch)
        return batch

    @staticmethod
    def _tell(batch: Sequence[tuple[Committed, Entry]]) -> None:
        """Each room once, with its last durable number."""
        ends = {id(room): (room, entry.room_seq) for room, entry in batch}
        for room, room_seq in ends.values():
            room.committed(room_seq)
