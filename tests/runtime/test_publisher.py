"""What Redis is told of a node's rooms and sessions, whatever else goes on meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.codes import CloseCode
from server.embedded import Urls
from server.presence import Sessions, Store
from server.runtime.runner import RoomRunner
from tests.runtime.parts import Station, seat, station


@pytest.fixture
async def here(urls: Urls) -> AsyncIterator[Station]:
    async with station(urls) as here:
        yield here
        assert (here.ends, here.crashes) == ([], [])


@pytest.fixture
async def sessions(urls: Urls) -> AsyncIterator[Sessions]:
    store = Store(urls.redis_url)
    yield Sessions(store)
    await store.aclose()


async def left(here: Station) -> RoomRunner:
    """A room that one has joined, as Redis knows, and left, which it does not."""
    runner = await here.node.create("duet", {})
    seat(runner, "s")
    await runner.durable()
    assert await here.node.publisher.write()
    runner.step(lambda room: room.leave(next(iter(room.seats)), CloseCode.CONSENTED, "", 0, runner.random))
    await runner.durable()
    return runner


async def test_a_session_that_is_told_to_be_over_twice_at_once_is_over(here: Station, sessions: Sessions) -> None:
    """As by a matchmaking call that finds Redis emptied, and by the node's own writes."""
    publisher = here.node.publisher
    for _ in range(5):
        runner = await left(here)
        first = asyncio.create_task(publisher.write())
        await asyncio.sleep(0)
        publisher.changed(runner, ["s"])
        assert await asyncio.gather(first, publisher.write()) == [True, True]
        assert await sessions.get("s") is None


async def test_a_room_may_go_away_at_any_point_of_a_write(here: Station) -> None:
    publisher = here.node.publisher
    for turns in range(0, 40, 2):
        runner = await left(here)
        write = asyncio.create_task(publisher.write())
        for _ in range(turns):
            await asyncio.sleep(0)
        publisher.closed(runner)
        assert await write
