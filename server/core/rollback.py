"""
Rollback: what memory held too much of is undone, and the room goes on as its journal has it.

    roll_back(N)   what was applied after N will never be durable: its numbers are rejected, what was held for it is
                   dropped, and the room stands still, for its state has gone further than N
    adopt(old)     the room that was rebuilt from the journal takes over the connections and sequences of the one that
                   stood still; a connection whose join or reconnect was not durable is closed "may reconnect"

Between the two nothing is applied, and nothing is shown but what up to N has become durable meanwhile.
"""

from typing import TYPE_CHECKING

from contracts.codes import CloseCode
from server.core import answers
from server.core.effects import LookUp
from server.core.link import Link, Stage
from server.core.output import Answered, Farewell, Output
from server.core.reject import Reject
from server.core.seats import Seat
from server.core.sequence import Applied, Refused

if TYPE_CHECKING:
    from server.core.room import Room

_WHY = "the room was set back to what is durable"


def roll_back(room: "Room", room_seq: int, reject: Reject) -> None:
    """Undo what was applied after `room_seq`. What was decided there, and told to nobody, is `reject` now."""
    output, refused = room.output, Refused(reject.code, reject.message)
    cut = output.cut(room_seq)
    answered = [held for held in cut if isinstance(held, Answered)]
    seats: list[Seat | None] = [*room.seats, *(held.link.seat for held in answered)]
    for seat in seats:
        if seat is not None:
            seat.sequence.roll_back(room_seq, refused)
    for held in answered:
        if held.is_first:
            _seat(held).sequence.overrule(held.seq, refused)
    for held in answered:
        _answer_anew(output, held, refused)
    for other in cut:
        if isinstance(other, LookUp):
            output.look_up(other)
        elif isinstance(other, Farewell):
            close(output, other.link)


def adopt(room: "Room", old: "Room") -> list[tuple[Link, Seat]]:
    """
    The connections of `old` go on in `room`, whose journal's sessions are in their seats; the others are closed.

    Returns those that go on, with their seats; each is still owed the room as it is now, once its join byte has come.
    """
    kept: list[tuple[Link, Seat]] = []
    room.output.inherit(old.output)
    for before in old.seats:
        seat = room.seats.get(before.session_id)
        # The seat of old has no connection any more, whose end would then be the session's.
        link, before.link = before.link, None
        if seat is not None:
            # The journal does not know of rejects, nor of join bytes: a token that was used would count again.
            seat.sequence, seat.bucket, seat.tokens = before.sequence, before.bucket, before.tokens
        if link is None or seat is None or link.stage is Stage.CLOSED or link.connected_seq > room.room_seq:
            before.tokens.lapse()
            if link is not None:
                close(room.output, link)
            continue
        seat.active_at_ms, seat.unreadable = before.active_at_ms, before.unreadable
        seat.seat(link)
        kept.append((link, seat))
    return kept


def close(output: Output, link: Link) -> None:
    """Close a link that the journal does not know: its client dials again."""
    if link.stage is not Stage.CLOSED:
        output.end(link, answers.terminating("not durable"), CloseCode.MAY_RECONNECT, _WHY)


def _answer_anew(output: Output, held: Answered, refused: Refused) -> None:
    """A number's answer, as it is after the rollback."""
    link, seq, request_id = held.link, held.seq, held.request_id
    if link.stage is Stage.CLOSED:
        return
    # What was judged after the rollback's roomSeq is refused, whether its outcome is still remembered or not.
    outcome = refused if held.is_first else _seat(held).sequence.look(seq)
    if outcome is refused:
        output.say((link,), answers.again(seq, refused, request_id))
    elif isinstance(outcome, Applied | Refused):
        # It may rest on what is not durable yet.
        output.answer(link, answers.again(seq, outcome, request_id), seq, request_id, False)
    elif link.seat is not None:
        output.look_up(LookUp(link, link.seat.session_id, seq, request_id))


def _seat(held: Answered) -> Seat:
    assert held.link.seat is not None, "only a seated connection's numbers are answered"
    return held.link.seat
