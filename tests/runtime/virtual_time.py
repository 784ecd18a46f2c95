"""
An event loop whose time passes only when there is nothing else to do, and then at once: timers without waiting.

The process' monotonic clock shows it, too.
"""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


class _Leaping(selectors.DefaultSelector):
    """Lets time pass instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0 if timeout is not None else None)
        if not events and timeout is not None:
            self.now_s += timeout
        return events


class VirtualTime(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test on such a loop."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with (
            asyncio.Runner(loop_factory=VirtualTime) as runner,
            patch.object(time, "monotonic", runner.get_loop().time),
        ):
            runner.run(test(*args, **kwargs))

    return run


async def patience(awaited: Awaitable[T]) -> T:
    """What is awaited, for an hour at most: at once, if nothing is to come."""
    async with asyncio.timeout(3600):
        return await awaited
