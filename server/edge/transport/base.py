"""
What the socket layer and its users know of each other.

A client's upgrade request becomes an `UpgradeRequest`; the edge's `Accept` answers it with a
`Refusal` (HTTP, no WebSocket) or with an `Endpoint`, which from then on hears whole messages and
speaks through its `Wire`; or with `Later`, and then says so to the `Held` upgrade. All calls are
synchronous and on the event loop's thread.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import msgspec


class UpgradeRequest(msgspec.Struct, frozen=True):
    path: str  #: as it was sent, without the query: not percent-decoded
    query: str  #: what followed "?", or ""
    headers: Mapping[str, str]  #: names in lower case; of a repeated header the first value
    peer: str  #: the address the TCP connection comes from, without the port


class Refusal(msgspec.Struct, frozen=True):
    """The answer instead of the upgrade: HTTP with the JSON body `{code, message}`."""

    status: int
    message: str
    retry_after_s: int | None = None


class Wire(Protocol):
    """One accepted socket, as its endpoint sees it. No method blocks or raises, whatever became of the socket."""

    def send(self, frame: bytes) -> None:
        """One binary message; dropped once the closing has begun."""

    def ping(self) -> None:
        """The answer is `Endpoint.alive`."""

    def close(self, code: int, reason: str = "") -> None:
        """
        Starts the closing handshake; nothing is delivered any more.

        A peer that has not answered within `CLOSE_S`, or goes on sending, is cut. `code` is
        1000 to 1014 without 1004 to 1006, or 3000 to 4999; of `reason` at most 123 bytes are sent.
        """

    def abort(self) -> None:
        """Cuts the socket now, with whatever was still to be sent."""

    def buffered_bytes(self) -> int:
        """How much the kernel has not yet taken: what a slow reader costs this process."""


class Endpoint(Protocol):
    """Whom a wire serves. A method that raises is logged and ends this connection with 1011, and no other."""

    def opened(self, wire: Wire) -> None:
        """First and once; the client knows that it is connected."""

    def message(self, frame: bytes) -> None:
        """A whole binary message, at most `MESSAGE_BYTES_MAX`."""

    def text(self) -> None:
        """A whole text message came. Nobody reads those, but they count as frames."""

    def alive(self) -> None:
        """A ping or pong came: it shows that the peer lives, and counts as a frame."""

    def choked(self) -> None:
        """More than `LAG_BYTES` wait in the socket. Comes by itself, never from within `Wire.send`."""

    def drained(self) -> None:
        """After `choked`: no more than `CAUGHT_UP_BYTES` wait."""

    def closed(self, code: int) -> None:
        """
        Last and once; the socket is gone.

        `code` is that of whoever ended it first: this side's (also 1002, 1007, 1009 for what the
        peer broke), or the peer's, 1005 if it gave none, 1006 if the socket just broke off.
        """


class Held(Protocol):
    """An upgrade that waits for its answer, unread. One of the two methods ends the wait, unless the socket is gone."""

    @property
    def is_gone(self) -> bool:
        """The socket has ended meanwhile; there is nothing left to answer."""

    def answer(self, verdict: Endpoint | Refusal) -> None: ...

    def hand_over(self, protocol: asyncio.Protocol) -> bytes:
        """Give the socket, unanswered, to this protocol, and read it again; returns the request's bytes."""


class Later(msgspec.Struct, frozen=True):
    """The answer takes a moment: the upgrade is held, and given to `ask`."""

    ask: Callable[[Held], None]


#: Decides before the upgrade is answered. An endpoint that it returns will be opened.
Accept: TypeAlias = Callable[[UpgradeRequest], Endpoint | Refusal | Later]
