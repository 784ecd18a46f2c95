"""
The exchange of the transport on picows: each frame passes here, and what picows leaves unchecked is checked.

Compiled with the rest of the hot path, so it is apart from `picows`, whose classes derive from picows' own: those mypyc
can't compile. What is relied on is written there.
"""

import asyncio
from struct import Struct
from typing import Any, Final

from picows import WSMsgType, WSTransport

from contracts import limits
from server.edge.transport.base import Endpoint
from server.edge.transport.exchange import BINARY, CONTINUATION, PROTOCOL_ERROR, TEXT, Exchange

#: Looked up once, and compared by identity: an enum's members and their values are slow to find.
_CONTINUATION: Final = WSMsgType.CONTINUATION
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_CLOSE: Final = WSMsgType.CLOSE

_NO_CODE: Final = 1005
#: What picows copies, and so may be given.
_COPIED_BYTES_MAX: Final = 8192
#: A whole unmasked binary message, its length in 16 or in 64 bits (RFC 6455 section 5.2).
_LONG: Final = Struct(">BBH")
_LONGER: Final = Struct(">BBQ")


class PicowsExchange(Exchange):
    def __init__(self, endpoint: Endpoint, socket: asyncio.Transport) -> None:
        super().__init__(endpoint, socket)
        self._picows: WSTransport

    def send(self, frame: bytes) -> None:
        if not self.is_open:
            return
        if len(frame) <= _COPIED_BYTES_MAX:
            self._picows.send(_BINARY, frame)
        elif len(frame) < 1 << 16:
            self._socket.write(_LONG.pack(0x82, 126, len(frame)) + frame)
        else:
            self._socket.write(_LONGER.pack(0x82, 127, len(frame)) + frame)

    def ping(self) -> None:
        if self.is_open:
            self._picows.send_ping()

    def _send_close(self, code: int, reason: bytes) -> None:
        self._picows.send_close(code, reason)  # type: ignore[arg-type]  # any uint16 is taken

    def connected(self, transport: WSTransport) -> None:
        self._picows = transport
        # It keeps both as long as the socket lives, a kilobyte of headers that nobody will read.
        transport.request.headers.clear()
        transport.response.headers.clear()

    def frame(self, transport: WSTransport, frame: Any) -> None:
        # `frame` is a WSFrame, whose flags are ints, whatever its stub says.
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(PROTOCOL_ERROR, "reserved bit")
            return
        opcode = frame.msg_type
        if opcode is _BINARY:
            self.fragment(BINARY, bool(frame.fin), frame.get_payload_as_bytes())
        elif opcode is _CONTINUATION:
            self.fragment(CONTINUATION, bool(frame.fin), frame.get_payload_as_bytes())
        elif opcode is _TEXT:
            self.fragment(TEXT, bool(frame.fin), frame.get_payload_as_bytes())
        elif opcode is _CLOSE:
            self._peer_close(frame.get_payload_as_bytes())
        else:
            if opcode is _PING and self.buffered_bytes() <= limits.PONG_BACKLOG_BYTES_MAX:
                transport.send_pong(frame.get_payload_as_bytes())
            self.alive()

    def _peer_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) if payload else _NO_CODE
        if self.is_within_message() or (payload and not _may_be_sent(code)):
            self.fail(PROTOCOL_ERROR, "close frame out of order or with a reserved code")
            return
        # If this is the answer to our own close frame, picows sends no second one.
        if payload:
            self._picows.send_close(code, payload[2:])  # type: ignore[arg-type]
        else:
            self._picows.send(_CLOSE, b"")
        self.peer_closed(code)


def _may_be_sent(code: int) -> bool:
    """Of the codes that picows lets pass, those that may be in a close frame (RFC 6455 section 7.4)."""
    return code not in (0, 1006) and code < 5000
