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

from server.edge.transport.base import Accept, Endpoint, Refusal
from server.edge.transport.exchange import GOING_AWAY, Exchange
from server.edge.transport.handshake import Agreement, Postponed, negotiate, refusal_bytes


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
        if isinstance(outcome, Postponed):
            self._socket.pause_reading()
            outcome.later.ask(HeldUpgrade(self, self._socket, data, outcome))
        elif isinstance(outcome, Refusal):
            self.refuse(outcome)
        else:
            self.begin(outcome)

    def refuse(self, refusal: Refusal) -> None:
        self._socket.write(refusal_bytes(refusal, self._default_headers))
        self._socket.close()

    def begin(self, agreement: Agreement) -> None:
        self._exchange = self._begin(agreement, self._socket)
        self._exchange.opened()

    def handed_over(self) -> None:
        """The socket is somebody else's; uvicorn need not wait for it."""
        self._connections.discard(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._exchange is not None:
            self._exchange.lost()

    def shutdown(self) -> None:
        if self._exchange is not None:
            self._exchange.close(GOING_AWAY, "server shutdown")
        else:
            self._socket.close()


class HeldUpgrade:
    """
    See `Held`.

    A socket that isn't read doesn't tell that its peer has left: that is found when it is read or written again.
    """

    def __init__(
        self, upgraded: UpgradedSocket, socket: asyncio.Transport, request_bytes: bytes, postponed: Postponed
    ) -> None:
        self._upgraded = upgraded
        self._socket = socket
        self._request_bytes = request_bytes
        self._postponed = postponed

    @property
    def is_gone(self) -> bool:
        return self._socket.is_closing()

    def answer(self, verdict: Endpoint | Refusal) -> None:
        if isinstance(verdict, Refusal):
            self._upgraded.refuse(verdict)
        else:
            self._upgraded.begin(self._postponed.agreed(verdict))
            self._socket.resume_reading()

    def hand_over(self, protocol: asyncio.Protocol) -> bytes:
        self._upgraded.handed_over()
        self._socket.set_protocol(protocol)
        protocol.connection_made(self._socket)
        self._socket.resume_reading()
        return self._request_bytes
