"""
Node: one server process with its own lease, and the rooms it owns.

    STARTING --registered--> SERVING --SIGTERM--> DRAINING --> (rooms released) --> RETIRED
                                `--a write in doubt, or fenced--> DOOMED     the process ends at once

Rooms are virtual actors: one activates when a client of its arrives, is claimed with the next
epoch, and is rebuilt from its newest snapshot and the entries after it. It is released when
nobody is in it for a while, or at a drain: only when all it did is durable.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from random import SystemRandom
from typing import Any, Literal

import msgspec
import structlog

from contracts import limits
from contracts.codes import CloseCode, RejectCode
from server.core.effects import LookUp
from server.core.faults import Fault, Fenced, Unavailable
from server.core.history import History
from server.core.identifiers import is_id, new_id
from server.core.journal import Entry
from server.core.recovery import RoomSnapshot, recover
from server.core.reject import Reject
from server.core.room import Room, RoomLimits
from server.ops.metrics import Metrics
from server.rooms.base import Room as Rules
from server.runtime.clock import Clock
from server.runtime.committer import Committer
from server.runtime.locks import Locks
from server.runtime.publisher import Publisher
from server.runtime.recalls import Recalls
from server.runtime.runner import Pace, RoomRunner, Upkeep
from server.runtime.tasks import Tasks
from server.storage.rooms import OwnedBy, RoomRow
from server.storage.stores import Stores

_log = structlog.get_logger(service="node")

#: Between two looks at what time alone ends.
SWEEP_S = 0.25
#: Rooms released at once in a drain.
RELEASES_AT_ONCE = 4

DRAINING = Reject(RejectCode.TERMINATING, "the server is shutting down; you will be reconnected")
OVERLOADED = Reject(RejectCode.OVERLOADED, "the server is behind with its writes; try again in a moment")


class TooManyRooms(Exception):
    """This node holds as many rooms as it may."""


class Terms(msgspec.Struct, frozen=True):
    """What the settings say of this node's rooms."""

    room: RoomLimits
    pace: Pace
    lease_s: float
    lease_renew_s: float
    pending_actions_max: int
    rooms_max: int


class Node:
    def __init__(
        self,
        node_id: str,
        games: Mapping[str, type[Rules]],
        stores: Stores,
        publisher: Publisher,
        committer: Committer,
        tasks: Tasks,
        metrics: Metrics,
        terms: Terms,
        clock: Clock,
        random: SystemRandom,
        on_doubt: Callable[[Fault], None],
    ) -> None:
        self.node_id = node_id
        self.games = games
        self.is_draining = False
        self.publisher = publisher
        self._stores = stores
        self._committer = committer
        self._tasks = tasks
        self._metrics = metrics
        self._terms = terms
        self._clock = clock
        self._random = random
        self._on_doubt = on_doubt
        self._rooms: dict[str, RoomRunner] = {}
        #: Who activates or releases a room does it alone.
        self._locks = Locks()
        self._lease_until = 0.0
        self._is_retired = False
        recalls = Recalls(stores.journal, tasks, clock)
        self._upkeep = Upkeep(
            self._refusal, self._seats_changed, self._look_up, recalls.begin, self._save, self._rebuild
        )

    @property
    def rooms(self) -> Collection[RoomRunner]:
        return list(self._rooms.values())

    @property
    def is_lease_held(self) -> bool:
        """By this process' own clock, counted from before each renewal began."""
        return time.monotonic() < self._lease_until

    # -- the node's life ------------------------------------------------------------------------------------------

    async def start(self, home: str | None, address: str) -> None:
        """Become a node; others of the same data folder, whose lock we hold, are dead: fence them. Raises a Fault."""
        began = time.monotonic()
        await self._stores.nodes.register(self.node_id, home, address, self._terms.lease_s)
        self._lease_until = began + self._terms.lease_s
        if home is not None:
            fenced = await self._stores.nodes.fence_home(home, self.node_id)
            if fenced:
                _log.info("took over from a node that did not end cleanly", nodes=fenced)
        await self.publisher.refresh()
        self._tasks.start(self._committer.run(), "committer")
        self._tasks.start(self._keep_lease(), "lease")
        self._tasks.start(self._sweep(), "sweep")
        self._tasks.start(self.publisher.run(), "publisher")

    async def drain(self, close: CloseCode, reason: str) -> None:
        """Stop taking, finish, snapshot, hand over, close; in that order."""
        self.is_draining = True
        limiter = asyncio.Semaphore(RELEASES_AT_ONCE)

        async def release(room_id: str) -> None:
            async with limiter, self._locks[room_id]:
                runner = self._rooms.get(room_id)
                if runner is not None:
                    await self._release(runner, close, reason)

        # Whoever activates a room now holds its lock; nobody begins to.
        room_ids = {*self._rooms, *self._locks}
        outcomes = await asyncio.gather(*(release(room_id) for room_id in room_ids), return_exceptions=True)
        faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if faults:
            _log.error(
                "some rooms could not be released; they will be taken over", rooms=len(faults), exc_info=faults[0]
            )
            return
        await self.publisher.write()
        self._is_retired = True
        await self._stores.nodes.retire(self.node_id)

    def close_all(self, close: CloseCode, reason: str) -> None:
        """Close every connection of every room at once."""
        for runner in self.rooms:
            runner.close_all(close, reason)

    def announce(self, frame: bytes) -> None:
        """A frame about the server itself, to everyone."""
        for runner in self.rooms:
            runner.announce(frame)

    # -- rooms ----------------------------------------------------------------------------------------------------

    def active(self, room_id: str) -> RoomRunner | None:
        """The room, if it is active here and takes input."""
        runner = self._rooms.get(room_id)
        return runner if runner is not None and runner.takes_input else None

    async def room(self, room_id: str) -> RoomRunner | OwnedBy | None:
        """
        The room, activated here if nobody has it; else who has it; None: no such room.

        Raises a Fault, or TooManyRooms.
        """
        runner = self.active(room_id)
        if runner is not None or not is_id(room_id):
            return runner
        async with self._locks[room_id]:
            runner = self._rooms.get(room_id)
            if runner is not None and runner.takes_input:
                return runner
            if runner is not None:
                await self._release(runner, CloseCode.MAY_RECONNECT, "the room is rebuilt")
            self._refuse_if_unfit()
            claimed = await self._stores.rooms.claim(self.node_id, room_id)
            if not isinstance(claimed, RoomRow):
                return claimed
            if claimed.name not in self.games:
                _log.error("a room's game is not known here", room=room_id, name=claimed.name)
                await self._give_back(room_id)
                return None
            return await self._activate(claimed)

    async def create(self, name: str, options: Mapping[str, Any]) -> RoomRunner:
        """A new room of a game this server knows. Raises a Fault, TooManyRooms, or what its rules raise."""
        self._refuse_if_unfit()
        game = self.games[name]
        filters = {key: options[key] for key in game.filter_by if isinstance(options.get(key), (str, int, bool))}
        row = RoomRow(
            room_id=new_id(self._random),
            name=name,
            options=msgspec.json.encode(options),
            metadata=b"{}",
            filters=filters,
            max_clients=game.max_clients,
        )
        async with self._locks[row.room_id]:
            return await self._activate(await self._stores.rooms.create(self.node_id, row))

    async def _activate(self, row: RoomRow) -> RoomRunner:
        """A room that is ours by now, as its journal knows it; given back where that cannot be loaded."""
        began = time.perf_counter()
        try:
            room = await self._load(row)
        except Exception:
            await self._give_back(row.room_id)
            raise
        if room.room_seq == 0:
            await self._begin(room, row)
        runner = self._run(room, row)
        runner.step(lambda room: room.drop_unconnected(self._clock(), self._random))
        _log.info(
            "room active",
            room=row.room_id,
            name=row.name,
            epoch=row.epoch,
            room_seq=room.room_seq,
            replayed=room.room_seq - room.output.history.base_seq,
            ms=round((time.perf_counter() - began) * 1000, 1),
        )
        return runner

    async def _load(self, row: RoomRow) -> Room:
        """From its newest snapshot and the entries after it; at roomSeq 0 where there is neither."""
        rules = self.games[row.name]()
        found = await self._stores.snapshots.latest(row.room_id)
        entries = await self._entries(row.room_id, found.room_seq if found is not None else 0)
        if found is None and not entries:
            return Room(row.room_id, row.epoch, rules, _new_history(row.epoch), self._terms.room)
        return recover(row.room_id, row.epoch, rules, self._terms.room, found, entries, self._clock())

    async def _begin(self, room: Room, row: RoomRow) -> None:
        """Its creation. One that its rules cannot create has ended: it would fail whoever asks next as well."""
        try:
            room.create(msgspec.json.decode(row.options), self._clock(), self._random)
        except Exception:
            await self._give_back(row.room_id, "ended")
            raise

    def _run(self, room: Room, row: RoomRow) -> RoomRunner:
        runner = RoomRunner(
            room,
            self._committer,
            self._terms.pace,
            self._upkeep,
            self._metrics,
            self._clock,
            self._random,
            row.created_at,
            row.filters,
        )
        self._rooms[row.room_id] = runner
        self._metrics.rooms.labels(row.name, "active").inc()
        self.publisher.changed(runner, [])
        return runner

    async def _entries(self, room_id: str, after: int) -> list[Entry]:
        entries: list[Entry] = []
        while True:
            page = await self._stores.journal.read(room_id, after + len(entries))
            entries += page
            if len(page) < limits.JOURNAL_PAGE_ROWS_MAX:
                return entries

    async def _release(self, runner: RoomRunner, close: CloseCode, reason: str) -> None:
        """Give the room up, all of it durable, with a snapshot unless it is broken. Under its lock. Raises a Fault."""
        room = runner.room
        while not runner.is_durable:
            await runner.durable()
        # No await from there to here: nothing of the room is in flight, and from now on it takes nothing.
        runner.release()
        self._rooms.pop(room.room_id, None)
        self._metrics.rooms.labels(room.rules.name, "active").dec()
        self.publisher.closed(runner)
        if not room.is_broken:
            await self._write_snapshot(runner.snapshot())
        await self._give_back(room.room_id)
        runner.close_all(close, reason)
        _log.info("room released", room=room.room_id, room_seq=room.room_seq, reason=reason)

    async def _give_back(self, room_id: str, status: Literal["dormant", "ended"] = "dormant") -> None:
        """What is not in memory must not be ours in PostgreSQL. Raises a Fault."""
        try:
            await self._stores.rooms.release(self.node_id, room_id, status)
        except Fault as fault:
            # Only a new node can have it.
            self._on_doubt(fault)
            raise

    def _refuse_if_unfit(self) -> None:
        """Before a room comes here."""
        if self.is_draining:
            raise Unavailable("the node is draining", "refused")
        if len(self._rooms) >= self._terms.rooms_max:
            raise TooManyRooms(f"this node holds {self._terms.rooms_max} rooms")

    def _refusal(self) -> Reject | None:
        """Why no intent is taken now."""
        if self.is_draining:
            return DRAINING
        return OVERLOADED if self._committer.pending >= self._terms.pending_actions_max else None

    def _doubt(self, fault: Fenced) -> None:
        """Fenced; but not by our own hand, as a retired node's last renewal finds."""
        if not self._is_retired:
            self._on_doubt(fault)

    # -- upkeep ---------------------------------------------------------------------------------------------------

    def _seats_changed(self, runner: RoomRunner, session_ids: Collection[str]) -> None:
        self.publisher.changed(runner, session_ids)

    def _look_up(self, runner: RoomRunner, question: LookUp) -> None:
        async def look_up() -> None:
            room = runner.room
            try:
                room_seq = await self._stores.journal.room_seq_of(room.room_id, question.session_id, question.seq)
            except Fault as fault:
                _log.warning("an old number could not be looked up", room=room.room_id, fault=str(fault))
                return
            if runner.takes_input:
                runner.step(lambda room: room.looked_up(question.link, question.seq, room_seq, question.request_id))

        self._tasks.start(look_up(), f"look-up {runner.room.room_id}")

    def _save(self, runner: RoomRunner, snapshot: RoomSnapshot) -> None:
        self._tasks.start(self._write_snapshot(snapshot), f"snapshot {snapshot.room_id}")

    async def _write_snapshot(self, snapshot: RoomSnapshot) -> None:
        """Without it the next activation reads more entries, and that is all."""
        try:
            await self._stores.snapshots.write(self.node_id, snapshot)
        except Fenced as fault:
            self._doubt(fault)
        except Fault as fault:
            _log.warning("a snapshot was not written", room=snapshot.room_id, fault=str(fault))

    def _rebuild(self, runner: RoomRunner) -> None:
        async def rebuild() -> None:
            async with self._locks[runner.room.room_id]:
                if not runner.is_over:
                    with suppress(Fault):
                        await self._release(runner, CloseCode.MAY_RECONNECT, "the room is rebuilt")

        self._tasks.start(rebuild(), f"rebuild {runner.room.room_id}")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._metrics.pending_actions.set(self._committer.pending)
            for runner in self.rooms:
                runner.sweep()
                if self._is_deserted(runner):
                    self._tasks.start(self._hibernate(runner), f"hibernate {runner.room.room_id}")

    def _is_deserted(self, runner: RoomRunner) -> bool:
        empty_since = runner.empty_since_ms
        return empty_since is not None and self._clock() - empty_since >= limits.ROOM_LINGER_S * 1000

    async def _hibernate(self, runner: RoomRunner) -> None:
        async with self._locks[runner.room.room_id]:
            if runner.takes_input and self._is_deserted(runner) and not self.is_draining:
                with suppress(Fault):
                    await self._release(runner, CloseCode.MAY_RECONNECT, "hibernated")

    async def _keep_lease(self) -> None:
        """Renew in time; a database that cannot be reached makes nobody else the owner, so it is tried again."""
        while True:
            await asyncio.sleep(self._terms.lease_renew_s)
            began = time.monotonic()
            try:
                await self._stores.nodes.renew(self.node_id, self._terms.lease_s)
                self._lease_until = began + self._terms.lease_s
            except Fenced as fault:
                self._doubt(fault)
                return
            except Fault as fault:
                _log.warning("the lease was not renewed", fault=str(fault))
            await self.publisher.refresh()


def _new_history(epoch: int) -> History:
    return History(0, epoch, limits.HISTORY_ENTRIES_MAX, limits.HISTORY_BYTES_MAX)
