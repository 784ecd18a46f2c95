"""
Group committer: writes the entries of all rooms of the node, and says how far each room is durable.

    rooms --submit--> a queue each --flush--> committed --> each room's `committed(room_seq)`

An entry stays in its room's queue until it is known to be durable, so whatever becomes of a flush, nothing is lost or
out of order. While one flush is in flight the next one gathers, so groups grow with load; and flushes begin a few
milliseconds apart, so that they do before the load is full.

What a flush that failed means, by its fault:

    Unavailable      surely not written: tried again, after a pause
    TookTooLong      likewise, but perhaps one room's fault (a row somebody has locked): its rooms go on each *apart*
    Poisoned         one entry's fault: likewise, down to the entry that fails alone (`poisoned`): its room is set back
    OutcomeUnknown   it may still land: `settle` fences what was sent and finds each journal's end; what is there is
                     durable, the rest is sent again. Until then nothing is flushed, and what was sent is neither acked
                     nor rejected
    Fenced           another has this node's rooms: `on_fenced` ends the process

Two lanes flush side by side: MAIN all rooms together, APART one room at a time, until it has had a flush of its own
again. So a room that waits for a lock waits alone.

What could not be written within the durability budget is given up (`given_up`), unless it is in flight or in doubt.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import IntEnum
from typing import Protocol

import structlog

from contracts import limits
from server.core.faults import Fault, Fenced, OutcomeUnknown, Poisoned, TookTooLong
from server.core.journal import Entry
from server.runtime.backoff import Backoff
from server.runtime.queue import Queue

_log = structlog.get_logger(service="committer")

#: From the begin of a flush to that of the next, at least; a lone action never waits. A flush costs this process and
#: PostgreSQL as much as ten of its rows: at 7,500 actions a second, 8 ms instead of 4 took an eighth off the server's
#: CPU and a quarter off PostgreSQL's.
FLUSH_EVERY_S = 0.008
#: Between two tries of a room apart, at least.
APART_RETRY_S = 0.25
#: Something waits, and nothing has become durable for so long: no write may succeed, though none has failed yet.
STUCK_S = 0.6


class Lane(IntEnum):
    MAIN = 0
    APART = 1


class Journaled(Protocol):
    """Whoever submits entries, and what it is told of them."""

    def committed(self, room_seq: int) -> None:
        """They are durable up to here."""

    def given_up(self, room_seq: int) -> None:
        """Those after `room_seq` were not written in time, and never will be."""

    def poisoned(self, fault: Poisoned) -> None:
        """The first that is not durable can be written by nobody; none after it will be."""


Flush = Callable[[Sequence[Entry], Lane], Awaitable[None]]
#: Fences what is in doubt; returns the end of the journal of each room that is still this node's. Raises nothing.
Settle = Callable[[], Awaitable[Mapping[Journaled, int]]]


class Committer:
    def __init__(
        self,
        flush: Flush,
        settle: Settle,
        budget_s: float,
        on_fenced: Callable[[Fenced], None],
        on_commit: Callable[[int, float], None],
        on_fault: Callable[[Fault], None],
    ) -> None:
        """`on_commit` gets each flush's number of actions and seconds, `on_fault` PostgreSQL's failures."""
        self._flush = flush
        self._settle = settle
        self._budget_s = budget_s
        self._on_fenced = on_fenced
        self._on_commit = on_commit
        self._on_fault = on_fault
        self._queues: dict[Journaled, Queue] = {}
        self._pending = 0
        self._wakened = {lane: asyncio.Event() for lane in Lane}
        #: Flushes in flight.
        self._in_flight = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        #: Clear while something is in doubt.
        self._certain = asyncio.Event()
        self._certain.set()
        #: Whether one of the lanes finds out about what is in doubt.
        self._is_resolving = False
        #: Since when no write has succeeded, by the monotonic clock; None while they do.
        self._failing_since: float | None = None
        #: Since when something waits and nothing has become durable; means nothing while nothing waits.
        self._waiting_since = 0.0
        #: When the next flush of all may begin.
        self._flush_at = 0.0
        #: To be called before it begins, or by this timer if a flush in flight takes longer.
        self._before_flush: list[Callable[[], None]] = []
        self._before_flush_timer: asyncio.TimerHandle | None = None
        #: When the timer may next go off.
        self._calls_at = 0.0

    @property
    def pending(self) -> int:
        """Actions applied and not known to be durable."""
        return self._pending

    @property
    def is_failing(self) -> bool:
        """Whether writes have failed for longer than an action may wait: nothing new is to be taken."""
        since = self._failing_since
        return since is not None and time.monotonic() - since >= self._budget_s

    @property
    def is_in_doubt(self) -> bool:
        """Whether something was sent and nobody knows what became of it; another node may have rooms of ours."""
        return not self._certain.is_set()

    def before_flush(self, call: Callable[[], None]) -> None:
        """Call it, once, just before the next flush of all may begin: at once, or in a few milliseconds, however long
        the one in flight takes."""
        if not self._before_flush:
            wait_s = max(self._flush_at, self._calls_at) - time.monotonic()
            self._before_flush_timer = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._call_before_flush)
        self._before_flush.append(call)

    def submit(self, room: Journaled, entries: Sequence[Entry]) -> None:
        """Queue a room's entries, in order. Bounded by whoever takes intents: see `pending`."""
        queue = self._queues.get(room)
        if queue is None:
            queue = self._queues[room] = Queue()
        now = time.monotonic()
        queue.add(entries, now)
        if not self._pending:
            self._waiting_since = now
        self._pending += len(entries)
        self._wakened[Lane.APART if queue.is_apart else Lane.MAIN].set()

    def forget(self, room: Journaled) -> None:
        """The room is no longer this node's: what it submitted is not written."""
        queue = self._queues.pop(room, None)
        if queue is not None:
            self._pending -= len(queue)

    def has_pending(self, room: Journaled) -> bool:
        return room in self._queues

    def writes_succeed(self) -> None:
        """Somebody's write to PostgreSQL did what was asked."""
        self._failing_since = None

    def write_failed(self, fault: Fault) -> None:
        """Somebody's write to PostgreSQL did not do what was asked."""
        self._on_fault(fault)

    def report_stuck(self) -> None:
        """Say so if nothing gets through, as when somebody locks a table; called by the clock."""
        if self._pending and time.monotonic() - self._waiting_since >= STUCK_S:
            self._on_fault(TookTooLong("nothing becomes durable", "timeout"))

    async def run(self, lane: Lane) -> None:
        """Flush until fenced, or until this is cancelled; a flush in flight is never cancelled with it."""
        wakened, backoff = self._wakened[lane], Backoff()
        while True:
            await wakened.wait()
            await self._certain.wait()
            if lane is Lane.MAIN and self._queues:
                await self._gather()
                await self._certain.wait()
                self._call_before_flush()
            batch = self._batch(lane)
            if not batch:
                wakened.clear()
                self._wake_at_retry(wakened)
                continue
            fault = await self._flush_batch(batch, lane)
            if fault is None:
                backoff.reset()
            elif isinstance(fault, Fenced):
                self._on_fenced(fault)
                return
            elif isinstance(fault, Poisoned | TookTooLong):
                self._set_apart(batch, fault)
            else:
                if isinstance(fault, OutcomeUnknown):
                    await self._resolve()
                # Also after a doubt: an entry that fells PostgreSQL whenever it is sent is to grow late meanwhile.
                await asyncio.sleep(backoff.next_s())

    def _wake_at_retry(self, wakened: asyncio.Event) -> None:
        """Rooms apart that are not to be tried yet are tried when it is time."""
        retries = [queue.retry_at for queue in self._queues.values() if queue.is_apart]
        if retries and wakened is self._wakened[Lane.APART]:
            asyncio.get_running_loop().call_later(max(0.0, min(retries) - time.monotonic()), wakened.set)

    def give_up_late(self) -> None:
        """Give up what has waited for longer than the budget; called by the clock."""
        due = time.monotonic() - self._budget_s
        for room, queue in list(self._queues.items()):
            if (keeps := queue.late(due)) is None:
                continue
            last_seq, dropped = keeps
            self._pending -= dropped
            if not queue:
                del self._queues[room]
            room.given_up(last_seq)

    # -- one flush ------------------------------------------------------------------------------------------------

    def _call_before_flush(self) -> None:
        if self._before_flush_timer is not None:
            self._before_flush_timer.cancel()
            self._before_flush_timer = None
        self._calls_at = time.monotonic() + FLUSH_EVERY_S
        calls, self._before_flush = self._before_flush, []
        for call in calls:
            call()

    async def _gather(self) -> None:
        """Let a group form."""
        wait_s = self._flush_at - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._flush_at = time.monotonic() + FLUSH_EVERY_S

    def _batch(self, lane: Lane) -> dict[Journaled, list[Entry]]:
        """What the lane's next flush holds, by room: of MAIN all that fits, of APART the room whose turn it is."""
        batch: dict[Journaled, list[Entry]] = {}
        rows, size_bytes, now = 0, 0, time.monotonic()
        for room, queue in self._queues.items():
            if queue.is_apart is not (lane is Lane.APART) or now < queue.retry_at:
                continue
            taken = queue.first(limits.FLUSH_ROWS_MAX - rows, limits.FLUSH_BYTES_MAX - size_bytes)
            if taken:
                batch[room] = taken
                rows += len(taken)
                size_bytes += sum(entry.size_bytes for entry in taken)
            if lane is Lane.APART or rows >= limits.FLUSH_ROWS_MAX or size_bytes >= limits.FLUSH_BYTES_MAX:
                break
        return batch

    async def _flush_batch(self, batch: Mapping[Journaled, Sequence[Entry]], lane: Lane) -> Fault | None:
        entries = [entry for taken in batch.values() for entry in taken]
        for room, taken in batch.items():
            self._queues[room].sent = len(taken)
        self._in_flight += 1
        self._quiet.clear()
        started = time.monotonic()
        try:
            await asyncio.shield(self._send(entries, lane))
        except Fault as fault:
            self._failed(batch, fault, started)
            return fault
        else:
            self._failing_since = None
            self._on_commit(len(entries), time.monotonic() - started)
            self._succeeded(batch)
            return None
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._quiet.set()

    async def _send(self, entries: Sequence[Entry], lane: Lane) -> None:
        try:
            await self._flush(entries, lane)
        except OutcomeUnknown:
            # Here, not when its lane's turn comes: the other lane's may come first.
            self._certain.clear()
            raise

    def _succeeded(self, batch: Mapping[Journaled, Sequence[Entry]]) -> None:
        for room, taken in batch.items():
            queue = self._queues.get(room)
            if queue is not None:
                queue.join()
                self._tell(room, queue, taken[-1].room_seq)
        # What is left of rooms that were apart is its from now on.
        self._wakened[Lane.MAIN].set()

    def _failed(self, batch: Mapping[Journaled, Sequence[Entry]], fault: Fault, started: float) -> None:
        if not isinstance(fault, Poisoned | TookTooLong | Fenced):
            self._failing_since = self._failing_since or started
            self._on_fault(fault)
        if not isinstance(fault, OutcomeUnknown):
            for room in batch:
                if room in self._queues:
                    self._queues[room].sent = 0
        _log.warning("a flush failed", fault=type(fault).__name__, reason=fault.reason, rooms=len(batch))

    def _set_apart(self, batch: Mapping[Journaled, Sequence[Entry]], fault: Fault) -> None:
        """Find whose fault it is: rooms that failed together go on alone, and one that failed alone by halves."""
        for room, taken in batch.items():
            queue = self._queues.get(room)
            if queue is None:
                continue
            if len(batch) == 1 and len(taken) == 1 and isinstance(fault, Poisoned):
                self.forget(room)
                self.writes_succeed()  # PostgreSQL has judged it, so it can be written to
                room.poisoned(fault)
                continue
            queue.set_apart()
            if len(batch) == 1:
                queue.halve(len(taken), time.monotonic() + APART_RETRY_S)
                # Another's turn.
                self._queues[room] = self._queues.pop(room)
        self._wakened[Lane.APART].set()

    # -- doubt ----------------------------------------------------------------------------------------------------

    async def _resolve(self) -> None:
        """Find out what became of what was sent; by whichever lane is first in doubt."""
        if self._is_resolving:
            return
        self._is_resolving = True
        await self._quiet.wait()
        ends = await self._settle()
        self._is_resolving = False
        self._certain.set()
        for room, queue in list(self._queues.items()):
            queue.sent = 0
            if room in ends:
                self._tell(room, queue, ends[room])
        self._failing_since = None
        for wakened in self._wakened.values():
            wakened.set()

    def _tell(self, room: Journaled, queue: Queue, room_seq: int) -> None:
        count = queue.drop_up_to(room_seq)
        self._pending -= count
        if count:
            self._waiting_since = time.monotonic()
        del self._queues[room]
        if queue:
            # Behind the others, which the bounds of the flush may have kept out.
            self._queues[room] = queue
        if count:
            room.committed(room_seq)
