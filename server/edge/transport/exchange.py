"""
The life of one accepted socket: frames in, the endpoint's calls out, and an orderly end.

    OPEN --close(), the endpoint raised--> CLOSING --the peer's close frame--> gone
      |--the peer's close frame, answered----------------------------------> gone
      `--the peer broke the protocol--> FAILED, half-closed --EOF or close frame--> gone

CLOSING and FAILED are cut after `CLOSE_S`, or once the peer has sent `LATE_BYTES_MAX` more: who
floods us is not read for two seconds. A failed socket is not closed at once, for closing one with
unread input resets it, and the reset may overtake the close frame.

Here are the rules of RFC 6455 above single frames: fragments (5.4), UTF-8 of text (8.1), and who
closes (7.1). Parsing frames, and the rules within one, belong to the library that a transport is
made of. There is no timer for liveness here: the endpoint pings.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Final

import structlog
from mypy_extensions import mypyc_attr

from contracts import limits
from server.edge.transport.base import Endpoint

_log: Final = structlog.get_logger()

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2

GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
INVALID_TEXT: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
_NO_CLOSE_FRAME: Final = 1006
_REASON_BYTES_MAX: Final = 123


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange(ABC):
    """The `Wire` of an accepted socket; its transport feeds it what the peer's frames held."""

    def __init__(self, endpoint: Endpoint, socket: asyncio.Transport) -> None:
        self.is_open = True
        self._endpoint = endpoint
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        socket.set_write_buffer_limits(limits.LAG_BYTES, limits.CAUGHT_UP_BYTES)
        socket.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, limits.KERNEL_SEND_BYTES)
        self._late_bytes = 0
        self._ended_with = _NO_CLOSE_FRAME
        self._cut: asyncio.TimerHandle | None = None
        self._opcode = CONTINUATION  #: of the message whose fragments are coming
        self._fragments: list[bytes] = []
        self._fragments_bytes = 0

    @abstractmethod
    def send(self, frame: bytes) -> None: ...

    @abstractmethod
    def ping(self) -> None: ...

    @abstractmethod
    def _send_close(self, code: int, reason: bytes) -> None:
        """Writes a close frame; called once."""

    def close(self, code: int, reason: str = "") -> None:
        if not self.is_open:
            return
        self._send_close(code, _fitting(reason))
        self._ending(code)

    def abort(self) -> None:
        self.is_open = False
        self._socket.abort()

    def buffered_bytes(self) -> int:
        return self._socket.get_write_buffer_size()

    def opened(self) -> None:
        self._tell(self._endpoint.opened, self)

    def alive(self) -> None:
        if self.is_open:
            self._tell(self._endpoint.alive)

    def choked(self) -> None:
        """The transport's buffer has passed its high mark, maybe in the midst of an endpoint's sending."""
        self._loop.call_soon(self._tell_of_flow, self._endpoint.choked)

    def drained(self) -> None:
        self._loop.call_soon(self._tell_of_flow, self._endpoint.drained)

    def _tell_of_flow(self, step: Callable[[], None]) -> None:
        if self.is_open:
            self._tell(step)

    def fragment(self, opcode: int, is_last: bool, payload: bytes) -> None:
        """Takes a frame of a text or binary message."""
        if not self.is_open:
            return
        if opcode == BINARY and is_last and not self._opcode:
            # Nearly every frame is this one.
            try:
                self._endpoint.message(payload)
            except Exception:
                self.raised()
            return
        if bool(opcode) == bool(self._opcode):
            self.fail(PROTOCOL_ERROR, "fragment out of order")
            return
        self._opcode |= opcode
        self._fragments.append(payload)
        self._fragments_bytes += len(payload)
        if self._fragments_bytes > limits.MESSAGE_BYTES_MAX:
            self.fail(TOO_BIG, "message too big")
        elif len(self._fragments) > limits.MESSAGE_FRAGMENTS_MAX:
            self.fail(PROTOCOL_ERROR, "too many fragments")
        elif is_last:
            opcode, message = self._opcode, b"".join(self._fragments)
            self._opcode, self._fragments, self._fragments_bytes = CONTINUATION, [], 0
            self._whole(opcode, message)

    def _whole(self, opcode: int, message: bytes) -> None:
        if opcode == BINARY:
            self._tell(self._endpoint.message, message)
            return
        try:
            message.decode()
        except UnicodeDecodeError:
            self.fail(INVALID_TEXT, "text is not UTF-8")
        else:
            self._tell(self._endpoint.text)

    def is_within_message(self) -> bool:
        return self._opcode != CONTINUATION

    def peer_closed(self, code: int) -> None:
        """The peer's close frame came, and has been answered if it was the first."""
        if self.is_open:
            self._ending(code)
        self._socket.close()

    def fail(self, code: int, reason: str) -> None:
        """Ends a connection whose peer broke the protocol (RFC 6455 section 7.1.7)."""
        if self.is_open:
            self._send_close(code, reason.encode())
        self.failed(code)

    def failed(self, code: int) -> None:
        """The same where the library has sent the close frame itself."""
        if self.is_open:
            self._ending(code)
        if self._socket.can_write_eof() and not self._socket.is_closing():
            self._socket.write_eof()

    def received_late(self, received_bytes: int) -> None:
        """Counts what a peer sends after the end has begun."""
        self._late_bytes += received_bytes
        if self._late_bytes > limits.LATE_BYTES_MAX:
            self._socket.abort()

    def lost(self) -> None:
        """The socket is gone."""
        self.is_open = False
        if self._cut is not None:
            self._cut.cancel()
        self._tell(self._endpoint.closed, self._ended_with)

    def raised(self) -> None:
        """The endpoint raised; to be called in the handler of its exception."""
        _log.exception("endpoint_raised")
        self.close(INTERNAL_ERROR)

    def _tell(self, step: Callable[..., None], *what: object) -> None:
        try:
            step(*what)
        except Exception:
            self.raised()

    def _ending(self, code: int) -> None:
        self.is_open = False
        self._ended_with = code
        self._cut = self._loop.call_later(limits.CLOSE_S, self._socket.abort)


def _fitting(reason: str) -> bytes:
    """As many whole characters as a close frame has room for."""
    return reason.encode(errors="replace")[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
