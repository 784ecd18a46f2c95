"""
The transport on picows: frames are parsed and masked in C, small frames are written by one system call.

picows' protocol class is not among its exports, and it hands out frames, not messages. The
version is pinned and `tests/edge/transport/test_picows.py` holds what is relied on here:

- it is a BufferedProtocol that can be subclassed and started behind a request of our own making.
  It is given a minimal one, because it refuses requests that RFC 6455 allows (`Connection:
  keep-alive, Upgrade`, as Firefox sends it) and `handshake` has already read the client's;
- it checks opcodes, masks, lengths and the size of a frame, but neither reserved bits nor
  fragments nor all close codes. On an error it sends a close frame without telling its listener;
- a message of more than 8 KiB has its header left in a buffer that the next message overwrites, sent or not: to a slow
  reader it arrives broken. Such messages are framed here;
- its read buffer doubles whenever a read has filled it, and never shrinks: reads are kept small.
"""

import asyncio
import logging
from struct import Struct
from typing import Any, Final

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not exported, see above
from uvicorn.config import Config
from uvicorn.server import ServerState

from contracts import limits
from server.edge.transport.base import Accept, Endpoint
from server.edge.transport.exchange import PROTOCOL_ERROR, Exchange
from server.edge.transport.handshake import Agreement
from server.edge.transport.upgrade import UpgradedSocket

_CONTINUATION: Final = WSMsgType.CONTINUATION
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_CLOSE: Final = WSMsgType.CLOSE

_REQUEST: Final = (
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n"
)
_NO_CODE: Final = 1005
#: What picows copies, and so may be given.
_COPIED_BYTES_MAX: Final = 8192
#: A whole unmasked binary message, its length in 16 or in 64 bits (RFC 6455 section 5.2).
_LONG: Final = Struct(">BBH")
_LONGER: Final = Struct(">BBQ")


class _PicowsLog(logging.LoggerAdapter[logging.Logger]):
    """picows' log, in which what peers do is no error; its own failures (`exception`) stay."""

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)

    warning = error = info


_LOG: Final = _PicowsLog(logging.getLogger("picows.server"), {})


class PicowsExchange(Exchange, WSListener):
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

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._picows = transport
        # It keeps both as long as the socket lives, a kilobyte of headers that nobody will read.
        transport.request.headers.clear()
        transport.response.headers.clear()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(PROTOCOL_ERROR, "reserved bit")
            return
        opcode = frame.msg_type
        if opcode is _BINARY or opcode is _CONTINUATION or opcode is _TEXT:
            self.fragment(opcode.value, frame.fin, frame.get_payload_as_bytes())
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

    def pause_writing(self) -> None:
        self.choked()

    def resume_writing(self) -> None:
        self.drained()


def _may_be_sent(code: int) -> bool:
    """Of the codes that picows lets pass, those that may be in a close frame (RFC 6455 section 7.4)."""
    return code not in (0, 1006) and code < 5000


class PicowsSocket(UpgradedSocket, WSProtocol):  # type: ignore[misc]  # WSProtocol has no stub
    def __init__(self, accept: Accept, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        UpgradedSocket.__init__(self, accept, config, server_state, app_state)
        WSProtocol.__init__(
            self,
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=self._listener,
            logger=_LOG,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=False,
            auto_ping_idle_timeout=0,
            auto_ping_reply_timeout=0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=limits.MESSAGE_BYTES_MAX,
            extra_headers=None,
            read_buffer_init_size=0,
        )

    def _listener(self, _request: WSUpgradeRequest) -> WSListener:
        assert isinstance(self._exchange, PicowsExchange)
        return self._exchange

    def _begin(self, agreement: Agreement, socket: asyncio.Transport) -> Exchange:
        self._exchange = PicowsExchange(agreement.endpoint, socket)
        WSProtocol.connection_made(self, socket)
        request = _REQUEST.format(agreement.key).encode()
        WSProtocol.get_buffer(self, len(request))[: len(request)] = request
        WSProtocol.buffer_updated(self, len(request))
        return self._exchange

    def get_buffer(self, size_hint: int) -> memoryview:
        buffer: memoryview = WSProtocol.get_buffer(self, size_hint)
        return buffer[: limits.READ_BYTES_MAX]

    def buffer_updated(self, nbytes: int) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # the upgrade was refused; the next read overwrites this one
        if not exchange.is_open:
            exchange.received_late(nbytes)
        WSProtocol.buffer_updated(self, nbytes)
        if exchange.is_open and self.transport.is_close_frame_sent:
            exchange.failed(self.transport.close_handshake.sent.code)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is not None:
            WSProtocol.connection_lost(self, exc)
        UpgradedSocket.connection_lost(self, exc)
