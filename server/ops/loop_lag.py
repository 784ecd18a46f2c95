"""
Loop lag: how late the event loop runs its timers, which is how long everything on it has to wait.

A handler that blocks shows as one late timer of its length, seen when it ends; a busy loop shows as many small ones.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

PERIOD_S = 0.25
LOGGED_FROM_S = 1.0

log = structlog.get_logger(service="ops")


async def watch_loop_lag(
    observe: Callable[[float], None], *, period_s: float = PERIOD_S, clock: Callable[[], float] = time.monotonic
) -> None:
    """Runs until cancelled; gives `observe` the lag of each period in seconds, and logs one of a second or more."""
    while True:
        started_s = clock()
        await asyncio.sleep(period_s)
        lag_s = max(0.0, clock() - started_s - period_s)
        observe(lag_s)
        if lag_s >= LOGGED_FROM_S:
            log.warning("loop.lagged", lag_s=round(lag_s, 3))
