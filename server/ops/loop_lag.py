"""
Loop lag: how late the event loop runs its timers, which is how long everything on it has to wait.

A handler that blocks shows as one late timer of its length, seen when it ends; a busy loop shows as many small ones.
While it blocks, the watchdog says where (`loop_watchdog.py`).
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from server.ops.loop_watchdog import LoopWatchdog

PERIOD_S = 0.25
LOGGED_FROM_S = 1.0

log = structlog.get_logger(service="ops")


async def watch_loop_lag(
    observe: Callable[[float], None], *, period_s: float = PERIOD_S, clock: Callable[[], float] = time.monotonic
) -> None:
    """Runs until cancelled; gives `observe` the lag of each period in seconds, and logs one of a second or more."""
    with LoopWatchdog() as watchdog:
        while True:
            started_s = clock()
            await asyncio.sleep(period_s)
            watchdog.beat()
            lag_s = max(0.0, clock() - started_s - period_s)
            observe(lag_s)
            if lag_s >= LOGGED_FROM_S:
                log.warning("loop.lagged", lag_s=round(lag_s, 3))
