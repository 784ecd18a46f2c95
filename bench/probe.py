"""
Probe: one client that joins one room and moves once, to see when a server acks again.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from contracts.intents import Move
from server.core.colyseus.frames import Opcode
from server.tools import http
from server.tools.wire import JOIN_BYTE, Message, read, room_data

ACK_S = 60.0


class NoAck(Exception):
    """The room could not be joined, or nothing was acked in time."""


async def first_ack(url: str, place: str, options: Mapping[str, Any], *, as_guest: bool) -> float:
    """When (`time.perf_counter`) the first move was acked, of a client that takes its seat at `place`, such as
    `joinById/<room>`. Raises NoAck."""
    given = dict(options)
    if as_guest:
        given["accessToken"] = (await http.post(f"{url}/api/auth/guest", {})).body["accessToken"]
    answer = await http.post(f"{url}/matchmake/{place}", given)
    if answer.status != 200:
        raise NoAck(f"no seat: {answer.content.decode(errors='replace')}")
    seat = answer.body
    path = f"{seat['processId']}/{seat['roomId']}?{urlencode({'sessionId': seat['sessionId']})}"
    client = _Client()
    wire, _ = await ws_connect(lambda: client, f"{url.replace('http', 'ws', 1)}/{path}")
    try:
        async with asyncio.timeout(ACK_S):
            return await client.acked
    except TimeoutError:
        raise NoAck(f"nothing was acked within {ACK_S:g} s") from None
    finally:
        wire.disconnect()


class _Client(WSListener):
    """Moves as soon as it is in. The tile it enters by has open ones around it."""

    def __init__(self) -> None:
        self.acked: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.BINARY:
            return
        payload = frame.get_payload_as_bytes()
        if payload[0] == Opcode.JOIN_ROOM:
            transport.send(WSMsgType.BINARY, JOIN_BYTE)
            transport.send(WSMsgType.BINARY, room_data(Move.TYPE, {"seq": 1, "dx": 1, "dy": 0}))
        elif payload[0] == Opcode.ROOM_DATA:
            heard = read(payload)
            if isinstance(heard, Message) and heard.type in ("event.ack", "event.reject"):
                self._hear(heard)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.acked.done():
            self.acked.set_exception(NoAck("the connection broke off"))

    def _hear(self, heard: Message) -> None:
        if self.acked.done() or heard.body.get("kind") == "handshake":
            return
        if heard.type == "event.ack":
            self.acked.set_result(time.perf_counter())
        else:
            self.acked.set_exception(NoAck(f"the move was refused: {heard.body}"))
