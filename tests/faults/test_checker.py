"""The checker, on histories made up for it: a clean one passes, and each way to break a promise is found."""

from collections.abc import Sequence

import msgspec
import pytest

from server.tools.chaos.checker import check
from server.tools.chaos.history import (
    Acked,
    AnyRecord,
    Asked,
    Committed,
    Heard,
    Rejected,
    Rested,
    Row,
    Stood,
    Wrong,
    digest,
)

ROOM, ADA, BOB = "room", "ada", "bob"
CHAT = {"roomSeq": 4, "n": 0, "text": "hi"}
EVENT = {"type": "event.chat", "body": CHAT, "to": None}
HEARD = digest({"type": "event.chat", "body": CHAT})
#: The total after each roomSeq.
TOTALS = {1: 0, 2: 0, 3: 5, 4: 5, 5: 7}


def row(
    room_seq: int, session: str | None = None, seq: int | None = None, kind: str = "intent.add", **more: object
) -> Row:
    facts = {"epoch": 1, "patch": msgspec.json.encode({"total": TOTALS.get(room_seq, 0)}), **more}
    return Row(ROOM, room_seq, session_id=session, seq=seq, kind=kind, **facts)  # type: ignore[arg-type]


JOURNAL = [
    row(1, kind="room.create"),
    row(2, ADA, kind="session.join"),
    row(3, ADA, 1),
    row(4, BOB, 1, "intent.chat", events=msgspec.json.encode([EVENT])),
    row(5, ADA, 3),
]


def state(room_seq: int) -> str:
    return digest({"total": TOTALS[room_seq]})


def of(session: str, record: type[AnyRecord], at: float, **facts: object) -> AnyRecord:
    return record(at=at, room=ROOM, session=session, **facts)  # type: ignore[arg-type]


def stood(session: str, at: float, base_seq: int | None, room_seq: int, **facts: object) -> AnyRecord:
    return of(
        session,
        Stood,
        at,
        **{"base_seq": base_seq, "room_seq": room_seq, "epoch": 1, "digest": state(room_seq), **facts},
    )


HISTORY = [
    stood(ADA, 1.0, None, 2),
    stood(BOB, 1.0, None, 2),
    of(ADA, Asked, 1.1, seq=1, kind="intent.add"),
    of("", Committed, 1.2, room_seq=3),
    of(ADA, Acked, 1.3, seq=1, room_seq=3, status="applied"),
    of(BOB, Asked, 1.3, seq=1, kind="intent.chat"),
    of(BOB, Acked, 1.4, seq=1, room_seq=4, status="applied"),
    of(ADA, Asked, 1.4, seq=2, kind="intent.add"),
    of(ADA, Rejected, 1.4, seq=2, code="illegal"),
    of(ADA, Asked, 1.4, seq=3, kind="intent.add"),
    of(ADA, Heard, 1.5, room_seq=4, n=0, digest=HEARD),
    stood(ADA, 1.6, 2, 4),
    stood(BOB, 1.6, None, 5),
    of(ADA, Acked, 1.7, seq=3, room_seq=5, status="duplicate"),
    stood(ADA, 1.8, 4, 5),
    of(ADA, Rested, 2.0, room_seq=5, digest=state(5)),
    of(BOB, Rested, 2.0, room_seq=5, digest=state(5)),
]


def without(records: Sequence[AnyRecord], kind: type[AnyRecord], **facts: object) -> list[AnyRecord]:
    kept = [
        record
        for record in records
        if not (isinstance(record, kind) and all(getattr(record, name) == value for name, value in facts.items()))
    ]
    assert len(kept) < len(records)
    return kept


def found(history: Sequence[AnyRecord], journal: Sequence[Row] = JOURNAL) -> list[str]:
    return [violation.what for violation in check(history, journal)]


def test_a_clean_history_passes() -> None:
    assert [] == found(HISTORY)


@pytest.mark.parametrize(
    ("journal", "what"),
    [
        ([*JOURNAL[:3], *JOURNAL[4:]], "the journal of room room lacks roomSeq 4"),
        (JOURNAL[1:], "the journal of room room lacks roomSeq 1"),
        ([*JOURNAL[:4], row(5, ADA, 1)], "intent 1 of session ada is twice in the journal"),
        ([*JOURNAL[:2], row(3, ADA, 3), JOURNAL[3], row(5, ADA, 1)], "intent 1 of session ada comes after a later one"),
        ([JOURNAL[0], row(2, ADA, epoch=2), *JOURNAL[2:]], "the epoch falls in the journal of room room at 3"),
        ([*JOURNAL, row(6, ADA, 9)], "nobody asked for intent 9 of session ada"),
        ([*JOURNAL[:4], row(5, ADA, 3, "intent.chat")], "intent 3 of session ada is in the journal as something else"),
        ([*JOURNAL, row(6, ADA, 2)], "intent 2 of session ada was rejected 'illegal', and took effect"),
        (JOURNAL[:4], "intent 3 of session ada was acked at roomSeq 5 and is not in the journal"),
        (JOURNAL[:4], "session bob saw roomSeq 5 of room room, which the journal has not"),
        ([*JOURNAL, row(6)], "session ada rests at roomSeq 5, and its room at 6"),
        ([*JOURNAL[:4], row(5, ADA, 3, patch=b'{"total":8}')], "session bob has another state at roomSeq 5"),
    ],
)
def test_a_journal_that_breaks_a_promise_is_found(journal: list[Row], what: str) -> None:
    assert any(text.startswith(what) for text in found(HISTORY, journal)), found(HISTORY, journal)


@pytest.mark.parametrize(
    ("history", "what"),
    [
        (without(HISTORY, Asked, seq=3), "intent 3 of session ada has an outcome, and nobody asked"),
        (
            [*HISTORY, of(ADA, Acked, 3, seq=1, room_seq=4, status="duplicate")],
            "intent 1 of session ada has two outcomes",
        ),
        ([*HISTORY, of(ADA, Rejected, 3, seq=1, code="illegal")], "intent 1 of session ada has two outcomes"),
        ([*HISTORY, of(ADA, Rejected, 3, seq=2, code="invalid")], "intent 2 of session ada has two outcomes"),
        (without(HISTORY, Heard), "session ada followed by a delta and never got event 0 of roomSeq 4"),
        ([*HISTORY, of(ADA, Heard, 3, room_seq=4, n=1, digest=HEARD)], "session ada got event 1 of roomSeq 4"),
        ([*HISTORY, of(ADA, Heard, 3, room_seq=4, n=0, digest=HEARD)], "session ada got an event of roomSeq 4 after"),
        (without(HISTORY, Stood, session=ADA, base_seq=2), "session ada stood at roomSeq 2 and got a delta from 4"),
        ([*HISTORY, stood(BOB, 3, None, 4)], "session bob went back from 5 to 4"),
        ([*HISTORY, stood(BOB, 3, None, 5, epoch=0)], "session bob went back from epoch 1 to 0"),
        ([stood(ADA, 0.5, 1, 2), *HISTORY], "session ada began with a delta"),
        ([*HISTORY, stood(BOB, 3, None, 5, digest="another")], "session bob has another state at roomSeq 5"),
        ([stood(BOB, 1.1, None, 3), *HISTORY[2:]], "session bob saw roomSeq 3 100.0 ms before it was durable"),
        ([*HISTORY, of(BOB, Wrong, 3, what="it was told nonsense")], "session bob: it was told nonsense"),
        ([*HISTORY, of(BOB, Rested, 3, room_seq=4, digest=state(4))], "session bob rests at roomSeq 4"),
    ],
)
def test_a_client_who_saw_a_promise_broken_is_found(history: list[AnyRecord], what: str) -> None:
    assert any(text.startswith(what) for text in found(history)), found(history)


def test_a_reject_forgotten_over_a_crash_is_no_second_outcome() -> None:
    assert [] == found([*HISTORY, of(ADA, Rejected, 3, seq=2, code="not_durable")])


def test_the_smallest_slice_comes_first_and_shows_what_happened() -> None:
    violation, *_ = check([*HISTORY, stood(BOB, 3, None, 4)], JOURNAL)
    assert len(violation.records) == 2
    assert ["session bob went back from 5 to 4", "+1.600 s  bob", "+3.000 s  bob"] == [
        line.strip()[:width] for line, width in zip(str(violation).splitlines(), (34, 13, 13), strict=True)
    ]
