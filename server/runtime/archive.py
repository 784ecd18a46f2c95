"""
Archive: what rooms ask of their past, and snapshots of them; tasks beside play, which waits for none of it.

Look-ups are cheap to ask for, and the connections they need are also the lease's: few are read at once, and those that
wait are bounded. Whose look-up cannot be had is closed "may reconnect", and asks again.
"""

import asyncio
from collections.abc import Callable

import structlog

from contracts import limits
from server.core.effects import LookUp
from server.core.faults import Fault, Fenced, Unavailable
from server.core.recovery import RoomSnapshot
from server.runtime.identity import Identity
from server.runtime.runner import RoomRunner
from server.runtime.tasks import Tasks
from server.storage.stores import Stores

_log = structlog.get_logger(service="archive")


class Archive:
    def __init__(self, identity: Identity, stores: Stores, tasks: Tasks, on_fenced: Callable[[Fenced], None]) -> None:
        self._identity = identity
        self._stores = stores
        self._tasks = tasks
        self._on_fenced = on_fenced
        self._asked = 0
        self._turns = asyncio.Semaphore(limits.LOOK_UPS_AT_ONCE)

    def look_up(self, runner: RoomRunner, question: LookUp) -> None:
        """Tell the room what its journal has for an old number."""
        self._tasks.start(self._look_up(runner, question), f"look-up {runner.room.room_id}")

    def save(self, snapshot: RoomSnapshot) -> None:
        """Write a snapshot, all of which is durable."""
        self._tasks.start(self.write(snapshot), f"snapshot {snapshot.room_id}")

    async def write(self, snapshot: RoomSnapshot) -> None:
        """Without it the next activation reads more entries, and that is all."""
        try:
            await self._stores.snapshots.write(self._identity.node_id, snapshot)
        except Fenced as fault:
            self._on_fenced(fault)
        except Fault as fault:
            _log.warning("a snapshot was not written", room=snapshot.room_id, fault=str(fault))

    async def _look_up(self, runner: RoomRunner, question: LookUp) -> None:
        try:
            room_seq = await self._room_seq_of(runner.room.room_id, question)
        except Fault as fault:
            _log.warning("an old number could not be looked up", room=runner.room.room_id, fault=str(fault))
            runner.inform(lambda room: room.not_looked_up(question.link))
            return
        runner.inform(lambda room: room.looked_up(question.link, question.seq, room_seq, question.request_id))

    async def _room_seq_of(self, room_id: str, question: LookUp) -> int | None:
        if self._asked >= limits.LOOK_UPS_MAX:
            raise Unavailable("too many old numbers are asked for", "refused")
        self._asked += 1
        try:
            async with self._turns:
                return await self._stores.journal.room_seq_of(room_id, question.session_id, question.seq)
        finally:
            self._asked -= 1
