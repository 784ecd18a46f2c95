"""
A clock that moves when it is told to, and event loops that know no other.

Each simulated process has a loop of its own: one that is not run is a frozen process, one that is never run again a
killed one. Nothing here waits, so a minute of a world passes in milliseconds, the same way each time.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

#: Unix milliseconds at which every world begins.
EPOCH_MS = 1_700_000_000_000


class Clock:
    """What time it is, and what the world itself does when."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def unix_ms(self) -> int:
        return EPOCH_MS + int(self.now_s * 1000)

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now_s + delay_s, next(self._count), call))

    @property
    def next_at(self) -> float:
        return self._agenda[0][0] if self._agenda else float("inf")

    def run_due(self) -> None:
        while self._agenda and self._agenda[0][0] <= self.now_s:
            heapq.heappop(self._agenda)[2]()


class Loop(asyncio.AbstractEventLoop):
    """As much of an event loop as tasks, futures, locks and timers ask for."""

    def __init__(self, clock: Clock, on_problem: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._on_problem = on_problem
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._count = itertools.count()

    @property
    def next_at(self) -> float:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else float("inf")

    def run_due(self) -> bool:
        """Run all that may run by now; whether there was anything."""
        while self.next_at <= self._clock.now_s:
            self._ready.append(heapq.heappop(self._timers)[2])
        if not self._ready:
            return False
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)
        return True

    def end(self) -> None:
        """Cancel what still runs, with nobody left to see what it does then."""
        for task in list(self._tasks):
            task.cancel()
        self.run_due()

    # -- what asyncio asks of a loop ------------------------------------------------------------------------------

    def time(self) -> float:
        return self._clock.now_s

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # A task that is thrown away with its killed process comes here too, without an exception.
        if isinstance(problem := context.get("exception"), BaseException):
            self._on_problem(problem)
