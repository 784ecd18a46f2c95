"""
Socket.IO's dialect: JSON in text frames, and a state by snapshots and merge patches as Holdfast has it.

    0{...} --> 40{roomId} --> 40{sid}, then 42["event.ack", {kind: "handshake"}] and 42["event.state_delta", {snapshot}]

A room is made by who comes first, so a new one is a new id. Nobody comes back: a session ends with its connection.

Sources: the protocols Engine.IO 4 (a packet's first digit) and Socket.IO 5 (the second one, of a message).
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

import msgspec
from picows import WSMsgType

from server.tools.bots.bot import Bot
from server.tools.bots.courses import Course, Still, Values
from server.tools.bots.dialect import Framer, Reader, Seat, Unreadable
from server.tools.bots.holdfast import folded
from server.tools.bots.line import dial
from server.tools.bots.matchmaking import AckSaid, RejectSaid
from server.tools.bots.result import Target
from server.tools.bots.room import Room, Stand
from server.tools.bots.tally import Tally

_PING, _PONG, _CLOSE = b"2", b"3", b"1"
_ACK, _REJECT, _STATE = (b'42["event.%s",' % name for name in (b"ack", b"reject", b"state_delta"))


class StateSaid(msgspec.Struct, frozen=True, rename="camel"):
    """Of both forms of `event.state_delta`."""

    kind: str
    room_seq: int
    base_seq: int = 0
    state: dict[str, Any] = {}
    patches: list[dict[str, Any]] = []


class HandshakeSaid(msgspec.Struct, frozen=True, rename="camel"):
    session_id: str
    intent_rate: float
    intent_burst: int


_read_ack = msgspec.json.Decoder(AckSaid).decode
_read_handshake = msgspec.json.Decoder(HandshakeSaid).decode
_read_reject = msgspec.json.Decoder(RejectSaid).decode
_read_state = msgspec.json.Decoder(StateSaid).decode


class SocketIo:
    target: Target = "socketio"
    frame_type = WSMsgType.TEXT

    def __init__(self, url: str) -> None:
        self._url = url

    async def version(self) -> dict[str, Any] | None:
        return None

    async def seat(self, room_name: str, room_id: str | None) -> Seat:
        parts = urlsplit(self._url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        socket_url = f"{scheme}://{parts.netloc}{parts.path}/socket.io/?EIO=4&transport=websocket"
        return Seat(room_id or secrets.token_hex(6), "", socket_url)

    def socket_url(self, seat: Seat, token: str | None) -> str:
        return seat.socket_url

    def framer(self, course: Course) -> Framer:
        names = ("seq", *course.keys)
        values = ",".join(f'"{name}":%d' for name in names)
        form = f'42["{course.message_type}",{{{values}}}]'

        def frame(seq: int, values: Values) -> bytes:
            return (form % (seq, *values)).encode()

        return frame

    def leave_frame(self) -> bytes | None:
        return _CLOSE

    def plain(self, state: Any) -> dict[str, Any]:
        tree: dict[str, Any] = state
        return tree

    def reader(self, bot: Bot) -> Reader:
        def hear(frame: bytes) -> None:
            try:
                if frame.startswith(_STATE):
                    _hear_state(bot, frame)
                elif frame.startswith(_ACK):
                    _hear_ack(bot, frame[len(_ACK) : -1])
                elif frame.startswith(_REJECT):
                    reject = _read_reject(frame[len(_REJECT) : -1])
                    bot.rejected(reject.seq, reject.code, reject.message, reject.expected_seq)
                elif frame == _PING:
                    bot.write(_PONG)
                elif frame[:1] == b"0":
                    bot.write(b"40" + msgspec.json.encode({"roomId": bot.room.room_id}))
                elif frame[:2] in (b"41", b"44"):
                    bot.told(f"refused: {frame[2:].decode(errors='replace')}")
            except msgspec.MsgspecError as problem:
                raise Unreadable(str(problem)) from problem

        return hear

    @asynccontextmanager
    async def fresh(self, bot: Bot) -> AsyncIterator[Stand]:
        """As somebody sees it who joins now, and stays until it has been looked at."""
        seat = await self.seat("", bot.room.room_id)
        onlooker = Bot(Room(seat.room_id, Tally()), seat, self, Still(), Tally(), None)
        line = await dial(onlooker, self, Tally())
        try:
            yield onlooker.stand
        finally:
            onlooker.leave()
            await line.ended()


def _hear_ack(bot: Bot, body: bytes) -> None:
    ack = _read_ack(body)
    if ack.kind == "intent":
        bot.acked(ack.seq, ack.room_seq, is_duplicate=ack.status != "applied")
    elif ack.kind == "handshake":
        about = _read_handshake(body)
        bot.session_id = about.session_id
        bot.let_in(None)
        bot.paced_by(about.intent_rate, about.intent_burst)


def _hear_state(bot: Bot, frame: bytes) -> None:
    change, stand = _read_state(frame[len(_STATE) : -1]), bot.stand
    if change.kind == "snapshot":
        bot.shown(Stand(change.room_seq, change.state))
    elif change.base_seq == stand.room_seq:
        bot.changed(frame, Stand(change.room_seq, reduce(folded, change.patches, stand.state)))
    else:
        bot.gap(f"a delta from roomSeq {change.base_seq}")
