"""
Colyseus' dialect: the same matchmaking and messages, and a state by schema.

JOIN_ROOM describes the types, ROOM_STATE is the whole state, and every ROOM_STATE_PATCH what has changed since. Nothing
in them says a place in an order. A root field `roomSeq`, the number of the last action that the state shows, does:
where a state has it, patches are checked and timed by it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from picows import WSMsgType

from server.core.colyseus.frames import Opcode
from server.core.colyseus.primitives import Malformed, decode_number
from server.tools.bots import matchmaking
from server.tools.bots.bot import Bot
from server.tools.bots.courses import Course, Still
from server.tools.bots.dialect import Framer, Reader, Seat, Unreadable
from server.tools.bots.line import dial
from server.tools.bots.result import Target
from server.tools.bots.room import Room, Stand
from server.tools.bots.schema import Odd, Refs, decode, decode_reflection, empty, plain
from server.tools.bots.schema_types import Types
from server.tools.bots.tally import Tally

_ROOM_SEQ = "roomSeq"


class State(msgspec.Struct, frozen=True, eq=False):
    types: Types
    refs: Refs

    def __eq__(self, other: object) -> bool:
        """As JSON: that is what clients see."""
        return isinstance(other, State) and plain(self.types, self.refs) == plain(other.types, other.refs)

    __hash__ = None  # type: ignore[assignment]


class Colyseus:
    target: Target = "colyseus"
    frame_type = WSMsgType.BINARY

    def __init__(self, url: str) -> None:
        self._url = url
        #: By their description: all clients of a server are sent the same.
        self._types: dict[bytes, Types] = {}

    async def version(self) -> dict[str, Any] | None:
        return await matchmaking.version_at(self._url)

    async def seat(self, room_name: str, room_id: str | None) -> Seat:
        place = f"create/{room_name}" if room_id is None else f"joinById/{room_id}"
        return await matchmaking.seat_at(self._url, place, {})

    def socket_url(self, seat: Seat, token: str | None) -> str:
        return matchmaking.socket_url(seat, token)

    def framer(self, course: Course) -> Framer:
        return matchmaking.framer_of(course)

    def leave_frame(self) -> bytes | None:
        return matchmaking.LEAVE

    def plain(self, state: Any) -> dict[str, Any]:
        tree: dict[str, Any] = plain(state.types, state.refs)
        return tree

    def reader(self, bot: Bot) -> Reader:
        """Of one connection, which begins with the types, if they are not known already, and the whole state."""
        is_first = bot.stand.state is None
        types: Types | None = None if is_first else bot.stand.state.types

        def hear(frame: bytes) -> None:
            nonlocal types
            opcode = frame[0] if frame else 0
            if opcode == Opcode.ROOM_STATE_PATCH:
                _hear_patch(bot, frame)
            elif opcode == Opcode.ROOM_STATE:
                if types is None:
                    raise Unreadable("a state whose types were never described")
                bot.shown(_stand(types, empty(types), frame))
                if not is_first:
                    bot.is_back()
            elif opcode == Opcode.JOIN_ROOM:
                described = _description(frame, matchmaking.hear_join(bot, frame))
                types = self._types_of(described) if described else types
            else:
                matchmaking.hear_message(bot, frame)

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

    def _types_of(self, described: bytes) -> Types:
        if described not in self._types:
            try:
                self._types[described] = decode_reflection(described)
            except Odd as problem:
                raise Unreadable(str(problem)) from problem
        return self._types[described]


def _hear_patch(bot: Bot, frame: bytes) -> None:
    stand = bot.stand
    if stand.state is None:
        raise Unreadable("a patch before the state")
    try:
        led = _stand(stand.state.types, stand.state.refs, frame)
    except Unreadable as problem:
        bot.gap(f"a patch that does not fit ({problem})")
        return
    if led.room_seq < stand.room_seq:
        bot.gap(f"a patch to roomSeq {led.room_seq}")
    bot.changed(frame, led)


def _stand(types: Types, refs: Refs, frame: bytes) -> Stand:
    """Where a full state or a patch leads. Raises Unreadable."""
    try:
        led = decode(types, refs, frame[1:])
    except Odd as problem:
        raise Unreadable(str(problem)) from problem
    places = (index for index, field in enumerate(types.fields[types.root]) if field.name == _ROOM_SEQ)
    return Stand(int(led[0].values.get(next(places, -1), -1)), State(types, led))


def _description(frame: bytes, offset: int) -> bytes:
    """The types in JOIN_ROOM; empty where they are left out. 0.18 writes their length first, 0.16 and 0.17 don't."""
    if offset == len(frame):
        return b""
    try:
        length, start = decode_number(frame, offset)
    except Malformed:
        return frame[offset:]
    return frame[start : start + int(length)]
