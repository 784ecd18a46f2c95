"""
Intake: what becomes of the messages of a room's sessions.

    number   NEXT ----> refused for rate, load, form, role or rules, or applied; used up in any case
             GAP -----> `gap`, which uses nothing up
             else ----> the outcome it had, again; not without end while nothing can be shown
    no number, or no message of this room ----> `invalid`; ten in a row close the connection

The number is looked at before anything else: only the next one can be refused.
"""

from typing import TYPE_CHECKING, Final

from contracts import limits
from contracts.codes import CloseCode, RejectCode
from contracts.message import Intent
from server.core import answers
from server.core.actions import Actions
from server.core.effects import LookUp
from server.core.handler import Handler
from server.core.link import Link, Stage
from server.core.output import Output
from server.core.reading import read, readable_seq
from server.core.reject import Reject
from server.core.rules import Rules
from server.core.seats import RoomLimits, Seat
from server.core.sequence import Look, Refused

if TYPE_CHECKING:
    from random import Random


APPLIED: Final = "applied"

# An enum's members are looked up slowly.
_CLOSED: Final = Stage.CLOSED
_NEXT: Final = Look.NEXT


class Intake:
    def __init__(self, rules: Rules, actions: Actions, output: Output, room_limits: RoomLimits) -> None:
        self._handlers = rules.handlers
        self._actions = actions
        self._output = output
        self._limits = room_limits

    def receive(
        self,
        link: Link,
        message_type: str | int,
        body: object,
        now_ms: int,
        random: "Random",
        request_id: int | None,
        refusal: Reject | None,
    ) -> str:
        """
        One decoded message, and its outcome as metrics count it: `applied`, `duplicate` or a reject's code.

        `body` is the intent, or the tree to be read as one; `refusal` says why no next intent is taken now.
        """
        seat = link.seat
        assert seat is not None
        handler = self._handlers.get(message_type) if isinstance(message_type, str) else None
        seq = body.seq if isinstance(body, Intent) else readable_seq(body)
        if seat.link is not link or link.stage is _CLOSED:
            return self._too_late(link, seq, request_id)
        if handler is None:
            return self.unreadable(link, f"type: {message_type!r} is not a message of this room", request_id)
        if seq is None:
            return self.unreadable(link, "seq: expected an integer from 1", request_id)
        seat.unreadable = 0
        look = seat.sequence.look(seq)
        if look is _NEXT:
            return self._judge(link, seat, seq, handler, body, now_ms, random, request_id, refusal)
        if look is Look.GAP:
            expected = seat.sequence.last + 1
            gap = Reject(RejectCode.GAP, f"seq: expected {expected}, got {seq}")
            self._output.refuse(link, answers.reject(seq, gap, request_id, expected), None, request_id)
            return RejectCode.GAP
        if self._output.is_full:
            # Asking again costs no rate, and PostgreSQL may be away for long.
            words = answers.terminating("overloaded")
            self._output.end(link, words, CloseCode.MAY_RECONNECT, "too much waits to be shown")
        elif look is Look.FORGOTTEN:
            self._output.look_up(LookUp(link, seat.session_id, seq, request_id))
        else:
            self._output.answer(link, answers.again(seq, look, request_id), seq, request_id, False)
        return "duplicate"

    def unreadable(self, link: Link, message: str, request_id: int | None) -> str:
        """Something that is no intent of this room."""
        seat = link.seat
        assert seat is not None
        if seat.link is not link or link.stage is Stage.CLOSED:
            return self._too_late(link, None, request_id)
        invalid = Reject(RejectCode.INVALID, message)
        self._output.refuse(link, answers.reject(None, invalid, request_id), None, request_id)
        seat.unreadable += 1
        if seat.unreadable >= limits.UNREADABLE_MAX:
            words = answers.terminating("protocol error")
            self._output.end(link, words, CloseCode.PROTOCOL_ERROR, "too many unreadable messages")
        return RejectCode.INVALID

    def looked_up(self, link: Link, seq: int, room_seq: int | None, request_id: int | None) -> None:
        """The journal's answer to a `LookUp`."""
        if room_seq is not None:
            self._output.answer(link, answers.ack(seq, room_seq, True, request_id), seq, request_id, False)
        else:
            forgotten = Reject(RejectCode.NOT_DURABLE, f"seq: {seq} was answered long ago, and has no effect")
            self._output.answer(link, answers.reject(seq, forgotten, request_id), seq, request_id, False)

    def _judge(
        self,
        link: Link,
        seat: Seat,
        seq: int,
        handler: Handler,
        body: object,
        now_ms: int,
        random: "Random",
        request_id: int | None,
        refusal: Reject | None,
    ) -> str:
        if refusal is None and not seat.bucket.take(now_ms):
            refusal = Reject(RejectCode.RATE_LIMITED, f"more than {self._limits.intent_rate:g} intents a second")
        if refusal is not None:
            seat.sequence.settle(seq, Refused(refusal.code, refusal.message))
            self._output.refuse(link, answers.reject(seq, refusal, request_id), seq, request_id)
            return refusal.code
        verdict = self._apply(seat, seq, handler, body, now_ms, random)
        if verdict is not None:
            seat.sequence.settle(seq, Refused(verdict.code, verdict.message))
            self._output.answer(link, answers.reject(seq, verdict, request_id), seq, request_id, True)
            return verdict.code
        room_seq = self._output.applied_seq
        seat.sequence.applied(seq, room_seq)
        self._output.answer(link, answers.ack(seq, room_seq, False, request_id), seq, request_id, True)
        return APPLIED

    def _apply(
        self, seat: Seat, seq: int, handler: Handler, body: object, now_ms: int, random: "Random"
    ) -> Reject | None:
        """Apply the intent as an action; or why not, with nothing changed."""
        intent = body if type(body) is handler.intent else read(body, handler.intent)
        if isinstance(intent, Reject):
            return intent
        member = seat.member
        if handler.permission not in seat.permissions:
            return Reject(RejectCode.FORBIDDEN, f"the role {member.player.role!r} may not do this")
        return self._actions.answer(handler, self._actions.step(now_ms, random, member), intent, seq)

    def _too_late(self, link: Link, seq: int | None, request_id: int | None) -> str:
        """The session is over, its last frames not yet out; or the link was closed, and nothing is sent to it."""
        assert link.seat is not None
        # A number that has its outcome keeps it: the answer has gone out, or goes out before the last frames.
        is_answered = seq is not None and seq <= link.seat.sequence.last
        if link.stage is not Stage.CLOSED and not is_answered:
            over = Reject(RejectCode.TERMINATING, "this session is over")
            self._output.say((link,), answers.reject(seq, over, request_id))
        return RejectCode.TERMINATING
