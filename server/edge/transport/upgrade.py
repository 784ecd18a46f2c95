"""
uvicorn's side of a socket: constructed by it at the upgrade, counted by it, shut down by it.

uvicorn calls `cls(config=, server_state=, app_state=)`, then `connection_made`, then once
`data_received` with the whole request as it has read it, and then makes this object the
transport's protocol. What a client sends behind its request in the same packet, uvicorn drops;
RFC 6455 section 4.1 forbids sending that before the 101.

At its own shutdown uvicorn first calls `shutdown` on every connection, waits until all are gone,
and only then lets the application's lifespan end. So the application ends its connections before
it lets uvicorn stop (`should_exit`), or the clients get 1001 from here before the drain has begun.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from server.edge.transport.base import Accept, Refusal
from server.edge.transport.exchange import GOING_AWAY, Exchange
from server.edge.transport.handshake import Agreement, negotiate, refusal_bytes


class UpgradedSocket(ABC):
    def __init__(self, accept: Accept, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._accept = accept
        # Typed for uvicorn's own protocols, of which only `shutdown` is called.
        self._connections = cast(set[Any], server_state.connections)
        self._default_headers = server_state.default_headers
        self._exchange: Exchange | None = None

    @abstractmethod
    def _begin(self, agreement: Agreement, socket: asyncio.Transport) -> Exchange:
        """Answers with the 101."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        peer = self._socket.get_extra_info("peername")
        outcome = negotiate(data, peer[0] if peer else "", self._accept)
        if isinstance(outcome, Refusal):
            self._socket.write(refusal_bytes(outcome, self._default_headers))
            self._socket.close()
            return
        self._exchange = self._begin(outcome, self._socket)
        self._exchange.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._exchange is not None:
            self._exchange.lost()

    def shutdown(self) -> None:
        if self._exchange is not None:
            self._exchange.close(GOING_AWAY, "server shutdown")
        else:
            self._socket.close()
