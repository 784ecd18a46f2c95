"""What a connection costs that only is there: memory, counted in a server that takes hundreds more of them."""

import asyncio
import sys
from contextlib import ExitStack

import pytest

from bench.crowd import Crowd, Member, grow
from bench.idle import own_bytes
from tests.serving import Server, Servers

#: Of a connection, whoever allocates it: interpreter, libraries, C. What it costs is about half of this.
EACH_BYTES_MAX = 20 * 1024
#: The process' own beginnings are not to be counted.
FIRST, ALL = 100, 400


@pytest.mark.skipif(sys.platform != "linux", reason="it is read where only Linux tells it")
@pytest.mark.parametrize("room", ["counter", "game"])
async def test_an_idle_connection_takes_less_than_20_kib(serve: Servers, room: str) -> None:
    server, rooms, members = await serve(transport="picows"), [], []
    with ExitStack() as ends:
        ends.callback(_leave, members)
        await grow(server.url, Crowd(room, 4), rooms, members, FIRST)
        before = await _quiet(server)
        await grow(server.url, Crowd(room, 4), rooms, members, ALL)
        each = (await _quiet(server) - before) // (ALL - FIRST)
    assert 0 < each < EACH_BYTES_MAX, f"{each / 1024:.1f} KiB each"


def _leave(members: list[Member]) -> None:
    for member in members:
        member.wire.disconnect()


async def _quiet(server: Server) -> int:
    """Its memory, once that has stood still for half a second."""
    readings: list[int] = []
    async with asyncio.timeout(10):
        while len(readings) < 6 or len(set(readings[-6:])) > 1:
            readings.append(own_bytes(server.process.pid))
            await asyncio.sleep(0.1)
    return readings[-1]
