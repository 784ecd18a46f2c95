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
from typing import Any, Final

from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not exported, see above
from uvicorn.config import Config
from uvicorn.server import ServerState

from contracts import limits
from server.edge.transport.base import Accept
from server.edge.transport.exchange import Exchange
from server.edge.transport.handshake import Agreement
from server.edge.transport.picows_exchange import PicowsExchange
from server.edge.transport.upgrade import UpgradedSocket

_REQUEST: Final = (
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n"
)
#: Found once, and not for each read.
_get_buffer: Final = WSProtocol.get_buffer
_buffer_updated: Final = WSProtocol.buffer_updated
_READ_BYTES_MAX: Final = limits.READ_BYTES_MAX


class _PicowsLog(logging.LoggerAdapter[logging.Logger]):
    """picows' log, in which what peers do is no error; its own failures (`exception`) stay."""

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)

    warning = error = info


_LOG: Final = _PicowsLog(logging.getLogger("picows.server"), {})


class _Listener(WSListener):
    """Has picows call the exchange's methods, without a method of Python in between."""

    def __init__(self, exchange: PicowsExchange) -> None:
        self.on_ws_connected = exchange.connected  # type: ignore[method-assign]
        self.on_ws_frame = exchange.frame  # type: ignore[method-assign]
        self.pause_writing = exchange.choked  # type: ignore[method-assign]
        self.resume_writing = exchange.drained  # type: ignore[method-assign]


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
        return _Listener(self._exchange)

    def _begin(self, agreement: Agreement, socket: asyncio.Transport) -> Exchange:
        self._exchange = PicowsExchange(agreement.endpoint, socket)
        WSProtocol.connection_made(self, socket)
        request = _REQUEST.format(agreement.key).encode()
        WSProtocol.get_buffer(self, len(request))[: len(request)] = request
        WSProtocol.buffer_updated(self, len(request))
        return self._exchange

    def get_buffer(self, size_hint: int) -> memoryview:
        buffer: memoryview = _get_buffer(self, size_hint)
        return buffer if len(buffer) <= _READ_BYTES_MAX else buffer[:_READ_BYTES_MAX]

    def buffer_updated(self, nbytes: int) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # the upgrade was refused; the next read overwrites this one
        if not exchange.is_open:
            exchange.received_late(nbytes)
        _buffer_updated(self, nbytes)
        if exchange.is_open and self.transport.is_close_frame_sent:
            exchange.failed(self.transport.close_handshake.sent.code)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is not None:
            WSProtocol.connection_lost(self, exc)
        UpgradedSocket.connection_lost(self, exc)
