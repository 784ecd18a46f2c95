"""An upgrade may be held until its answer is known, and then go on, be refused, or be relayed to an owner."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from server.edge.relay import Relay, RelayMark
from server.edge.transport import Held, Later, Refusal, Wire
from server.runtime.clock import unix_ms
from tests.edge.transport.conftest import Recorder, Site, until
from tests.edge.transport.raw_client import BINARY, Client, frame, upgrade_request

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: More than the kernel's and the transports' buffers take between two processes that don't read.
MUCH = 64 * 1024 * 1024
MARK = RelayMark(b"secret")
CHUNK = b"x" * 64 * 1024


class Owner:
    """The node that a socket is relayed to: it hears and says bytes."""

    def __init__(self) -> None:
        self.relayed: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.relays: list[Relay] = []
        self.ended: list[Relay] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.relayed.put_nowait((reader, writer))

    async def end(self) -> None:
        self._server.close()
        for relay in self.relays:
            relay.abort()
        for writer in self._writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await until(lambda: len(self.ended) == len(self.relays))

    async def join(self, held: Held) -> None:
        relay = Relay(MARK, unix_ms, self.ended.append)
        self.relays.append(relay)
        port = self._server.sockets[0].getsockname()[1]
        await asyncio.get_running_loop().create_connection(lambda: relay.owner, "127.0.0.1", port)
        relay.begin(held)


@pytest_asyncio.fixture(loop_scope="module")
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    await owner.serve()
    yield owner
    await owner.end()


async def hold(site: Site) -> tuple[Client, Held]:
    """A client whose upgrade is held."""
    asked: asyncio.Queue[Held] = asyncio.Queue()
    site.door.answer = Later(asked.put_nowait)
    client = await site.dial()
    client.send(upgrade_request())
    return client, await asyncio.wait_for(asked.get(), 10)


async def relayed(site: Site, owner: Owner) -> tuple[Client, asyncio.StreamReader, asyncio.StreamWriter]:
    """A client, and the owner's end of its socket; the request has been read."""
    client, held = await hold(site)
    await owner.join(held)
    reader, writer = await owner.relayed.get()
    await reader.readuntil(b"\r\n\r\n")
    return client, reader, writer


class TestAHeldUpgrade:
    async def test_goes_on_as_if_it_had_been_answered_at_once(self, site: Site) -> None:
        client, held = await hold(site)

        def echo(wire: Wire, message: bytes) -> None:
            wire.send(message)

        endpoint = Recorder({"message": echo})
        held.answer(endpoint)
        assert (await client.response())[0] == 101
        assert await endpoint.heard() == ("opened",)
        client.send(frame(BINARY, b"hello"))
        assert await client.frame() == (BINARY, b"hello")

    async def test_may_be_refused(self, site: Site) -> None:
        client, held = await hold(site)
        held.answer(Refusal(503, "try again", 1))
        status, headers, _ = await client.response()
        assert (status, headers["retry-after"]) == (503, "1")
        assert await client.is_at_end()

    async def test_is_gone_when_the_server_has_closed_it(self, site: Site) -> None:
        _, held = await hold(site)
        assert not held.is_gone
        for socket in list(site.server.sockets):
            socket.shutdown()
        assert held.is_gone

    async def test_whose_client_has_left_ends_when_it_goes_on(self, site: Site) -> None:
        client, held = await hold(site)
        client.reset()
        endpoint = Recorder()
        held.answer(endpoint)
        assert await endpoint.heard() == ("opened",)
        assert await endpoint.heard() == ("closed", 1006)


class TestARelay:
    async def test_passes_the_request_on_and_then_every_byte_both_ways(self, site: Site, owner: Owner) -> None:
        client, held = await hold(site)
        await owner.join(held)
        reader, writer = await owner.relayed.get()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("get /p1/r1?sessionid=s1 http/1.1\r\n")
        assert "\r\nsec-websocket-version: 13\r\n" in head
        for chunk in (b"\x00", b"\xff" * 300_000, b"end"):
            client.send(chunk)
            assert chunk == await reader.readexactly(len(chunk))
            writer.write(chunk)
            heard = b""
            while len(heard) < len(chunk):
                heard += await client.read()
            assert chunk == heard

    async def test_reads_no_more_of_the_owner_than_a_slow_client_takes(self, site: Site, owner: Owner) -> None:
        client, _, writer = await relayed(site, owner)
        sent = await all_that_is_taken(writer.write, writer.drain)
        assert sent < MUCH
        heard = 0
        while heard < sent:
            heard += len(await client.read())
        assert sent == heard

    async def test_reads_no_more_of_a_client_than_a_slow_owner_takes(self, site: Site, owner: Owner) -> None:
        client, reader, _ = await relayed(site, owner)
        sent = await all_that_is_taken(client.send, client.drain)
        assert sent < MUCH
        heard = 0
        while heard < sent:
            heard += len(await reader.read(len(CHUNK)))
        assert sent == heard

    async def test_passes_on_the_end_of_one_direction_alone(self, site: Site, owner: Owner) -> None:
        client, reader, writer = await relayed(site, owner)
        client.send(b"last words")
        client.finish()
        assert b"last words" == await reader.read(-1)
        writer.write(b"still here")
        assert b"still here" == await client.read()
        writer.write_eof()
        assert b"" == await client.read()
        await until(lambda: owner.ended == owner.relays)

    async def test_delivers_what_the_owner_said_before_it_closed(self, site: Site, owner: Owner) -> None:
        client, _, writer = await relayed(site, owner)
        writer.write(CHUNK * 4)
        writer.close()
        heard = 0
        while chunk := await client.read():
            heard += len(chunk)
        assert 4 * len(CHUNK) == heard

    async def test_ends_with_its_client(self, site: Site, owner: Owner) -> None:
        client, reader, _ = await relayed(site, owner)
        client.reset()
        assert b"" == await asyncio.wait_for(reader.read(1), 10)
        await until(lambda: owner.ended == owner.relays)

    async def test_ends_with_its_owner(self, site: Site, owner: Owner) -> None:
        client, _, writer = await relayed(site, owner)
        writer.transport.abort()
        assert await client.is_at_end()
        client.cut()
        await until(lambda: owner.ended == owner.relays)

    async def test_is_uvicorns_affair_no_more(self, site: Site, owner: Owner) -> None:
        await relayed(site, owner)
        assert not site.server.sockets


async def all_that_is_taken(write: Callable[[bytes], None], drain: Callable[[], Awaitable[None]]) -> int:
    """How much can be written until nothing more is taken for a while."""
    sent = 0
    while sent < MUCH:
        write(CHUNK)
        sent += len(CHUNK)
        try:
            async with asyncio.timeout(0.5):
                await drain()
        except TimeoutError:
            break
    return sent
