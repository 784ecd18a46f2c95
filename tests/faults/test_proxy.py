"""The proxy: what its levers do to a connection, and what it reads of PostgreSQL's wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import asyncpg
import pytest

from server.core.faults import OutcomeUnknown, Poisoned
from server.core.journal import Entry
from server.embedded import Urls
from server.storage import migrations
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.nodes import Nodes
from server.tools.chaos.flushes import Action, Flushes, Point
from server.tools.chaos.proxy import Proxy, proxy_before, through

ACTIONS = [Action("room", 1), Action("room", 2), Action("other", 2**40)]
NODE = "node"


@pytest.fixture
async def echo() -> AsyncIterator[Proxy]:
    """Before a server that says everything once more."""

    async def again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1024):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(again, "127.0.0.1", 0)
    async with proxy_before(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as proxy:
        yield proxy
    server.close()


class Line(NamedTuple):
    """A client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def said(self, words: bytes) -> bytes:
        self.writer.write(words)
        return await self.hears(len(words))

    async def hears(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), 5)


Dial = Callable[[], Awaitable[Line]]


@pytest.fixture
async def dial(echo: Proxy) -> AsyncIterator[Dial]:
    lines: list[Line] = []

    async def dial() -> Line:
        lines.append(Line(*await asyncio.open_connection("127.0.0.1", echo.port)))
        return lines[-1]

    yield dial
    for line in lines:
        line.writer.close()


@pytest.mark.parametrize("lever", [Proxy.stall, Proxy.hold_requests, Proxy.hold_replies])
async def test_what_is_held_comes_later_and_whole(lever: Callable[[Proxy], None], echo: Proxy, dial: Dial) -> None:
    line = await dial()
    assert b"one" == await line.said(b"one")
    lever(echo)
    line.writer.write(b"two")
    await asyncio.wait_for(echo.held(), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(line.reader.read(1), 0.05)
    echo.let_go()
    assert b"two" == await line.hears(3)


async def test_a_cut_resets_who_is_there_and_takes_who_comes(echo: Proxy, dial: Dial) -> None:
    line = await dial()
    await line.said(b"one")
    echo.cut()
    with pytest.raises(ConnectionResetError):
        await line.hears(1)
    assert b"two" == await (await dial()).said(b"two")


async def test_what_is_stalled_when_its_line_is_cut_never_arrives(echo: Proxy, dial: Dial) -> None:
    line = await dial()
    await line.said(b"one")
    echo.stall()
    line.writer.write(b"lost")
    await asyncio.wait_for(echo.held(), 5)
    echo.cut()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(echo.held(), 0.05)
    echo.let_go()
    with pytest.raises(ConnectionResetError):
        await line.hears(1)


async def test_refusing_is_done_by_the_kernel_and_ends_on_the_same_port(echo: Proxy, dial: Dial) -> None:
    line = await dial()
    await echo.refuse()
    with pytest.raises(ConnectionRefusedError):
        await dial()
    assert b"still here" == await line.said(b"still here")
    port = echo.port
    await echo.accept()
    assert port == echo.port
    assert b"back" == await (await dial()).said(b"back")


@pytest.fixture
async def committed() -> list[Action]:
    return []


@pytest.fixture
async def flushes(committed: list[Action]) -> Flushes:
    return Flushes(committed.append)


@pytest.fixture
async def journal(databases: Urls, flushes: Flushes) -> AsyncIterator[Journal]:
    """A node's, behind a proxy that knows flushes."""
    await migrations.up(databases.database_url)
    async with (
        proxy_before(databases.database_url, flushes.tap) as proxy,
        Database(through(databases.database_url, proxy), NODE) as database,
    ):
        await Nodes(database).register(NODE, "home", "127.0.0.1:1", 60.0)
        yield Journal(database)


@pytest.fixture
async def witness(journal: Journal, databases: Urls) -> AsyncIterator[asyncpg.Connection]:
    """Asks PostgreSQL itself."""
    connection = await asyncpg.connect(databases.database_url)
    yield connection
    await connection.close()


def flushed(journal: Journal) -> asyncio.Future[None]:
    entries = [Entry(action.room, action.room_seq, 1, "intent.add", 0) for action in ACTIONS]
    return asyncio.ensure_future(journal.flush(NODE, entries))


async def test_a_commit_is_told_with_all_its_actions(journal: Journal, committed: list[Action]) -> None:
    await flushed(journal)
    assert ACTIONS == committed


async def test_what_postgresql_refuses_is_no_commit(journal: Journal, committed: list[Action]) -> None:
    await flushed(journal)
    with pytest.raises(Poisoned):
        await flushed(journal)
    assert ACTIONS == committed


async def test_a_lost_request_never_reaches_postgresql(
    journal: Journal, witness: asyncpg.Connection, flushes: Flushes, committed: list[Action]
) -> None:
    trap = flushes.trap(Point.REQUEST)
    flush = flushed(journal)
    assert ACTIONS == await trap.caught()
    trap.lose()
    with pytest.raises(OutcomeUnknown):
        await flush
    assert 0 == await witness.fetchval("SELECT count(*) FROM actions")
    assert [] == committed


async def test_a_lost_reply_is_of_a_flush_that_is_done(
    journal: Journal, witness: asyncpg.Connection, flushes: Flushes
) -> None:
    trap = flushes.trap(Point.REPLY)
    flush = flushed(journal)
    await trap.caught()
    assert 3 == await witness.fetchval("SELECT count(*) FROM actions")
    assert not flush.done()
    trap.lose()
    with pytest.raises(OutcomeUnknown):
        await flush


async def test_a_held_reply_comes_when_it_is_passed_on(journal: Journal, flushes: Flushes) -> None:
    trap = flushes.trap(Point.REPLY)
    flush = flushed(journal)
    await trap.caught()
    assert not flush.done()
    trap.pass_on()
    await flush
