"""
Settlement: what becomes of the rooms when writes are in doubt, or come too late.

    settle     a flush's outcome is unknown: a new identity reclaims the rooms, and each journal's end says what is
               durable; a room that another claimed in between, or whose journal lacks what was acked, is lost
    restore    a room stands still, set back to what is durable: as soon as PostgreSQL lets it, it is rebuilt from its
               journal in place, and its connections go on
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from server.core.faults import Fault, Fenced
from server.core.room import Room
from server.runtime.activation import Activation
from server.runtime.backoff import Backoff
from server.runtime.committer import Committer, Journaled
from server.runtime.identity import Identity
from server.runtime.locks import Locks
from server.runtime.runner import RoomRunner
from server.runtime.tasks import Tasks
from server.storage.rooms import RoomRow
from server.storage.stores import Stores

_log = structlog.get_logger(service="node")

#: Between two rebuilds of a room, at least: one that cannot be written may be poisoned again by its first entry.
REBUILDS_EVERY_S = 1.0
#: Rooms that are rebuilt at once.
RESTORED_AT_ONCE = 4


class Settlement:
    def __init__(
        self,
        identity: Identity,
        stores: Stores,
        committer: Committer,
        activation: Activation,
        rooms: Mapping[str, RoomRunner],
        locks: Locks,
        tasks: Tasks,
        lose: Callable[[RoomRunner, str], None],
        on_fenced: Callable[[Fenced], None],
    ) -> None:
        """`rooms` are the node's, by id, as they are at any time; `lose` gives one up, with why."""
        self._identity = identity
        self._stores = stores
        self._committer = committer
        self._activation = activation
        self._rooms = rooms
        self._locks = locks
        self._tasks = tasks
        self._lose = lose
        self._on_fenced = on_fenced
        #: Rooms that stand still, in the order in which they are tried.
        self._still: dict[RoomRunner, None] = {}

    async def settle(self) -> Mapping[Journaled, int]:
        """What was sent may still land: fence it, and return the end of the journal of each room that is kept."""
        backoff = Backoff()
        while True:
            try:
                await self._identity.replace()
                return await self._reclaim()
            except Fenced as fault:
                self._on_fenced(fault)
            except Fault as fault:
                _log.warning("what was written is not known yet", fault=str(fault))
            await asyncio.sleep(backoff.next_s())

    async def _reclaim(self) -> Mapping[Journaled, int]:
        """Own the rooms under the id in force, and read where their journals end."""
        runners, identity = dict(self._rooms), self._identity
        epochs = await self._stores.rooms.reclaim(identity.node_id, identity.former_ids, list(runners))
        ends = await self._stores.journal.ends(list(epochs))
        settled: dict[Journaled, int] = {}
        for room_id, runner in runners.items():
            room, end = runner.room, ends.get(room_id)
            if runner.is_over:
                continue
            if end is None or end.epoch > room.epoch:
                self._lose(runner, "the room is elsewhere")
            elif not room.output.durable_seq <= end.room_seq <= room.room_seq:
                _log.critical("a journal lacks what was acked", room=room_id, end=end.room_seq)
                self._lose(runner, "the room cannot go on")
            else:
                # One that stood still may have been claimed once more, and rebuilt, since they were read.
                room.reclaimed(max(room.epoch, epochs[room_id]))
                settled[runner] = end.room_seq
        identity.former_ids.clear()
        return settled

    def restore(self, runner: RoomRunner) -> None:
        """See to it that the room, which stands still, is rebuilt. Idempotent."""
        is_at_work = bool(self._still)
        self._still[runner] = None
        if not is_at_work:
            self._tasks.start(self._restore_all(), "restore")

    async def _restore_all(self) -> None:
        """One room tries alone whether PostgreSQL lets it; when it does, the others follow, a few at a time."""
        backoff, at_once = Backoff(), 1
        while self._still:
            runners = list(self._still)[:at_once]
            restored = await asyncio.gather(*map(self._is_restored, runners))
            for runner, is_restored in zip(runners, restored, strict=True):
                del self._still[runner]
                # It may have been set back once more while the others were rebuilt.
                if not is_restored or (runner.room.is_still and not runner.is_over):
                    self._still[runner] = None  # behind the others
            at_once = RESTORED_AT_ONCE if all(restored) else 1
            if all(restored):
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())

    async def _is_restored(self, runner: RoomRunner) -> bool:
        """One try; True if there is no more to be done."""
        room_id = runner.room.room_id
        async with self._locks[room_id]:
            is_too_soon = time.monotonic() - runner.rebuilt_at < REBUILDS_EVERY_S
            if runner.is_over or self._committer.has_pending(runner) or is_too_soon:
                return runner.is_over
            claimer = self._identity.node_id
            try:
                row = await self._stores.rooms.claim(claimer, room_id)
                self._committer.writes_succeed()
                room = await self._rebuilt(row, runner) if isinstance(row, RoomRow) else None
            except Fault as fault:
                _log.warning("a room that stands still cannot be rebuilt yet", room=room_id, fault=str(fault))
                if not isinstance(fault, Fenced):
                    self._committer.write_failed(fault)
                return False
            except Exception:
                _log.exception("a room cannot be rebuilt", room=room_id)
                room = None
            if runner.is_over or claimer != self._identity.node_id:
                return runner.is_over
            if room is None:
                self._lose(runner, "the room is elsewhere")
                return True
            runner.go_on(room)
            return True

    async def _rebuilt(self, row: RoomRow, runner: RoomRunner) -> Room | None:
        """As its journal has it, created anew where not even its creation was written in time; None if that lacks what
        was acked."""
        room = await self._activation.load(row)
        if room.room_seq < runner.room.output.durable_seq:
            _log.critical("a journal lacks what was acked", room=row.room_id, end=room.room_seq)
            return None
        self._activation.begin(room, row)
        return room
