"""
The transport on `websockets`' Sans-I/O protocol: for platforms without picows, and the reference of its conformance.

The protocol parses frames, checks them and their order, and answers pings and close frames; here
its output is written and its events are passed on.
"""

import asyncio
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from contracts import limits
from server.edge.transport.base import Endpoint
from server.edge.transport.exchange import Exchange
from server.edge.transport.handshake import Agreement
from server.edge.transport.upgrade import UpgradedSocket

_DATA: Final = frozenset((Opcode.CONT, Opcode.TEXT, Opcode.BINARY))
_PONG_HEAD: Final = bytes((0x80 | Opcode.PONG,))


class SansIoExchange(Exchange):
    """
    Frames of one packet are parsed, and answered, before the first of them is passed on: the
    protocol may be closing while the exchange still is open. What is sent then is dropped.
    """

    def __init__(self, endpoint: Endpoint, socket: asyncio.Transport, protocol: ServerProtocol) -> None:
        super().__init__(endpoint, socket)
        self._protocol = protocol
        self._flush()

    def send(self, frame: bytes) -> None:
        if self.is_open and self._protocol.state is State.OPEN:
            self._protocol.send_binary(frame)
            self._flush()

    def ping(self) -> None:
        if self.is_open and self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def _send_close(self, code: int, reason: bytes) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason.decode())
            self._flush()

    def received(self, chunk: bytes) -> None:
        if not self.is_open:
            self.received_late(len(chunk))
        self._protocol.receive_data(chunk)
        frames = self._protocol.events_received()
        self._flush()
        for frame in frames:
            assert isinstance(frame, Frame), "the handshake is over"
            if frame.opcode in _DATA:
                self.fragment(frame.opcode, frame.fin, bytes(frame.data))
            elif frame.opcode is Opcode.CLOSE and (close := self._protocol.close_rcvd):
                self.peer_closed(close.code)
            else:
                self.alive()
        if self._protocol.parser_exc and (close := self._protocol.close_sent):
            self.failed(close.code)

    def _flush(self) -> None:
        """Writes the protocol's output; its end-of-stream marks are left to `Exchange`, which closes the socket."""
        output = self._protocol.data_to_send()
        if self.buffered_bytes() > limits.PONG_BACKLOG_BYTES_MAX:
            output = [frame for frame in output if not frame.startswith(_PONG_HEAD)]
        if output:
            self._socket.write(b"".join(output))


class SansIoSocket(UpgradedSocket, asyncio.Protocol):
    def _begin(self, agreement: Agreement, socket: asyncio.Transport) -> Exchange:
        return SansIoExchange(agreement.endpoint, socket, agreement.protocol)

    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.choked()

    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.drained()

    def data_received(self, data: bytes) -> None:
        if isinstance(self._exchange, SansIoExchange):
            self._exchange.received(data)
        else:
            super().data_received(data)
