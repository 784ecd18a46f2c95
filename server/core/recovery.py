"""
Recovery: a room from one snapshot and the entries after it, or from its entries alone.

Only patches are folded and outcomes noted; no game code runs, so old journals load under new
code. What comes out is the room as its journal knows it: sessions that it calls connected have no
link yet, and whoever activates the room drops them (`Room.drop_unconnected`); a held one keeps its deadline.
"""

from collections.abc import Iterable
from typing import Self

import msgspec

from contracts import limits
from contracts.codes import Kind, RejectCode
from contracts.message import Tree
from server.core.event_record import EventRecord
from server.core.history import Change, History
from server.core.journal import Entry
from server.core.membership import Membership
from server.core.room import Room, RoomLimits
from server.core.rules import Rules
from server.core.seats import Seat
from server.core.sequence import Applied, IntentSequence, Outcome, Refused
from server.core.state import apply_in_place, load, plain
from server.core.tokens import Tokens

TOKEN_HASH_BYTES = 32


class SessionRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A session as a snapshot keeps it."""

    member: Membership
    joined_seq: int
    tokens: tuple[bytes, ...]
    #: When its hold ends; None while it is connected.
    held_until_ms: int | None = None
    last_seq: int = 0
    #: By number: the roomSeq of an action, or the code of a reject.
    outcomes: dict[int, int | RejectCode] = {}


class RoomSnapshot(msgspec.Struct, frozen=True):
    """A room at a roomSeq: the state as JSON, and its sessions as JSON."""

    room_id: str
    room_seq: int
    #: The journal's at that roomSeq; the room itself may have been claimed again since.
    epoch: int
    state: bytes
    sessions: bytes
    #: Milliseconds since the Unix epoch.
    at: int


class _JoinCause(msgspec.Struct, frozen=True):
    member: Membership


def snapshot_of(room: Room, now_ms: int) -> RoomSnapshot:
    """The room as memory has it; to be written only when its roomSeq is durable."""
    sessions = [
        SessionRecord(
            member=seat.member,
            joined_seq=seat.joined_seq,
            tokens=seat.tokens.counting,
            held_until_ms=seat.held_until_ms,
            last_seq=seat.sequence.last,
            outcomes={
                seq: outcome.room_seq if isinstance(outcome, Applied) else outcome.code
                for seq, outcome in seat.sequence.recent(limits.OUTCOMES_IN_SNAPSHOT_MAX).items()
            },
        )
        for seat in room.seats
    ]
    return RoomSnapshot(
        room_id=room.room_id,
        room_seq=room.room_seq,
        epoch=room.output.history.epoch_at(room.room_seq),
        state=msgspec.json.encode(plain(room.rules.state)),
        sessions=msgspec.json.encode(sessions),
        at=now_ms,
    )


class Recovery:
    """
    A room on the way from its snapshot to the end of its journal, whose pages are folded as they are read.

    An entry takes some 5 us, and a page of them is what the other rooms of the node may have to wait for.
    """

    def __init__(
        self,
        room_id: str,
        epoch: int,
        rules: Rules,
        room_limits: RoomLimits,
        snapshot: RoomSnapshot | None,
        now_ms: int,
    ) -> None:
        base_seq, base_epoch = (0, 0) if snapshot is None else (snapshot.room_seq, snapshot.epoch)
        self._history = History(base_seq, base_epoch, limits.HISTORY_ENTRIES_MAX, limits.HISTORY_BYTES_MAX)
        self._room = Room(room_id, epoch, rules, self._history, room_limits)
        self._tree: Tree = {}
        self._now_ms = now_ms
        if snapshot is not None:
            self._tree = msgspec.json.decode(snapshot.state)
            for record in msgspec.json.decode(snapshot.sessions, type=list[SessionRecord]):
                _restore(self._room, record, now_ms)

    def fold(self, entries: Iterable[Entry]) -> Self:
        """The next entries, which go on from what was folded before (or the snapshot, or 1) without a gap."""
        tree, history = self._tree, self._history
        for entry in entries:
            _note(self._room, entry, self._now_ms)
            change = change_of(entry)
            patch = change.patch
            if patch is not None:
                apply_in_place(tree, patch)
            history.append(change)
        history.trim(history.last_seq)
        return self

    def room(self) -> Room:
        """
        The room at the end of what was folded; called once.

        Raises StateError when the rules' state cannot hold what the journal says.
        """
        rules = self._room.rules
        rules.state = load(type(rules.state), self._tree)
        self._room.output.restart(rules.state)
        return self._room


def change_of(entry: Entry) -> Change:
    """An entry as histories keep it."""
    events = [] if entry.events is None else msgspec.json.decode(entry.events, type=list[EventRecord])
    emitted = tuple(event.emitted() for event in events)
    return Change(entry.room_seq, entry.epoch, None, emitted, entry.size_bytes, entry.patch)


def _note(room: Room, entry: Entry, now_ms: int) -> None:
    """What an entry says of its session."""
    if entry.session_id is None:
        return
    if entry.kind == Kind.SESSION_JOIN:
        member = msgspec.json.decode(entry.intent or b"", type=_JoinCause).member
        _restore(room, SessionRecord(member, entry.room_seq, _hashes(entry.tokens)), now_ms)
        return
    seat = room.seats.get(entry.session_id)
    assert seat is not None, "a session's entries lie between its join and its leave"
    if entry.tokens is not None:
        seat.tokens = Tokens(*_hashes(entry.tokens))
    if entry.kind == Kind.SESSION_LEAVE:
        room.seats.free(seat)
    elif entry.kind == Kind.SESSION_DROP:
        seat.held_until_ms = entry.at + room.limits.hold_ms
    elif entry.kind == Kind.SESSION_RECONNECT:
        seat.held_until_ms = None
    elif entry.seq is not None:
        seat.sequence.found(entry.seq, entry.room_seq)


def _restore(room: Room, record: SessionRecord, now_ms: int) -> None:
    outcomes: dict[int, Outcome] = {
        seq: Applied(outcome) if isinstance(outcome, int) else Refused(outcome, "as answered before")
        for seq, outcome in record.outcomes.items()
    }
    sequence = IntentSequence(limits.OUTCOMES_MAX, record.last_seq, outcomes)
    tokens = Tokens(*record.tokens)
    seat = Seat(record.member, record.joined_seq, tokens, sequence, room.new_bucket(now_ms))
    seat.held_until_ms = record.held_until_ms
    room.seats.claim(seat)


def _hashes(joined: bytes | None) -> tuple[bytes, ...]:
    joined = joined or b""
    return tuple(joined[start : start + TOKEN_HASH_BYTES] for start in range(0, len(joined), TOKEN_HASH_BYTES))
