"""Archive: what rooms ask of their past, and snapshots of them; tasks beside play, which waits for none of it."""

from collections.abc import Callable

import structlog

from server.core.effects import LookUp
from server.core.faults import Fault, Fenced
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
        room_id = runner.room.room_id
        try:
            room_seq = await self._stores.journal.room_seq_of(room_id, question.session_id, question.seq)
        except Fault as fault:
            _log.warning("an old number could not be looked up", room=room_id, fault=str(fault))
            return
        if not runner.is_over:
            runner.step(lambda room: room.looked_up(question.link, question.seq, room_seq, question.request_id))
