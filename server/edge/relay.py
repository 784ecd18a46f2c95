"""
Relay: a socket that reached the wrong node, joined to the node that owns its room.

    client <--- this node ---> owner       one TCP connection each, bytes passed on as they come, nothing decoded

The owner gets the upgrade request as the client sent it, with one header more, which holds a secret
that all nodes share. So it knows that a node has let the client in already, and does not relay the
request again: nodes that disagree about a room, or advertise one another's address, refuse instead
of dialling in a circle.

Who reads slowly is not read for: past the transport's high-water mark (64 KiB) the other side is
paused. The end of one direction is passed on, and the other goes on; a socket that is gone ends the
other, and if it broke off, with nothing more of what it had still to say. A client whose owner dies
sees 1006, which makes its SDK dial again.

A relay has no heartbeat of its own. A living owner answers the request soon and later pings its quiet
connections, so one that is silent for longer (`is_overdue`) is dead, frozen or cut off.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import cast

from contracts import limits
from server.edge.transport import Held
from server.runtime.clock import Clock

_HEADER = "holdfast-relayed"


class RelayMark:
    """The header that says so."""

    def __init__(self, secret: bytes) -> None:
        self._text = secret.hex().encode()

    def is_on(self, headers: Mapping[str, str]) -> bool:
        """Whether a node has relayed this request; `headers` are the first of each name."""
        return hmac.compare_digest(headers.get(_HEADER, "").encode(), self._text)

    def put_on(self, request_bytes: bytes) -> bytes:
        """First of all headers: whatever the client has sent under its name does not count."""
        line, end, rest = request_bytes.partition(b"\r\n")
        return line + end + _HEADER.encode() + b": " + self._text + end + rest


class Relay:
    """Two sockets as one, from `begin` on; `ended` is called once the client's is gone."""

    def __init__(self, mark: RelayMark, clock: Clock, ended: Callable[["Relay"], None]) -> None:
        self.client, self.owner = _Side(self), _Side(self)
        self.client.other, self.owner.other = self.owner, self.client
        self._mark = mark
        self._clock = clock
        self._heard_at_ms = clock()
        self._is_answered = False
        self._ended = ended

    @property
    def has_lost_owner(self) -> bool:
        return self.owner.is_gone

    @property
    def is_overdue(self) -> bool:
        """Whether the owner should have been heard by now."""
        patience_s = limits.PING_S + limits.PONG_S if self._is_answered else limits.HANDSHAKE_S
        return self._clock() - self._heard_at_ms > patience_s * 1000

    def begin(self, held: Held) -> None:
        """The owner is connected: it hears the request, and the client its answer."""
        self.owner.write(self._mark.put_on(held.hand_over(self.client)))

    def heard(self, side: "_Side") -> None:
        if side is self.owner:
            self._is_answered = True
            self._heard_at_ms = self._clock()

    def lost(self, side: "_Side") -> None:
        if side is self.client:
            # An owner that does not read would keep its half, and what waits in it, for minutes.
            asyncio.get_running_loop().call_later(limits.CLOSE_S, self.owner.abort)
            self._ended(self)

    def abort(self) -> None:
        """Cut both sides now, with whatever was still to be sent."""
        self.client.abort()
        self.owner.abort()


class _Side(asyncio.Protocol):
    """One of the two sockets: what it hears, the other says."""

    other: "_Side"

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._socket: asyncio.Transport | None = None
        self._has_ended = False

    # -- what the socket tells ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._relay.heard(self)
        self.other.write(data)

    def eof_received(self) -> bool:
        """True: it stays open for what the other still has to say."""
        self._has_ended = True
        if self.other._has_ended:
            return False
        self.other.write_eof()
        return True

    def pause_writing(self) -> None:
        self.other.pause(True)

    def resume_writing(self) -> None:
        self.other.pause(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.other.close()
        else:
            self.other.abort()
        self._relay.lost(self)

    @property
    def is_gone(self) -> bool:
        return self._socket is None or self._socket.is_closing()

    # -- what the other side asks; nothing, once the socket is gone -------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._socket is not None and not self.is_gone:
            self._socket.write(data)

    def write_eof(self) -> None:
        if self._socket is not None and not self.is_gone:
            self._socket.write_eof()

    def pause(self, is_paused: bool) -> None:
        # Read again after its end, a socket would end once more.
        if self._socket is None or self.is_gone or self._has_ended:
            return
        if is_paused:
            self._socket.pause_reading()
        else:
            self._socket.resume_reading()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.abort()
