"""
Probe: one bot that comes back to a room and moves once, to see when the server acks there again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from random import Random

from server.tools.bots.bot import Bot
from server.tools.bots.colyseus import Colyseus
from server.tools.bots.courses import COURSES
from server.tools.bots.dialect import Busy, Dialect, Refused, Seat
from server.tools.bots.holdfast import Holdfast
from server.tools.bots.line import dial
from server.tools.bots.matchmaking import seat_at
from server.tools.bots.result import Target
from server.tools.bots.room import Room
from server.tools.bots.socketio import SocketIo
from server.tools.bots.tally import Tally

ACK_S = 30.0
_LOOK_S = 0.001
_DIALECTS: Mapping[Target, Callable[[str], Dialect]] = {
    "holdfast": Holdfast,
    "colyseus": Colyseus,
    "socketio": SocketIo,
}


class NoAck(Exception):
    """The room could not be joined, or nothing was acked in time."""


async def first_ack(url: str, target: Target, room_id: str) -> float:
    """When, by `time.perf_counter`, the first move in that room was acked. Raises NoAck."""
    dialect = _DIALECTS[target](url)
    tally = Tally()
    try:
        seat = await _seat(url, dialect, room_id)
        bot = Bot(Room(room_id, tally), seat, dialect, COURSES["game"](Random(0)), tally, None)
        line = await dial(bot, dialect, tally)
    except (OSError, Busy, Refused) as problem:
        raise NoAck(str(problem)) from problem
    try:
        now = time.perf_counter()
        bot.turn(now, now)
        while not tally.all_acked:
            if tally.all_rejected or tally.problems or time.perf_counter() - now > ACK_S:
                raise NoAck(f"the move had no ack: {tally.newest_problem or 'rejected, or in vain'}")
            await asyncio.sleep(_LOOK_S)
        return time.perf_counter()
    finally:
        line.cut()


async def _seat(url: str, dialect: Dialect, room_id: str) -> Seat:
    """Rooms of ours and of Socket.IO's are there for who asks; those of Colyseus are made, and told what from."""
    if isinstance(dialect, Colyseus):
        return await seat_at(url, "create/game", {"restore": room_id})
    return await dialect.seat("game", room_id)
