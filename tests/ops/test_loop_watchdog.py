"""Who blocks the loop is named while it blocks, once, and a loop that turns is left in peace."""

import threading
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.ops.loop_watchdog import LoopWatchdog

PATIENCE_S = 10.0


@pytest.fixture
def watchdog() -> Iterator[LoopWatchdog]:
    with LoopWatchdog(blocked_s=0.1, look_s=0.01) as watchdog:
        yield watchdog


def blocks_until(told: list[MutableMapping[str, Any]], count: int) -> None:
    """A handler that does not come back before so much has been told of it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while len(told) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def test_who_blocks_is_told_while_it_blocks(watchdog: LoopWatchdog) -> None:
    with capture_logs() as logged:
        blocks_until(logged, 1)
    assert ("loop.blocked", "warning") == (logged[0]["event"], logged[0]["log_level"])
    assert logged[0]["since_s"] >= 0.1
    assert "in blocks_until" in logged[0]["stack"].splitlines()[-2]


def test_each_blockage_is_told_once(watchdog: LoopWatchdog) -> None:
    with capture_logs() as logged:
        blocks_until(logged, 1)
        time.sleep(0.2)
        assert 1 == len(logged)
        watchdog.beat()
        blocks_until(logged, 2)


def test_a_loop_that_turns_is_left_in_peace() -> None:
    with capture_logs() as logged, LoopWatchdog(blocked_s=5, look_s=0.001) as watchdog:
        for _ in range(50):
            watchdog.beat()
            time.sleep(0.001)
    assert [] == logged


def test_its_thread_ends_with_it() -> None:
    with LoopWatchdog():
        assert "loop watchdog" in names()
    assert "loop watchdog" not in names()


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}
