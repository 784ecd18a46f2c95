"""
Recalls: what rooms ask their journal for, so that a resume may go back further than memory does.

Bounded in the entries and bytes of one read, and in how many rooms read at once. Past any of these the room is told
that nothing is to be had, and answers with snapshots: a storm of returning clients costs PostgreSQL no more than this.
"""

import structlog

from contracts import limits
from server.core.effects import Recall
from server.core.faults import Fault
from server.core.history import Change
from server.core.recovery import change_of
from server.runtime.clock import Clock
from server.runtime.runner import RoomRunner
from server.runtime.tasks import Tasks
from server.storage.journal import Journal

_log = structlog.get_logger(service="recalls")


class Recalls:
    def __init__(self, journal: Journal, tasks: Tasks, clock: Clock) -> None:
        self._journal = journal
        self._tasks = tasks
        self._clock = clock
        self._reading = 0

    def begin(self, runner: RoomRunner, question: Recall) -> None:
        """Read in a task of its own; a room asks once at a time."""
        self._tasks.start(self._recall(runner, question), f"recall {runner.room.room_id}")

    async def _recall(self, runner: RoomRunner, question: Recall) -> None:
        before = await self._read(runner, question) if self._reading < limits.RECALLS_MAX else None
        # No await from the last look at the room's history to here.
        runner.inform(lambda room: room.recalled(question, before, self._clock()))

    async def _read(self, runner: RoomRunner, question: Recall) -> list[Change] | None:
        """The changes up to where the history begins when this returns; None if they are too many, or unreadable."""
        self._reading += 1
        try:
            return await self._pages(runner, question.from_seq)
        except Fault as fault:
            _log.warning("a journal could not be read for a resume", room=runner.room.room_id, fault=str(fault))
            return None
        finally:
            self._reading -= 1

    async def _pages(self, runner: RoomRunner, from_seq: int) -> list[Change] | None:
        changes: list[Change] = []
        size_bytes = 0
        # The room goes on meanwhile, and its history may begin later each time we look.
        while (after := from_seq - 1 + len(changes)) < (up_to := runner.room.output.history.base_seq):
            page = await self._journal.read(runner.room.room_id, after, up_to, limits.RECALL_PAGE_ROWS)
            changes += [change_of(entry) for entry in page]
            size_bytes += sum(entry.size_bytes for entry in page)
            if not page or len(changes) > limits.RECALL_ENTRIES_MAX or size_bytes > limits.RECALL_BYTES_MAX:
                return None
        return changes
