"""Waiting for what only looking can tell: processes, files, other people's tables."""

import asyncio
from collections.abc import Awaitable, Callable

POLL_S = 0.02


async def poll(is_so: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Look until it is so. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await is_so():  # noqa: ASYNC110 -- nobody can set an event for us
            await asyncio.sleep(POLL_S)
