"""Logout: a player's sessions end, wherever their rooms are, and their tokens count no more."""

from random import SystemRandom

import structlog

from contracts.codes import CloseCode
from server.core.faults import Fault
from server.edge.gatehouse import Gatehouse
from server.presence.sessions import Sessions
from server.runtime.clock import Clock
from server.runtime.node import Node, TooManyRooms
from server.runtime.runner import RoomRunner

_log = structlog.get_logger(service="logout")


class Logout:
    def __init__(
        self, node: Node, sessions: Sessions, gatehouse: Gatehouse, clock: Clock, random: SystemRandom
    ) -> None:
        self._node = node
        self._sessions = sessions
        self._gatehouse = gatehouse
        self._clock = clock
        self._random = random

    async def of_player(self, player_id: str) -> None:
        """What `session.logout` asks for: no token of the player's counts from now on. Raises nothing."""
        try:
            await self._gatehouse.revoke_player(player_id)
            await self.end_sessions(player_id)
        except (Fault, TooManyRooms) as fault:
            _log.warning("a logout could not be finished", player=player_id, fault=str(fault))

    async def end_sessions(self, player_id: str) -> int:
        """
        Ends the player's sessions with a last delta and 4504, and returns how many, once that is durable.

        Rooms that sleep are activated for it: a held session would else outlive its player's logout. Raises a Fault.
        """
        room_ids = {record.room_id for record in await self._sessions.of_player(player_id)}
        room_ids |= {runner.room.room_id for runner in self._node.rooms if runner.room.seats.of_player(player_id)}
        ended = 0
        for room_id in room_ids:
            runner = await self._node.room(room_id)
            if isinstance(runner, RoomRunner):
                ended += self._end_in(runner, player_id)
                await runner.durable()
        return ended

    def _end_in(self, runner: RoomRunner, player_id: str) -> int:
        seats = runner.room.seats.of_player(player_id)
        for seat in seats:
            runner.step(
                lambda room, seat=seat: room.terminate(  # type: ignore[misc]
                    seat, CloseCode.LOGGED_OUT, "logged out", self._clock(), self._random
                )
            )
        return len(seats)
