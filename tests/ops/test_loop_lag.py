"""Facts about the loop's lag; the clock is a list of numbers."""

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from server.ops.loop_lag import watch_loop_lag


async def lags_of(times_s: list[float], period_s: float) -> list[float]:
    """The lags observed until the clock runs out."""
    clock: Iterator[float] = iter(times_s)
    lags: list[float] = []
    with pytest.raises(RuntimeError):  # StopIteration, as it leaves a coroutine
        await watch_loop_lag(lags.append, period_s=period_s, clock=lambda: next(clock))
    return lags


async def test_the_lag_is_what_a_timer_took_beyond_its_period() -> None:
    assert await lags_of([0.0, 0.0625, 1.0, 1.3125], 0.0625) == [0.0, 0.25]


async def test_a_timer_that_fires_early_is_no_negative_lag() -> None:
    assert await lags_of([0.0, 0.0005], 0.001) == [0.0]


async def test_a_lag_of_a_second_is_logged() -> None:
    with capture_logs() as logged:
        await lags_of([0.0, 0.9, 1.0, 2.5], 0.001)
    assert logged == [{"service": "ops", "lag_s": 1.499, "event": "loop.lagged", "log_level": "warning"}]


async def test_a_blocked_loop_is_seen_by_the_real_clock() -> None:
    lags: list[float] = []
    is_seen = asyncio.Event()

    def observe(lag_s: float) -> None:
        lags.append(lag_s)
        is_seen.set()

    task = asyncio.create_task(watch_loop_lag(observe, period_s=0.01))
    await asyncio.sleep(0)
    sum(range(3_000_000))  # work that blocks the loop past the period
    async with asyncio.timeout(5):
        await is_seen.wait()
    task.cancel()
    assert max(lags) > 0
