"""
Bus: short messages from node to node, by Redis' publish and subscribe. One channel a node, named by its id.

    (no connection) --subscribed--> listening --lost, silent, or the node has a new id--> (no connection)

Messages may be lost: while the receiver reconnects, while Redis is away, when the receiver is no longer who it was. So
each asks for something whose doing can be seen elsewhere, and who asks repeats it, within a bound, until it is seen.
"""

import asyncio
from collections.abc import Callable
from random import Random

import structlog

from server.core.faults import Fault
from server.presence.store import PREFIX, Store

_log = structlog.get_logger(service="bus")

#: Before a new attempt to subscribe: doubled with each one that fails, each time shortened by chance.
_PAUSE_S_MIN = 0.1
_PAUSE_S_MAX = 2.0


class Bus:
    def __init__(self, store: Store, random: Random) -> None:
        self._store = store
        self._random = random
        self._pause_s = _PAUSE_S_MIN

    async def tell(self, node_id: str, message: bytes) -> None:
        """Send the node a message, which may be lost. Raises Unavailable, OutcomeUnknown."""
        await self._store.write(("PUBLISH", _channel(node_id), message))

    async def listen(self, node_id: Callable[[], str], hear: Callable[[bytes], None]) -> None:
        """Give `hear` each message to the node, whose id may change; until cancelled. `hear` must not raise."""
        while True:
            try:
                await self._listen(node_id, hear)
            except Fault as fault:
                _log.debug("not listening", fault=str(fault))
                await asyncio.sleep(self._pause_s * self._random.uniform(0.5, 1))
                self._pause_s = min(2 * self._pause_s, _PAUSE_S_MAX)

    async def _listen(self, node_id: Callable[[], str], hear: Callable[[bytes], None]) -> None:
        """While the node has this id. Raises Unavailable."""
        now_called = node_id()
        async with self._store.subscription(_channel(now_called)) as next_message:
            self._pause_s = _PAUSE_S_MIN
            while node_id() == now_called:
                message = await next_message()
                if message is not None:
                    hear(message)


def _channel(node_id: str) -> str:
    return f"{PREFIX}node:{node_id}"
