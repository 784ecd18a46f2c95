"""A TCP proxy for tests: it can hold back what one side says, and cut everyone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """Stands before `host:port`. While replies are held, requests still go through."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._target = (host, port)
        self._passing = asyncio.Event()
        self._passing.set()
        #: Connections made so far, and bytes of replies that wait now.
        self.connections = 0
        self.held_bytes = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def hold_replies(self) -> None:
        self._passing.clear()

    def let_go(self) -> None:
        self.held_bytes = 0
        self._passing.set()

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.current_task())  # type: ignore[arg-type]  # a server's callback is a task
        self.connections += 1
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._target)
            self._writers.add(back)
            try:
                await asyncio.gather(self._pump(reader, back, False), self._pump(there, writer, True))
            finally:
                self._end(back)
        except (OSError, asyncio.CancelledError):
            # Cancelled only by `end`; the streams' own callback would make an error of it.
            pass
        finally:
            self._end(writer)
            self._tasks.discard(task)  # type: ignore[arg-type]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: bool) -> None:
        try:
            while chunk := await reader.read(64 * 1024):
                if replies and not self._passing.is_set():
                    self.held_bytes += len(chunk)
                    await self._passing.wait()
                writer.write(chunk)
                await writer.drain()
        finally:
            self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort() if writer.is_closing() else writer.close()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[Proxy]:
    """A proxy before the server of a URL."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()


def through(url: str, proxy: Proxy) -> str:
    """The same URL by way of the proxy."""
    return url.replace(f":{urlsplit(url).port}", f":{proxy.port}", 1)
