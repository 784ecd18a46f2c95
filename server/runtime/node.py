"""
Node: one server process, and the rooms it owns.

    STARTING --registered--> SERVING --SIGTERM--> DRAINING --> (rooms released) --> RETIRED
                              |  ^  `--fenced by another--> the process ends at once
                              v  |
                             in doubt: a new identity (`identity.py`) reclaims the rooms

Rooms are virtual actors: one activates when a client of its arrives, is claimed with the next
epoch, and is rebuilt from its newest snapshot and the entries after it. It is released when
nobody is in it for a while, or at a drain: only when all it did is durable. One whose actions
could not be written in time is rebuilt in place, with its connections.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from random import SystemRandom
from typing import Any, Literal

import msgspec
import structlog

from contracts import limits
from contracts.codes import CloseCode
from server.core.faults import Fault, Fenced, Unavailable
from server.core.identifiers import is_id, new_id
from server.core.journal import Entry
from server.core.room import Room
from server.ops.metrics import Metrics
from server.rooms.base import Room as Rules
from server.runtime.activation import Activation
from server.runtime.admission import Admission
from server.runtime.archive import Archive
from server.runtime.clock import Clock
from server.runtime.committer import Committer, Journaled, Lane
from server.runtime.identity import Identity
from server.runtime.locks import Locks
from server.runtime.publisher import Publisher
from server.runtime.recalls import Recalls
from server.runtime.runner import RoomRunner, Upkeep
from server.runtime.settlement import Settlement
from server.runtime.tasks import Tasks
from server.runtime.terms import NodeFull, Reports, Terms
from server.storage.rooms import OwnedBy, RoomRow
from server.storage.stores import Stores

_log = structlog.get_logger(service="node")

#: Between two looks at what time alone ends.
SWEEP_S = 0.25
#: Rooms released at once in a drain.
RELEASES_AT_ONCE = 4


class Node:
    def __init__(
        self,
        identity: Identity,
        games: Mapping[str, type[Rules]],
        stores: Stores,
        publisher: Publisher,
        tasks: Tasks,
        metrics: Metrics,
        terms: Terms,
        clock: Clock,
        random: SystemRandom,
        reports: Reports,
    ) -> None:
        self.games = games
        self.publisher = publisher
        self._identity = identity
        self._stores = stores
        self._tasks = tasks
        self._metrics = metrics
        self._terms = terms
        self._clock = clock
        self._random = random
        self._reports = reports
        self._committer = Committer(
            self._flush, self._settle, terms.durability_budget_s, self._fenced, reports.committed, reports.failed
        )
        self._admission = Admission(self._committer, terms.pending_actions_max)
        self._activation = Activation(games, stores, terms.room, clock, random)
        self._archive = Archive(identity, stores, tasks, self._fenced)
        self._rooms: dict[str, RoomRunner] = {}
        #: Who activates or releases a room does it alone.
        self._locks = Locks()
        self._settlement = Settlement(
            identity,
            stores,
            self._committer,
            self._activation,
            self._rooms,
            self._locks,
            tasks,
            self._lose,
            self._fenced,
        )
        self._upkeep = Upkeep(
            refusal=self._admission.refusal,
            seats_changed=self._seats_changed,
            look_up=self._archive.look_up,
            recall=Recalls(stores.journal, tasks, clock).begin,
            save=self._archive.save,
            broken=self._rebuild,
            still=self._settlement.restore,
            failed=lambda runner: self._lose(runner, "the room failed"),
            may_show=self._may_show,
        )

    @property
    def node_id(self) -> str:
        """The id it writes under now; a write in doubt changes it."""
        return self._identity.node_id

    @property
    def rooms(self) -> Collection[RoomRunner]:
        return list(self._rooms.values())

    @property
    def is_lease_held(self) -> bool:
        return self._identity.is_lease_held

    @property
    def is_draining(self) -> bool:
        return self._admission.is_draining

    # -- the node's life ------------------------------------------------------------------------------------------

    async def start(self, home: str | None, address: str) -> None:
        """Become a node, which others reach at `address`, and begin to serve. `home`: see Identity.begin. Raises a
        Fault."""
        await self._identity.begin(home, address)
        await self.publisher.refresh()
        for lane in Lane:
            self._tasks.start(self._committer.run(lane), f"committer {lane.name}")
        self._tasks.start(self._identity.keep(self._fenced), "lease")
        self._tasks.start(self.publisher.keep_listed(), "listings")
        self._tasks.start(self._sweep(), "sweep")
        self._tasks.start(self.publisher.run(), "publisher")

    async def drain(self, close: CloseCode, reason: str) -> None:
        """Stop taking, finish, snapshot, hand over, close; in that order."""
        self._admission.is_draining = True
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
        try:
            await self._identity.retire()
        except Fault as fault:
            _log.warning("the node could not be retired; its lease has to run out", fault=str(fault))

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

        Raises a Fault, or NodeFull.
        """
        runner = self.active(room_id)
        if runner is not None or not is_id(room_id):
            return runner
        async with self._locks[room_id]:
            runner = self._rooms.get(room_id)
            if runner is not None and runner.takes_input:
                return runner
            if runner is not None and runner.room.is_still:
                raise Unavailable("the room waits to be rebuilt", "timeout")
            if runner is not None:
                await self._release(runner, CloseCode.MAY_RECONNECT, "the room is rebuilt")
            self._refuse_if_unfit()
            claimer = self.node_id
            claimed = await self._stores.rooms.claim(claimer, room_id)
            if not isinstance(claimed, RoomRow):
                return claimed
            if claimed.name not in self.games:
                _log.error("a room's game is not known here", room=room_id, name=claimed.name)
                await self._give_back(claimed)
                return None
            return await self._activate(claimed, claimer)

    async def create(self, name: str, options: Mapping[str, Any]) -> RoomRunner:
        """A new room of a game this server knows. Raises a Fault, NodeFull, or what its rules raise."""
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
            creator = self.node_id
            return await self._activate(await self._stores.rooms.create(creator, row), creator)

    async def _activate(self, row: RoomRow, claimer: str) -> RoomRunner:
        """A room that is `claimer`'s by now, as its journal knows it; given back where that cannot be loaded."""
        began = time.perf_counter()
        try:
            room = await self._activation.load(row)
        except Exception:
            await self._give_back(row)
            raise
        if claimer != self.node_id:
            # Another may have taken it from the id we gave up.
            raise Unavailable("the node has changed its identity meanwhile")
        try:
            self._activation.begin(room, row)
        except Exception:
            # It would fail whoever asks next as well.
            await self._give_back(row, "ended")
            raise
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

    async def _release(self, runner: RoomRunner, close: CloseCode, reason: str) -> None:
        """Give the room up, all of it durable, with a snapshot if its state is that. Under its lock. Raises a Fault."""
        runner.take_in()
        while not runner.is_durable:
            await runner.durable()
            runner.take_in()
        # No await from there to here: nothing of the room is in flight, and from now on it takes nothing.
        room = runner.room
        self._remove(runner)
        if room.takes_input:
            await self._archive.write(runner.snapshot())
        with suppress(Fault):
            # If it stays this node's, others are sent here, and it is claimed again.
            await self._stores.rooms.release(self.node_id, room.room_id, room.epoch)
        runner.close_all(close, reason)
        _log.info("room released", room=room.room_id, room_seq=room.room_seq, reason=reason)

    async def _give_back(self, claimed: RoomRow, status: Literal["dormant", "ended"] = "dormant") -> None:
        """What could not be activated is not to be this node's. If that fails it stays so, and is claimed again."""
        with suppress(Fault):
            await self._stores.rooms.release(self.node_id, claimed.room_id, claimed.epoch, status)

    def _lose(self, runner: RoomRunner, why: str) -> None:
        """The room is another's, or not what memory holds: its clients find it where it is."""
        room_id = runner.room.room_id
        _log.error("a room is given up", room=room_id, room_seq=runner.room.room_seq, reason=why)
        self._committer.forget(runner)
        self._remove(runner)
        runner.close_all(CloseCode.MAY_RECONNECT, why)

    def _remove(self, runner: RoomRunner) -> None:
        room = runner.room
        runner.release()
        self._rooms.pop(room.room_id, None)
        self._metrics.rooms.labels(room.rules.name, "active").dec()
        self.publisher.closed(runner)

    def _refuse_if_unfit(self) -> None:
        """Before a room comes here."""
        if self.is_draining:
            raise Unavailable("the node is draining", "refused")
        if len(self._rooms) >= self._terms.rooms_max:
            raise NodeFull(f"this node holds {self._terms.rooms_max} rooms")

    def refuse_if_crowded(self) -> None:
        """Before a session comes here. Raises NodeFull."""
        if sum(len(runner.room.seats) for runner in self._rooms.values()) >= self._terms.sessions_max:
            raise NodeFull(f"this node holds {self._terms.sessions_max} sessions")

    # -- writes, and doubts about them --------------------------------------------------------------------------------

    async def _flush(self, entries: Sequence[Entry], lane: Lane) -> None:
        await self._stores.journal.flush(self.node_id, entries, lane)

    async def _settle(self) -> Mapping[Journaled, int]:
        settled = await self._settlement.settle()
        self.publisher.refresh_soon()
        return settled

    def _fenced(self, fault: Fenced) -> None:
        if self._identity.is_own(fault):
            self._reports.fenced(fault)

    # -- upkeep ---------------------------------------------------------------------------------------------------

    def _may_show(self) -> bool:
        return self._identity.is_lease_held and not self._committer.is_in_doubt

    def _seats_changed(self, runner: RoomRunner, session_ids: Collection[str]) -> None:
        self.publisher.changed(runner, session_ids)

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
            self._committer.report_stuck()
            self._committer.give_up_late()
            for runner in self.rooms:
                runner.sweep()
                if self._is_deserted(runner):
                    self._tasks.start(self._hibernate(runner), f"hibernate {runner.room.room_id}")

    def _is_deserted(self, runner: RoomRunner) -> bool:
        """Nobody has been in it for a while, and it can be released at once."""
        empty_since = runner.empty_since_ms
        is_empty = empty_since is not None and self._clock() - empty_since >= limits.ROOM_LINGER_S * 1000
        return is_empty and runner.takes_input and runner.is_durable

    async def _hibernate(self, runner: RoomRunner) -> None:
        async with self._locks[runner.room.room_id]:
            if self._is_deserted(runner) and not self.is_draining:
                with suppress(Fault):
                    await self._release(runner, CloseCode.MAY_RECONNECT, "hibernated")
