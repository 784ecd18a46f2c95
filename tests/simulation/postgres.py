"""
A simulated PostgreSQL: tables in memory, and statements whose fate is given.

    asked --LANDS_S--> lands --REPLY_S--> its client hears of it
       |                 `--reply lost: the client is in doubt, and it is there
       |--refused, took too long: never lands, and the client knows
       |--lost on the way: never lands, and the client is in doubt
       |--late: the client is in doubt, and it lands after that; a fence may have landed first
       `--frozen: nothing lands or is heard until the thaw; the client has long given up by then

A statement lands all at once, or raises what the tables say of it. Whatever no server of ours may ever write is a
violation, here and at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from enum import Enum
from typing import Any, Literal

import msgspec

from contracts.codes import Kind
from contracts.message import Tree
from server.core.faults import Fault, Fenced, OutcomeUnknown, Poisoned, TookTooLong, Unavailable
from server.core.journal import Entry
from server.core.recovery import RoomSnapshot
from server.core.state import apply_in_place
from server.storage.characters import CharacterRow
from server.storage.journal import End
from server.storage.rooms import OwnedBy, RoomRow
from tests.simulation.loop import Clock, Loop

LANDS_S = 0.001
REPLY_S = 0.001
#: How long a client waits for an answer.
TIMEOUT_S = 0.6
#: An entry whose intent holds this can be written by nobody.
POISON = b"poison"


class Fate(Enum):
    PROMPT = "prompt"
    SLOW = "slow"
    REPLY_LOST = "reply lost"
    REQUEST_LOST = "request lost"
    LATE = "late"
    REFUSED = "refused"
    TOOK_TOO_LONG = "took too long"


#: From being sent to landing, for those that land other than promptly.
_LANDS_S = {Fate.SLOW: 0.2, Fate.LATE: 0.15}


class NodeRow(msgspec.Struct):
    lease_s: float
    lease_until: float
    unbroken_since: float
    is_fenced: bool = False


class Postgres:
    """The tables, and what becomes of statements from now on."""

    def __init__(self, clock: Clock, violated: Callable[[str], None]) -> None:
        self.clock = clock
        self.nodes: dict[str, NodeRow] = {}
        self.rooms: dict[str, RoomRow] = {}
        self.actions: dict[str, list[Entry]] = {}
        #: By room: the state at each roomSeq.
        self.states: dict[str, list[Tree]] = {}
        #: By room: its sessions, as its journal has them.
        self.sessions: dict[str, set[str]] = {}
        self.numbers: dict[tuple[str, str, int], int] = {}
        self.snapshots: dict[str, dict[int, RoomSnapshot]] = {}
        self.characters: dict[str, CharacterRow] = {}
        #: Of the flushes to come, one each.
        self.fates: deque[Fate] = deque()
        #: Of every statement until `outage_until`.
        self.outage = Fate.PROMPT
        self.outage_until = 0.0
        self.frozen_until = 0.0
        self.violated = violated

    def fate(self, is_flush: bool) -> Fate:
        if self.clock.now_s < self.outage_until:
            return self.outage
        return self.fates.popleft() if is_flush and self.fates else Fate.PROMPT

    def lands_s(self, fate: Fate) -> float:
        return max(_LANDS_S.get(fate, LANDS_S), self.frozen_until - self.clock.now_s)

    def heal(self) -> None:
        self.fates.clear()
        self.outage_until = 0.0

    def refuse_fenced(self, node_id: str) -> None:
        if node_id not in self.nodes or self.nodes[node_id].is_fenced:
            raise Fenced(node_id)

    # -- what is written ------------------------------------------------------------------------------------------

    def insert(self, node_id: str, entries: Sequence[Entry]) -> None:
        """All or none."""
        self.refuse_fenced(node_id)
        if any(POISON in (entry.intent or b"") for entry in entries):
            raise Poisoned("a value that cannot be written")
        self._refuse_takes(entries)
        for entry in entries:
            self._append(node_id, entry)

    def _refuse_takes(self, entries: Sequence[Entry]) -> None:
        """Two nodes may have found a character at rest at once: one has it."""
        holders = {player_id: row.session_id for player_id, row in self.characters.items()}
        for entry in entries:
            move = entry.character
            if move is not None and move.kind == "take" and holders[move.player_id] is not None:
                raise Poisoned("a character that another session has")
            if move is not None:
                holders[move.player_id] = entry.session_id if move.kind == "take" else None

    def _append(self, node_id: str, entry: Entry) -> None:
        rows, room = self.actions.setdefault(entry.room_id, []), self.rooms[entry.room_id]
        if entry.room_seq != len(rows) + 1:
            self.violated(f"P2: roomSeq {entry.room_seq} written behind {len(rows)}")
        if room.owner != node_id or not (rows[-1].epoch if rows else 1) <= entry.epoch <= room.epoch:
            self.violated(f"P4: {node_id} writes in epoch {entry.epoch} of a room of {room.owner} in {room.epoch}")
        if entry.seq is not None:
            number = (entry.room_id, entry.session_id or "", entry.seq)
            if number in self.numbers:
                self.violated(f"P3: {number} has a second row")
            self.numbers[number] = entry.room_seq
        rows.append(entry)
        states = self.states.setdefault(entry.room_id, [{}])
        state = states[-1]
        if entry.patch is not None:
            state = deepcopy(state)
            apply_in_place(state, msgspec.json.decode(entry.patch))
        states.append(state)
        self._note(entry)

    def _note(self, entry: Entry) -> None:
        """What an entry says of its session and its character."""
        sessions = self.sessions.setdefault(entry.room_id, set())
        if entry.kind == Kind.SESSION_JOIN:
            sessions.add(entry.session_id or "")
        elif entry.kind == Kind.SESSION_LEAVE:
            sessions.remove(entry.session_id or "")
        move = entry.character
        if move is None:
            return
        row = self.characters[move.player_id]
        is_theirs = (row.room_id, row.session_id) == (entry.room_id, entry.session_id)
        if row.room_id is not None if move.kind == "take" else not is_theirs:
            self.violated(f"a character moves twice: {move.kind} by {entry.session_id}, while {row.session_id} has it")
        whose = (entry.room_id, entry.session_id, entry.room_seq) if move.kind == "take" else (None, None, None)
        self.characters[move.player_id] = CharacterRow(row.player_id, row.name, move.profile or row.profile, *whose)

    def keep(self, node_id: str, snapshot: RoomSnapshot) -> None:
        self.refuse_fenced(node_id)
        rows = self.actions.get(snapshot.room_id, [])
        if snapshot.room_seq > len(rows):
            self.violated(f"a snapshot of {snapshot.room_seq} is written when {len(rows)} is durable")
        elif msgspec.json.decode(snapshot.state) != self.states[snapshot.room_id][snapshot.room_seq]:
            self.violated(f"P5: the snapshot of {snapshot.room_seq} is not the fold of the journal")
        kept = self.snapshots.setdefault(snapshot.room_id, {})
        kept[snapshot.room_seq] = snapshot


class Tables:
    """All the tables, as one process asks for them: what `server.storage` offers the runtime, with its faults."""

    def __init__(self, postgres: Postgres, loop: Loop) -> None:
        self._postgres = postgres
        self._loop = loop

    # -- statements -----------------------------------------------------------------------------------------------

    async def _ask(self, run: Callable[[], Any], is_read: bool = False, is_flush: bool = False) -> Any:
        postgres, clock = self._postgres, self._postgres.clock
        fate, answer = postgres.fate(is_flush), self._loop.create_future()
        doubt = Unavailable("not answered", "timeout") if is_read else OutcomeUnknown("not answered", "timeout")

        def tell(outcome: Any) -> None:
            # By way of the loop: a frozen process hears of nothing.
            self._loop.call_soon(_settle, answer, outcome)

        def land() -> None:
            outcome = _outcome_of(run)
            if fate not in (Fate.REPLY_LOST, Fate.LATE):
                clock.after(REPLY_S, lambda: tell(outcome))

        if fate is Fate.REFUSED:
            clock.after(LANDS_S, lambda: tell(Unavailable("refused", "refused")))
        elif fate is Fate.TOOK_TOO_LONG:
            clock.after(LANDS_S, lambda: tell(TookTooLong("a lock", "timeout")))
        else:
            if fate is not Fate.REQUEST_LOST:
                clock.after(postgres.lands_s(fate), land)
            if fate in (Fate.REPLY_LOST, Fate.REQUEST_LOST, Fate.LATE):
                clock.after(LANDS_S + REPLY_S, lambda: tell(doubt))
        timer = self._loop.call_later(TIMEOUT_S, _settle, answer, doubt)
        try:
            return await answer
        finally:
            timer.cancel()

    async def _write(self, node_id: str, run: Callable[[], Any]) -> Any:
        def fenced_or_run() -> Any:
            self._postgres.refuse_fenced(node_id)
            return run()

        return await self._ask(fenced_or_run)

    async def _read(self, run: Callable[[], Any]) -> Any:
        return await self._ask(run, is_read=True)

    # -- nodes ----------------------------------------------------------------------------------------------------

    async def register(self, node_id: str, home: str | None, address: str, lease_s: float) -> None:
        def register() -> None:
            nodes, now = self._postgres.nodes, self._postgres.clock.now_s
            row = nodes.setdefault(node_id, NodeRow(lease_s, now + lease_s, now))
            if row.is_fenced:
                raise Fenced(node_id)
            row.lease_until = now + lease_s

        await self._ask(register)

    async def renew(self, node_id: str, lease_s: float) -> None:
        def renew() -> None:
            row, now = self._postgres.nodes[node_id], self._postgres.clock.now_s
            if row.lease_until < now:
                row.unbroken_since = now
            row.lease_until = now + lease_s

        await self._write(node_id, renew)

    async def fence(self, node_id: str) -> None:
        def fence() -> None:
            if node_id in self._postgres.nodes:
                self._postgres.nodes[node_id].is_fenced = True

        await self._ask(fence)

    retire = fence

    async def fence_lapsed(self, node_id: str, other_id: str) -> bool:
        def fence() -> bool:
            now = self._postgres.clock.now_s
            mine, theirs = self._postgres.nodes[node_id], self._postgres.nodes[other_id]
            if theirs.is_fenced or theirs.lease_until >= now:
                return False
            if mine.lease_until <= now or mine.unbroken_since + mine.lease_s >= now:
                return False
            theirs.is_fenced = True
            return True

        return bool(await self._write(node_id, fence))

    # -- rooms ----------------------------------------------------------------------------------------------------

    async def create(self, node_id: str, room: RoomRow) -> RoomRow:
        def create() -> RoomRow:
            row = msgspec.structs.replace(room, owner=node_id)
            self._postgres.rooms[room.room_id] = row
            return row

        row: RoomRow = await self._write(node_id, create)
        return row

    async def claim(self, node_id: str, room_id: str) -> RoomRow | OwnedBy | None:
        postgres = self._postgres

        def claim() -> RoomRow | None:
            row = postgres.rooms[room_id]
            if row.owner not in (None, node_id) and not postgres.nodes[row.owner].is_fenced:
                return None
            postgres.rooms[room_id] = msgspec.structs.replace(row, owner=node_id, epoch=row.epoch + 1, status="active")
            return postgres.rooms[room_id]

        owned: OwnedBy | None = None
        for _ in range(3):
            claimed: RoomRow | None = await self._write(node_id, claim)
            if claimed is not None:
                return claimed
            owner = await self._read(lambda: postgres.rooms[room_id].owner)
            if owner is None or postgres.nodes[owner].is_fenced:
                continue
            owned = OwnedBy(owner, "")
            is_lapsed = postgres.nodes[owner].lease_until < postgres.clock.now_s
            if not is_lapsed or not await self.fence_lapsed(node_id, owner):
                return owned
        return owned

    async def reclaim(self, node_id: str, former_ids: Sequence[str], room_ids: Sequence[str]) -> dict[str, int]:
        rooms, former = self._postgres.rooms, tuple(former_ids)

        def reclaim() -> None:
            for room_id in room_ids:
                row = rooms[room_id]
                if row.owner in former:
                    rooms[room_id] = msgspec.structs.replace(row, owner=node_id, epoch=row.epoch + 1)

        def owned() -> dict[str, int]:
            return {room_id: rooms[room_id].epoch for room_id in room_ids if rooms[room_id].owner == node_id}

        await self._write(node_id, reclaim)
        epochs: dict[str, int] = await self._read(owned)
        return epochs

    async def release(
        self, node_id: str, room_id: str, epoch: int, status: Literal["dormant", "ended"] = "dormant"
    ) -> None:
        def release() -> None:
            row = self._postgres.rooms[room_id]
            if row.owner == node_id and row.epoch == epoch:
                self._postgres.rooms[room_id] = msgspec.structs.replace(row, owner=None, status=status)

        await self._write(node_id, release)

    # -- the journal and its snapshots ----------------------------------------------------------------------------

    async def flush(self, node_id: str, entries: Sequence[Entry], lane: int = 0) -> None:
        await self._ask(lambda: self._postgres.insert(node_id, entries), is_flush=True)

    async def read(self, room_id: str, after: int = 0, up_to: int | None = None, limit: int = 1000) -> list[Entry]:
        entries: list[Entry] = await self._read(lambda: self._postgres.actions.get(room_id, [])[after:up_to][:limit])
        return entries

    async def ends(self, room_ids: Sequence[str]) -> Mapping[str, End]:
        def end_of(room_id: str) -> End:
            rows = self._postgres.actions.get(room_id)
            return End(rows[-1].room_seq, rows[-1].epoch) if rows else End(0, 0)

        ends: dict[str, End] = await self._read(lambda: {room_id: end_of(room_id) for room_id in room_ids})
        return ends

    async def room_seq_of(self, room_id: str, session_id: str, seq: int) -> int | None:
        room_seq: int | None = await self._read(lambda: self._postgres.numbers.get((room_id, session_id, seq)))
        return room_seq

    async def write(self, node_id: str, snapshot: RoomSnapshot) -> None:
        await self._write(node_id, lambda: self._postgres.keep(node_id, snapshot))

    async def latest(self, room_id: str, at_most: int | None = None) -> RoomSnapshot | None:
        def latest() -> RoomSnapshot | None:
            kept = self._postgres.snapshots.get(room_id, {})
            fitting = [room_seq for room_seq in kept if at_most is None or room_seq <= at_most]
            return kept[max(fitting)] if fitting else None

        snapshot: RoomSnapshot | None = await self._read(latest)
        return snapshot

    # -- characters -----------------------------------------------------------------------------------------------

    async def get(self, player_id: str) -> CharacterRow | None:
        row: CharacterRow | None = await self._read(lambda: self._postgres.characters.get(player_id))
        return row

    async def get_or_create(self, node_id: str, player_id: str, name: str, profile_default: bytes) -> CharacterRow:
        characters = self._postgres.characters

        def get_or_create() -> CharacterRow:
            return characters.setdefault(player_id, CharacterRow(player_id, name, profile_default, None, None, None))

        row: CharacterRow = await self._write(node_id, get_or_create)
        return row

    async def give_back_orphan(
        self, node_id: str, player_id: str, room_id: str, session_id: str, profile: bytes
    ) -> bool:
        characters = self._postgres.characters

        def give_back() -> bool:
            row = characters[player_id]
            if (row.room_id, row.session_id) != (room_id, session_id):
                return False
            if session_id in self._postgres.sessions.get(room_id, ()):
                self._postgres.violated(f"a character is taken out of the hands of {session_id}, which lives")
            characters[player_id] = CharacterRow(player_id, row.name, profile, None, None, None)
            return True

        return bool(await self._write(node_id, give_back))


def _outcome_of(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Fault as fault:
        return fault


def _settle(answer: "asyncio.Future[Any]", outcome: Any) -> None:
    if answer.done():
        return
    if isinstance(outcome, Fault):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
