"""
Holdfast's dialect: a guest's seat, and a state by snapshots and merge patches, each with its place in the room's order.

Patches are folded by copying the path to what changes: what is not touched is shared with the state before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from typing import Any

import msgspec
from picows import WSMsgType

from contracts import PROTOCOL_VERSION
from contracts.events import Degraded, Delta, Snapshot, VolatileDelta
from contracts.intents import Resume
from server.core.colyseus.frames import Opcode, header
from server.tools import http
from server.tools.bots import matchmaking
from server.tools.bots.bot import Bot
from server.tools.bots.courses import Course
from server.tools.bots.dialect import Framer, Reader, Refused, Seat, Unreadable
from server.tools.bots.result import Target
from server.tools.bots.room import Stand
from server.tools.wire import room_data

#: A place that no room has reached: who says it stands there gets a snapshot.
FUTURE = 2**53 - 1
FRESH_S = 10.0

_STATE = header(Snapshot.TYPE)
_DEGRADED = header(Degraded.TYPE)
_JOIN = bytes((Opcode.JOIN_ROOM,))
_read_state = msgspec.msgpack.Decoder(Snapshot | Delta | VolatileDelta).decode
_read_degraded = msgspec.msgpack.Decoder(Degraded).decode

Tree = dict[str, Any]


class Holdfast:
    target: Target = "holdfast"
    frame_type = WSMsgType.BINARY

    def __init__(self, url: str) -> None:
        self._url = url

    async def version(self) -> dict[str, Any] | None:
        said = await matchmaking.version_at(self._url)
        if said is None or "protocolVersion" not in said:
            raise Refused(f"{self._url}/version does not answer as Holdfast does; other servers: --target")
        if said["protocolVersion"] != PROTOCOL_VERSION:
            raise Refused(
                f"{self._url} speaks protocol version {said['protocolVersion']}, these bots {PROTOCOL_VERSION}"
            )
        return said

    async def seat(self, room_name: str, room_id: str | None) -> Seat:
        guest = matchmaking.said(await http.post(f"{self._url}/api/auth/guest", {}), f"a guest at {self._url}")
        options = {"accessToken": guest["accessToken"], "protocolVersion": PROTOCOL_VERSION, "resume": True}
        place = f"create/{room_name}" if room_id is None else f"joinById/{room_id}"
        return await matchmaking.seat_at(self._url, place, options)

    def socket_url(self, seat: Seat, token: str | None) -> str:
        return matchmaking.socket_url(seat, token)

    def framer(self, course: Course) -> Framer:
        return matchmaking.framer_of(course)

    def leave_frame(self) -> bytes | None:
        return matchmaking.LEAVE

    def plain(self, state: Any) -> dict[str, Any]:
        tree: dict[str, Any] = state
        return tree

    def reader(self, bot: Bot) -> Reader:
        """Of one connection. A bot's first begins with a snapshot, any other with its word of where it stands."""
        is_first = bot.stand.state is None

        def hear(frame: bytes) -> None:
            if frame.startswith(_STATE):
                _hear_state(bot, frame)
            elif frame.startswith(_JOIN):
                matchmaking.hear_join(bot, frame)
            elif frame.startswith(_DEGRADED):
                event = _read_degraded(frame[len(_DEGRADED) :])
                bot.told(f"{event.dependency} {event.status}")
            elif (ack := matchmaking.hear_message(bot, frame)) is not None:
                if ack.kind == "handshake":
                    bot.paced_by(ack.intent_rate, ack.intent_burst)
                    if not is_first:
                        _say_where(bot)
                        bot.is_back()
                elif ack.kind == "resume" and ack.recovered:
                    bot.recovered()

        return hear

    @asynccontextmanager
    async def fresh(self, bot: Bot) -> AsyncIterator[Stand]:
        arrived: asyncio.Future[Stand] = asyncio.get_running_loop().create_future()

        def take(stand: Stand) -> None:
            if not arrived.done():
                arrived.set_result(stand)

        bot.on_fresh = take
        try:
            bot.write(room_data(Resume.TYPE, {"roomSeq": FUTURE, "seq": bot.answered_to}))
            async with asyncio.timeout(FRESH_S):
                yield await arrived
        finally:
            bot.on_fresh = None


def folded(tree: Tree, patch: Tree) -> Tree:
    """RFC 7386's MergePatch, leaving `tree` as it is: only the objects that change are copied."""
    changed = dict(tree)
    for key, value in patch.items():
        if value is None:
            changed.pop(key, None)
        elif type(value) is dict:
            child = changed.get(key)
            changed[key] = folded(child if type(child) is dict else {}, value)
        else:
            changed[key] = value
    return changed


def _hear_state(bot: Bot, frame: bytes) -> None:
    try:
        change = _read_state(frame[len(_STATE) :])
    except msgspec.MsgspecError as problem:
        raise Unreadable(str(problem)) from problem
    if isinstance(change, Snapshot):
        bot.shown(Stand(change.room_seq, change.state, change.epoch))
    elif isinstance(change, Delta):
        stand = bot.stand
        if change.base_seq == stand.room_seq:
            bot.changed(frame, Stand(change.room_seq, reduce(folded, change.patches, stand.state), change.epoch))
        elif bot.gap(f"a delta from roomSeq {change.base_seq}"):
            _say_where(bot)
    # Volatile state has no place in the order, and no snapshot has it.


def _say_where(bot: Bot) -> None:
    stand = bot.stand
    bot.write(room_data(Resume.TYPE, {"roomSeq": stand.room_seq, "epoch": stand.epoch, "seq": bot.answered_to}))
