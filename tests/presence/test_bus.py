"""The bus brings a node what others tell it, whatever becomes of Redis and of the node's id."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from server.core.faults import Fault
from server.presence import Bus, Store
from tests.presence.valkey import Valkey

WITHIN_S = 10.0


class Listener:
    """A node that notes what it hears."""

    def __init__(self, store: Store, node_id: str) -> None:
        self.node_id = node_id
        self.bus = Bus(store, Random(1))
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._task = asyncio.create_task(self.bus.listen(lambda: self.node_id, self._heard.put_nowait))

    async def hears(self, message: bytes) -> None:
        """Told until it is heard, as all who use the bus do."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    await self.bus.tell(self.node_id, message)
                    if message == await asyncio.wait_for(self._heard.get(), 0.1):
                        return
                except (Fault, TimeoutError):
                    await asyncio.sleep(0.01)

    async def next(self) -> bytes:
        return await asyncio.wait_for(self._heard.get(), WITHIN_S)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def listener(frail_store: Store) -> AsyncIterator[Listener]:
    listener = Listener(frail_store, "node-1")
    await listener.hears(b"hello")
    yield listener
    await listener.end()


async def test_a_node_hears_in_order_what_it_is_told_and_nothing_else(listener: Listener) -> None:
    await listener.bus.tell("node-2", b"not for you")
    messages = [b"%d" % number for number in range(100)]
    for message in messages:
        await listener.bus.tell("node-1", message)
    assert messages == [await listener.next() for _ in messages]


async def test_a_quiet_channel_stays_open(listener: Listener, frail_valkey: Valkey) -> None:
    subscriptions = frail_valkey.run("CLIENT", "LIST", "TYPE", "pubsub").count(b"\n")
    await asyncio.sleep(2.5)  # two looks at whether it still works
    assert subscriptions == frail_valkey.run("CLIENT", "LIST", "TYPE", "pubsub").count(b"\n")
    assert 1 == subscriptions
    await listener.hears(b"still there")


async def test_a_node_with_a_new_id_hears_what_is_told_to_that(listener: Listener, frail_valkey: Valkey) -> None:
    listener.node_id = "node-2"
    await listener.hears(b"you are new")
    assert 0 == frail_valkey.run("PUBLISH", "holdfast:node:node-1", b"nobody")


async def test_a_node_hears_again_after_a_restart_of_redis(listener: Listener, frail_valkey: Valkey) -> None:
    frail_valkey.restart()
    await listener.hears(b"here again")


async def test_a_node_hears_again_after_redis_was_frozen(listener: Listener, frail_valkey: Valkey) -> None:
    frail_valkey.freeze()
    with pytest.raises(Fault):
        await listener.bus.tell("node-1", b"lost, or late")
    await asyncio.sleep(2.0)  # it finds the silence, and fails to connect anew
    frail_valkey.thaw()
    await listener.hears(b"here again")
