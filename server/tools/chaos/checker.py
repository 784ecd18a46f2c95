"""
Checker: what every client saw, against PostgreSQL's `actions`, in one pass over each.

    J  the journal by itself      roomSeq 1 ... without a gap; (session, seq) once, rising; epochs never fall
    O  outcomes                   one for each number; every ack has its row, a rejected number none, no row unasked
    C  clients                    no step back or aside; no event missing where deltas were followed
    S  states                     what a client had at a roomSeq is the fold of the journal up to there
    D  durable before visible     nothing was seen before the server had been told that it is durable
    E  the end                    every client that is left stands at the end of its room's journal

Each violation carries the smallest slice of the history that shows it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from server.core.state import apply_in_place
from server.tools.chaos.history import (
    Acked,
    AnyRecord,
    Asked,
    Committed,
    Heard,
    Record,
    Rejected,
    Rested,
    Row,
    Stood,
    Wrong,
    digest,
)

#: A rejected number whose reject the server has forgotten over a crash is rejected so.
_FORGOTTEN = "not_durable"


class Violation(msgspec.Struct, frozen=True):
    """A promise that was not kept: in a sentence, and what shows it."""

    what: str
    records: tuple[Record, ...] = ()
    rows: tuple[Row, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.what, *map(_told, self.records), *map(_shown, self.rows)))


def check(records: Sequence[AnyRecord], rows: Iterable[Row]) -> list[Violation]:
    """Everything that is wrong, those with the smallest slices first. `rows` are ordered by room and roomSeq."""
    case = _Case(records, rows)
    checks = (_journal, _outcomes, _rows_were_asked_for, _clients, _states, _durable_before_visible, _the_end)
    found = [violation for check_one in checks for violation in check_one(case)]
    return sorted(found, key=lambda violation: len(violation.records) + len(violation.rows))


class _Case:
    """The evidence, by what it is looked up by."""

    def __init__(self, records: Sequence[AnyRecord], rows: Iterable[Row]) -> None:
        self.records = records
        self.journals: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self.journals[row.room_id].append(row)
        #: By (session, seq).
        self.asked: dict[tuple[str, int], Asked] = {}
        self.outcomes: dict[tuple[str, int], list[Acked | Rejected]] = defaultdict(list)
        self.row_of: dict[tuple[str | None, int], Row] = {}
        self.of_session: dict[str, list[AnyRecord]] = defaultdict(list)
        for record in records:
            self.of_session[record.session].append(record)
            if isinstance(record, Asked):
                self.asked[record.session, record.seq] = record
            elif isinstance(record, Acked | Rejected):
                self.outcomes[record.session, record.seq].append(record)
        for journal in self.journals.values():
            for row in journal:
                if row.seq is not None:
                    self.row_of.setdefault((row.session_id, row.seq), row)

    def around(self, room: str, room_seq: int) -> tuple[Row, ...]:
        """The rows next to a place in a journal."""
        return tuple(row for row in self.journals[room] if abs(row.room_seq - room_seq) <= 1)

    def at(self, room: str, room_seq: int) -> Row | None:
        """The row there, in a journal that may have gaps."""
        journal = self.journals[room]
        if 0 < room_seq <= len(journal) and journal[room_seq - 1].room_seq == room_seq:
            return journal[room_seq - 1]
        return next((row for row in journal if row.room_seq == room_seq), None)


def _journal(case: _Case) -> Iterator[Violation]:
    for room, journal in case.journals.items():
        before: Row | None = None
        last_of: dict[str, Row] = {}
        for row in journal:
            expected = 1 if before is None else before.room_seq + 1
            near = (row,) if before is None else (before, row)
            if row.room_seq != expected:
                yield Violation(f"the journal of room {room} lacks roomSeq {expected}", rows=near)
            if before is not None and row.epoch < before.epoch:
                yield Violation(f"the epoch falls in the journal of room {room} at {row.room_seq}", rows=near)
            before = row
            if row.seq is None or row.session_id is None:
                continue
            last = last_of.get(row.session_id)
            if last is not None and last.seq is not None and row.seq <= last.seq:
                again = "is twice" if row.seq == last.seq else "comes after a later one"
                yield Violation(f"intent {row.seq} of session {row.session_id} {again} in the journal", (), (last, row))
            last_of[row.session_id] = row


def _outcomes(case: _Case) -> Iterator[Violation]:
    for (session, seq), outcomes in case.outcomes.items():
        asked = case.asked.get((session, seq))
        question = () if asked is None else (asked,)
        if asked is None:
            yield Violation(f"intent {seq} of session {session} has an outcome, and nobody asked", tuple(outcomes))
        first = outcomes[0]
        for other in outcomes[1:]:
            if not _agree(first, other):
                yield Violation(f"intent {seq} of session {session} has two outcomes", (*question, first, other))
        row = case.row_of.get((session, seq))
        for outcome in outcomes[:1]:
            if isinstance(outcome, Rejected) and row is not None:
                what = f"intent {seq} of session {session} was rejected {outcome.code!r}, and took effect"
                yield Violation(what, (*question, outcome), (row,))
            elif isinstance(outcome, Acked) and (row is None or row.room_seq != outcome.room_seq):
                where = "is not in the journal" if row is None else f"is at {row.room_seq}"
                what = f"intent {seq} of session {session} was acked at roomSeq {outcome.room_seq} and {where}"
                slice_ = case.around(outcome.room, outcome.room_seq)
                yield Violation(what, (*question, outcome), slice_ if row is None else (*slice_, row))


def _agree(first: Acked | Rejected, other: Acked | Rejected) -> bool:
    if isinstance(first, Acked) and isinstance(other, Acked):
        return first.room_seq == other.room_seq
    if isinstance(first, Rejected) and isinstance(other, Rejected):
        return other.code in (first.code, _FORGOTTEN)
    return False


def _rows_were_asked_for(case: _Case) -> Iterator[Violation]:
    for (session, seq), row in case.row_of.items():
        asked = case.asked.get((session or "", seq))
        if asked is None:
            yield Violation(f"nobody asked for intent {seq} of session {session}, and it is in the journal", (), (row,))
        elif asked.kind != row.kind or asked.room != row.room_id:
            what = f"intent {seq} of session {session} is in the journal as something else"
            yield Violation(what, (asked,), (row,))


def _clients(case: _Case) -> Iterator[Violation]:
    for session, records in case.of_session.items():
        yield from _one_client(case, session, records)


def _one_client(case: _Case, session: str, records: Sequence[AnyRecord]) -> Iterator[Violation]:
    stood: Stood | None = None
    heard: dict[tuple[int, int], Heard] = {}
    for record in records:
        if isinstance(record, Wrong):
            yield Violation(f"session {session}: {record.what}", (record,))
        elif isinstance(record, Heard):
            if stood is not None and record.room_seq <= stood.room_seq:
                what = f"session {session} got an event of roomSeq {record.room_seq} after the state that covers it"
                yield Violation(what, (stood, record))
            heard[record.room_seq, record.n] = record
            yield from _event(case, session, record)
        elif isinstance(record, Stood):
            yield from _step(session, stood, record)
            if stood is not None and record.base_seq == stood.room_seq:
                yield from _events_between(case, session, stood, record, heard)
            stood = record
            heard = {place: event for place, event in heard.items() if place[0] > record.room_seq}


def _step(session: str, before: Stood | None, now: Stood) -> Iterator[Violation]:
    if before is None:
        if now.base_seq is not None:
            yield Violation(f"session {session} began with a delta", (now,))
        return
    if now.base_seq is not None and now.base_seq != before.room_seq:
        what = f"session {session} stood at roomSeq {before.room_seq} and got a delta from {now.base_seq}"
        yield Violation(what, (before, now))
    if now.room_seq < before.room_seq:
        yield Violation(f"session {session} went back from {before.room_seq} to {now.room_seq}", (before, now))
    if now.epoch < before.epoch:
        yield Violation(f"session {session} went back from epoch {before.epoch} to {now.epoch}", (before, now))


def _event(case: _Case, session: str, record: Heard) -> Iterator[Violation]:
    row = case.at(record.room, record.room_seq)
    known = [] if row is None else _events(row, session)
    if (record.n, record.digest) not in known:
        what = f"session {session} got event {record.n} of roomSeq {record.room_seq}, which the journal does not have"
        yield Violation(what, (record,), () if row is None else (row,))


def _events_between(
    case: _Case, session: str, before: Stood, now: Stood, heard: dict[tuple[int, int], Heard]
) -> Iterator[Violation]:
    for room_seq in range(before.room_seq + 1, now.room_seq + 1):
        row = case.at(now.room, room_seq)
        if row is None or row.events is None:
            continue
        for n, _ in _events(row, session):
            if (room_seq, n) not in heard:
                what = f"session {session} followed by a delta and never got event {n} of roomSeq {room_seq}"
                yield Violation(what, (before, now), (row,))


def _events(row: Row, session: str) -> list[tuple[int, str]]:
    """The number and digest of each event of the row that is for the session."""
    events = [] if row.events is None else msgspec.json.decode(row.events)
    return [
        (n, digest({"type": event["type"], "body": event["body"]}))
        for n, event in enumerate(events)
        if event.get("to") is None or session in event["to"]
    ]


def _states(case: _Case) -> Iterator[Violation]:
    """Each client's state at each roomSeq it stood at; so all clients agree."""
    stood: dict[str, dict[int, list[Stood | Rested]]] = defaultdict(lambda: defaultdict(list))
    for record in case.records:
        if isinstance(record, Stood | Rested):
            stood[record.room][record.room_seq].append(record)
    for room, wanted in stood.items():
        folds = _folds(case.journals[room], wanted)
        for room_seq, states in wanted.items():
            if room_seq not in folds:
                what = f"session {states[0].session} saw roomSeq {room_seq} of room {room}, which the journal has not"
                yield Violation(what, (states[0],), case.around(room, room_seq))
                continue
            wrong = next((state for state in states if state.digest != folds[room_seq]), None)
            if wrong is not None:
                what = f"session {wrong.session} has another state at roomSeq {room_seq} than the journal's fold"
                before = _before(case.of_session[wrong.session], wrong)
                yield Violation(f"{what} ({folds[room_seq]})", (*before, wrong), case.around(room, room_seq))


def _before(records: Sequence[AnyRecord], state: Record) -> tuple[Record, ...]:
    """What the client stood at just before it."""
    earlier = [record for record in records if isinstance(record, Stood) and record.at < state.at]
    return tuple(earlier[-1:])


def _folds(journal: Sequence[Row], wanted: Iterable[int]) -> dict[int, str]:
    """The digest of the state at each of the wanted roomSeqs, as far as there is one."""
    places, folds, state = set(wanted), dict[int, str](), dict[str, Any]()
    for row in journal:
        if row.patch is not None:
            apply_in_place(state, msgspec.json.decode(row.patch))
        if row.room_seq in places:
            folds[row.room_seq] = digest(state)
    return folds


def _durable_before_visible(case: _Case) -> Iterator[Violation]:
    """Where a proxy saw the commit. A frame at N rests on all up to N."""
    committed: dict[tuple[str, int], Committed] = {}
    for record in case.records:
        if isinstance(record, Committed):
            committed.setdefault((record.room, record.room_seq), record)
    for record in case.records:
        if isinstance(record, Stood | Acked | Heard):
            told = committed.get((record.room, record.room_seq))
            if told is not None and record.at < told.at:
                ahead_ms = (told.at - record.at) * 1000
                what = f"session {record.session} saw roomSeq {record.room_seq} {ahead_ms:.1f} ms before it was durable"
                yield Violation(what, (record, told))


def _the_end(case: _Case) -> Iterator[Violation]:
    for session, records in case.of_session.items():
        rested = next((record for record in reversed(records) if isinstance(record, Rested)), None)
        if rested is None:
            continue
        journal = case.journals[rested.room]
        if journal and rested.room_seq != journal[-1].room_seq:
            what = f"session {session} rests at roomSeq {rested.room_seq}, and its room at {journal[-1].room_seq}"
            yield Violation(what, (rested,), tuple(journal[-2:]))


def _told(record: Record) -> str:
    facts = msgspec.to_builtins(record)
    kind, at, session = facts.pop("record"), facts.pop("at"), facts.pop("session")
    shown = "  ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    return f"    {at:+9.3f} s  {session:<12} {kind:<8} {shown}"


def _shown(row: Row) -> str:
    intent = "" if row.seq is None else f"  seq {row.seq}"
    patch = "" if row.patch is None else f"  {row.patch[:160].decode(errors='replace')}"
    return (
        f"    journal {row.room_seq:>6}  epoch {row.epoch}  {row.kind:<17} {row.session_id or '-':<12}{intent}{patch}"
    )
