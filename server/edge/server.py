"""
Server: uvicorn, with what it lacks for sockets that live long.

The drain comes before uvicorn's own shutdown, which would close every connection without a
word. And a request's head has a bound in bytes, and its head and body deadlines, which uvicorn's parser has not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts import limits

#: How exactly a head is measured.
_SLICE_BYTES = 4096
#: Whoever reads a body answers 408 at the deadline; where nobody reads it, the connection ends so much later.
_BODY_S = limits.HTTP_BODY_S + 1.0


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 by httptools. A head, first or later, that grows too large, and a head or body that takes too long, end
    the connection."""

    _head_bytes = 0
    #: Runs while a head is awaited or coming; between requests uvicorn's own patience counts.
    _head_timer: asyncio.TimerHandle | None = None
    #: Runs while a body is coming.
    _body_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def data_received(self, data: bytes) -> None:
        # In slices, because a body may come with its head, and a head with the body before it.
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            piece = data[start : start + _SLICE_BYTES]
            super().data_received(piece)
            if self._head_timer is not None:
                self._head_bytes += len(piece)
                if self._head_bytes > limits.HTTP_HEAD_BYTES_MAX:
                    self.transport.close()

    def on_headers_complete(self) -> None:
        self._end_head_timer()
        self._body_timer = self.loop.call_later(_BODY_S, self._is_late)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_body_timer()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head_timer()
        self._end_body_timer()
        super().connection_lost(exc)

    def _begin_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(limits.HANDSHAKE_S, self._is_late)

    def _end_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _is_late(self) -> None:
        if not self.transport.is_closing() and self.transport.get_protocol() is self:
            self.transport.close()


class Server(uvicorn.Server):
    """Runs until `stop`; calls `ready` when its sockets are open, awaits `drain` while connections still work."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self.servers = []
        self._ready = ready
        self._drain = drain

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the app's: the first drains, the second ends the drain."""
        yield

    def stop(self) -> None:
        """Begin the shutdown; idempotent."""
        self.should_exit = True

    def stop_listening(self) -> None:
        """Let go of the port at once; connections live on. Idempotent."""
        for server in self.servers:
            server.close()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        await self._drain()
        await super().shutdown(sockets)
