"""Logout: a player's sessions end, wherever their rooms are, and their tokens count no more."""

import asyncio

import structlog

from contracts import limits
from contracts.codes import CloseCode
from server.core.faults import Fault, Unavailable
from server.edge.evictions import Eviction, Evictions
from server.edge.gatehouse import Gatehouse
from server.presence.sessions import Sessions
from server.runtime.node import Node
from server.runtime.terms import NodeFull

_log = structlog.get_logger(service="logout")


class Logout:
    def __init__(self, node: Node, sessions: Sessions, evictions: Evictions, gatehouse: Gatehouse) -> None:
        self._node = node
        self._sessions = sessions
        self._evictions = evictions
        self._gatehouse = gatehouse

    async def of_player(self, player_id: str) -> None:
        """What `session.logout` asks for: no token of the player's counts from now on. Raises nothing."""
        try:
            await self._gatehouse.revoke_player(player_id)
            await self.end_sessions(player_id)
        except (Fault, NodeFull) as fault:
            _log.warning("a logout could not be finished", player=player_id, fault=str(fault))

    async def end_sessions(self, player_id: str) -> int:
        """Ends the player's sessions with a last delta and 4504, and returns how many, once that is durable. Raises a
        Fault, or NodeFull."""
        room_ids = {record.room_id for record in await self._sessions.of_player(player_id)}
        room_ids |= {runner.room.room_id for runner in self._node.rooms if runner.room.seats.of_player(player_id)}
        return sum([await self._end_in(room_id, player_id) for room_id in room_ids])

    async def _end_in(self, room_id: str, player_id: str) -> int:
        eviction = Eviction(room_id, player_id, None, CloseCode.LOGGED_OUT, "logged out")
        known = await self._count(room_id, player_id)
        for _ in range(limits.EVICTION_ATTEMPTS_MAX):
            ended = await self._evictions.end(eviction)
            if ended is not None:
                return ended
            await asyncio.sleep(limits.EVICTION_PAUSE_S)
            if await self._count(room_id, player_id) == 0:
                return known
        raise Unavailable("a node that has a session of the player does not answer")

    async def _count(self, room_id: str, player_id: str) -> int:
        """The player's sessions in the room, as its owner has told Redis."""
        return sum(record.room_id == room_id for record in await self._sessions.of_player(player_id))
