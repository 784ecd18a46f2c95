"""
Evictions: a player's sessions end, whichever node has their room.

In a room of this node, or one without a living owner, at once. Another node is told by the bus, and whoever asked looks
whether it has happened, and asks again: by then the room may be somebody else's, or ours.
"""

from random import SystemRandom

import msgspec
import structlog

from contracts.codes import CloseCode
from server.core.faults import Fault
from server.presence.bus import Bus
from server.runtime.clock import Clock
from server.runtime.node import Node
from server.runtime.runner import RoomRunner
from server.runtime.tasks import Tasks
from server.storage.characters import Characters
from server.storage.rooms import OwnedBy

_log = structlog.get_logger(service="evictions")


class Eviction(msgspec.Struct, frozen=True):
    """Who is to leave a room, and with what words."""

    room_id: str
    player_id: str
    #: None: all of the player's.
    session_id: str | None
    code: CloseCode
    reason: str


class Evictions:
    def __init__(
        self, node: Node, bus: Bus, characters: Characters, tasks: Tasks, clock: Clock, random: SystemRandom
    ) -> None:
        self._node = node
        self._bus = bus
        self._characters = characters
        self._tasks = tasks
        self._clock = clock
        self._random = random

    async def end(self, eviction: Eviction) -> int | None:
        """
        How many sessions ended, durably, with what they left behind; None: the room's owner was told, which may not
        have heard it, and the caller sees whether it happens. Raises a Fault, or NodeFull.

        A room that sleeps is activated for it: a held session would else outlive what it is ended for.
        """
        found = await self._node.room(eviction.room_id)
        if isinstance(found, OwnedBy):
            await self._bus.tell(found.node_id, msgspec.msgpack.encode(eviction))
            return None
        return await self._end_here(found, eviction)

    def heard(self, message: bytes) -> None:
        """What another node has told this one."""
        try:
            eviction = msgspec.msgpack.decode(message, type=Eviction)
        except msgspec.DecodeError:
            _log.warning("a message of the bus is not understood; does another version run beside this one?")
            return
        self._tasks.start(self._obey(eviction), f"eviction {eviction.room_id}")

    async def _obey(self, eviction: Eviction) -> None:
        runner = self._node.active(eviction.room_id)
        if runner is None:
            return  # whoever asks again finds who has it now
        try:
            await self._end_here(runner, eviction)
        except Fault as fault:
            _log.warning("an eviction could not be finished", room=eviction.room_id, fault=str(fault))

    async def _end_here(self, runner: RoomRunner | None, eviction: Eviction) -> int:
        seats = [] if runner is None else runner.room.seats.of_player(eviction.player_id)
        seats = [seat for seat in seats if eviction.session_id is None or seat.session_id == eviction.session_id]
        if runner is not None:
            for seat in seats:
                runner.step(
                    lambda room, seat=seat: room.terminate(  # type: ignore[misc]
                        seat, eviction.code, eviction.reason, self._clock(), self._random
                    )
                )
            await runner.durable()
        if not seats and eviction.session_id is not None:
            await self._bring_home(eviction.player_id, eviction.room_id, eviction.session_id)
        return len(seats)

    async def _bring_home(self, player_id: str, room_id: str, session_id: str) -> None:
        """Take the character out of the hands of a session that is over."""
        row = await self._characters.get(player_id)
        if row is not None and (room_id, session_id) == (row.room_id, row.session_id):
            await self._characters.give_back_orphan(self._node.node_id, player_id, room_id, session_id, row.profile)
