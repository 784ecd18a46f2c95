"""
Proxy: a TCP link that can be hurt.

    client --up--> [ hold, stall, delay, tap ] --> server
           <--down-- [ hold, stall, delay, tap ] <--

A *tap* reads along on one connection, and may act at a point of the protocol: that of `Flushes` knows flushes. The
plain one passes everything.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Protocol
from urllib.parse import urlsplit

from server.runtime.tasks import Tasks

_CHUNK_BYTES = 64 * 1024


class Cut(Exception):
    """A tap wants its connection reset, now, both ways."""


class Tap(Protocol):
    """Reads along on one connection. What it returns goes on; it may wait first, or raise Cut."""

    async def up(self, chunk: bytes) -> bytes: ...

    async def down(self, chunk: bytes) -> bytes: ...


class PlainTap:
    async def up(self, chunk: bytes) -> bytes:
        return chunk

    async def down(self, chunk: bytes) -> bytes:
        return chunk


class Proxy:
    """Stands before `host:port`, on a port of its own that stays the same while it refuses."""

    def __init__(self, host: str, port: int, tap: Callable[[], Tap] = PlainTap) -> None:
        self.port = 0
        #: Every chunk waits so long, in either direction.
        self.delay_s = 0.0
        #: Connections made so far.
        self.connections = 0
        self._target = (host, port)
        self._tap = tap
        self._up = _Gate()
        self._down = _Gate()
        self._holds = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks = Tasks(_crashed)

    # -- the levers -----------------------------------------------------------------------------------------------

    def hold_requests(self) -> None:
        """Replies still come through."""
        self._up.shut()

    def hold_replies(self) -> None:
        """Requests still go through."""
        self._down.shut()

    def stall(self) -> None:
        """Nothing goes through, and nobody is told."""
        self._up.shut()
        self._down.shut()

    async def held(self) -> None:
        """Wait until something waits here."""
        await self._holds.wait()

    def let_go(self) -> None:
        """What waits goes on, and what comes."""
        self._holds.clear()
        self._up.open()
        self._down.open()

    def cut(self) -> None:
        """Reset every connection: what waits is lost. New ones are taken."""
        self._holds.clear()
        for writer in list(self._writers):
            _reset(writer)

    async def refuse(self) -> None:
        """New connections are refused by the kernel; those there are stay. Idempotent."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def accept(self) -> None:
        """Take connections, on the same port as ever. Idempotent."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._take, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    # -- its life -------------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """Refuse who comes, and close every connection."""
        await self.refuse()
        await self._tasks.stop()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.start(self._carry(reader, writer), "a proxy's connection")

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        tap = self._tap()
        writers = [writer]
        pumps: list[asyncio.Task[None]] = []
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._target)
            writers.append(back)
            self._writers.add(back)
            pumps.append(self._tasks.start(self._pump(reader, writers, 1, tap.up, self._up), "a proxy's way up"))
            pumps.append(self._tasks.start(self._pump(there, writers, 0, tap.down, self._down), "a proxy's way down"))
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            _reset(writer)
        finally:
            for pump in pumps:
                pump.cancel()
            for ended in writers:
                self._writers.discard(ended)
                ended.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writers: list[asyncio.StreamWriter],
        to: int,
        tap: Callable[[bytes], Awaitable[bytes]],
        gate: "_Gate",
    ) -> None:
        """One way of a connection, until its sender ends it."""
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                if not gate.is_open:
                    self._holds.set()
                    await gate.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writers[to].write(await tap(chunk))
                await writers[to].drain()
        except Cut:
            for writer in writers:
                _reset(writer)
        except OSError:
            pass


class _Gate:
    """One direction of all connections."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self.open()

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        await self._open.wait()


def _crashed(name: str, error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": f"{name} crashed", "exception": error})


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST rather than FIN, as a cut line ends."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy_before(url: str, tap: Callable[[], Tap] = PlainTap) -> AsyncIterator[Proxy]:
    """A proxy before the server of a URL."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = Proxy(parts.hostname, parts.port, tap)
    await proxy.accept()
    try:
        yield proxy
    finally:
        await proxy.end()


def through(url: str, proxy: Proxy) -> str:
    """The same URL by way of the proxy."""
    return url.replace(f":{urlsplit(url).port}", f":{proxy.port}", 1)
