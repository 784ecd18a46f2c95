"""
Room: one authoritative game instance, composed of its seats, its rules and its output.

    Seats         who is in it
    Actions       the rules' steps, made entries of the journal
    Intake        what becomes of the sessions' messages
    CatchingUp    handshakes, snapshots, resumes, lags
    rollback      what is undone when it cannot become durable
    Output        what it shows, once that is durable

Inputs are method calls; each runs to completion, changes memory and leaves behind entries to be
journaled (`take_entries`) and effects to be performed (`take_effects`). Time, randomness and
identity come in as arguments; nothing here awaits.

    OPEN --a step raised--> BROKEN     takes nothing more; when all it holds is durable and out,
      |                                the runtime rebuilds the room from its journal
      `--what it applied will never be durable--> STILL     applies nothing more, but still answers numbers and
                                       says why not; `adopted` by the room that is rebuilt
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from contracts import limits
from contracts.codes import CloseCode, Kind, RejectCode
from contracts.intents import Resume
from server.core import answers, rollback
from server.core.actions import Actions
from server.core.catching_up import CatchingUp
from server.core.effects import Effect, Recall
from server.core.history import Change, History
from server.core.intake import Intake
from server.core.journal import Entry
from server.core.link import Link, Stage
from server.core.membership import Membership
from server.core.output import Output
from server.core.rate import Bucket
from server.core.reject import Reject
from server.core.rules import Rules
from server.core.seats import RoomLimits, Seat, Seats
from server.core.sequence import IntentSequence
from server.core.state import take_volatile
from server.core.step import Step
from server.core.tokens import Dial, Tokens

if TYPE_CHECKING:
    from random import Random

__all__ = ["Room", "RoomLimits"]

DEGRADED = Reject(RejectCode.DEGRADED, "nothing can be written at the moment; try again when it can")
NOT_DURABLE = Reject(RejectCode.NOT_DURABLE, "it could not be written in time, and has no effect")
FAILED = Reject(RejectCode.INTERNAL, "the room failed at this step")


class Room:
    def __init__(self, room_id: str, epoch: int, rules: Rules, history: History, room_limits: RoomLimits) -> None:
        self.room_id = room_id
        self.epoch = epoch
        self.rules = rules
        self.limits = room_limits
        self.seats = Seats(rules.max_clients)
        interest = rules.interest
        self.output = Output(history, None if interest is None else interest.chart(type(rules.state)))
        #: Why no next intent is taken now (overload, drain); None when they are.
        self.refusal: Reject | None = None
        #: What a step raised; the room is broken from then on.
        self.bug: Exception | None = None
        self.is_broken = False
        #: Set back to what is durable, which its state is ahead of: it waits to be rebuilt.
        self.is_still = False
        self._actions = Actions(room_id, epoch, rules, self.output)
        self._intake = Intake(rules, self._actions, self.output, room_limits)
        self._catching_up = CatchingUp(epoch, rules, self.seats, self.output, room_limits)

    @property
    def room_seq(self) -> int:
        """Where memory stands; PostgreSQL may be behind."""
        return self.output.applied_seq

    @property
    def unjournaled(self) -> int:
        """How many entries wait for `take_entries`."""
        return len(self._actions.entries)

    @property
    def takes_input(self) -> bool:
        return not (self.is_broken or self.is_still)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left behind to be journaled, shown or rebuilt."""
        return self.takes_input and not self._actions.entries and not self.output.has_unshown

    # -- the room's own life --------------------------------------------------------------------------------------

    def create(self, options: Mapping[str, Any], now_ms: int, random: "Random") -> None:
        """The first entry of the journal; its patch is the initial state. Raises what the rules raise: no room then."""
        step = self._actions.step(now_ms, random)
        self._act(
            Kind.ROOM_CREATE, step, lambda step: self.rules.on_create(step, options), msgspec.json.encode(options)
        )
        if self.bug is not None:
            raise self.bug

    def drop_unconnected(self, now_ms: int, random: "Random") -> None:
        """After an activation: every session that the journal calls connected is dropped, its hold starting now."""
        for seat in self.seats:
            if seat.link is None and seat.held_until_ms is None and self.takes_input:
                self._hold(seat, now_ms, random)

    def reclaimed(self, epoch: int) -> None:
        """Its node claimed it anew, and nobody else had it in between: what follows is of that epoch."""
        self.epoch = self._actions.epoch = self._catching_up.epoch = epoch

    def roll_back(self, room_seq: int, reject: Reject = NOT_DURABLE) -> None:
        """What was applied after `room_seq` will never be durable: reject it so, and stand still."""
        rollback.roll_back(self, room_seq, reject)
        self.is_still = True

    def adopt(self, old: "Room", now_ms: int, random: "Random") -> None:
        """Rebuilt from the journal, go on in the place of `old`, which stands still: everyone gets a snapshot."""
        kept = rollback.adopt(self, old)
        self._catching_up.start_over([each for each in kept if each[0].stage is not Stage.OPENED], now_ms)
        self.drop_unconnected(now_ms, random)

    # -- sessions -------------------------------------------------------------------------------------------------

    def join(
        self,
        link: Link,
        member: Membership,
        options: Mapping[str, Any],
        character: dict[str, Any] | None,
        token_hash: bytes,
        confirmation: bytes,
        now_ms: int,
        random: "Random",
    ) -> Reject | None:
        """
        A new session takes a seat; `confirmation`, its JOIN_ROOM frame, goes out once that is durable.

        Returns why not, with nothing changed: the room is full or ending, or its rules say no.
        """
        if not self.takes_input:
            return Reject(RejectCode.TERMINATING, f"{self.room_id} is being rebuilt.")
        if self.seats.is_full:
            return Reject(RejectCode.OVERLOADED, f"{self.room_id} is already full.")
        refused = self._act(
            Kind.SESSION_JOIN,
            self._actions.step(now_ms, random, member, character),
            lambda step: self.rules.on_join(step, options),
            cause=msgspec.json.encode({"member": member, "options": options}),
            tokens=token_hash,
            character="take" if self.rules.takes_characters else None,
        )
        if refused is not None:
            return refused
        sequence = IntentSequence(limits.OUTCOMES_MAX)
        seat = Seat(member, self.room_seq, Tokens.issued(token_hash), sequence, self.new_bucket(now_ms))
        self.seats.claim(seat)
        seat.connect(link, self.room_seq, now_ms)
        self.output.send(link, confirmation)
        return None

    def dial(self, session_id: str, came_with: bytes, given: bytes) -> Dial:
        """Someone comes with a reconnection token's hash; ACCEPTED only reserves: `reconnect` must follow."""
        if not self.takes_input:
            return Dial.BUSY
        seat = self.seats.get(session_id)
        return Dial.UNKNOWN if seat is None else seat.tokens.dial(came_with, given)

    def turn_away(self, link: Link, last_words: bytes, code: int, reason: str) -> None:
        """Refuse a link that has no seat: why rests on who is in the room, so it goes out once that is durable."""
        self.output.farewell(link, (last_words,), code, reason)

    def reconnect(self, link: Link, session_id: str, confirmation: bytes, now_ms: int, random: "Random") -> None:
        """An accepted dial becomes the session's connection; an older one is closed 4501."""
        seat = self.seats.get(session_id)
        assert seat is not None, "dialled in the same step"
        if seat.link is not None:
            words = answers.terminating("replaced")
            self.output.end(seat.link, words, CloseCode.REPLACED, "replaced by a newer connection")
        seat.connect(link, self.room_seq + 1, now_ms)
        link.is_return = True
        step = self._actions.step(now_ms, random, seat.member)
        tokens = b"".join(seat.tokens.counting)
        if self._act(Kind.SESSION_RECONNECT, step, self.rules.on_reconnect, b"{}", tokens) is None:
            self.output.send(link, confirmation)

    def joined(self, link: Link, now_ms: int) -> None:
        """The join byte arrived: the handshake ack, then the snapshot, or what `session.resume` will ask for."""
        seat = self._seat_of(link)
        if seat is None or link.stage is not Stage.OPENED:
            return
        seat.tokens.confirm()
        link.stage = Stage.JOINED
        if not self.is_still:
            self._catching_up.greet(link, seat, now_ms)

    def resume(self, link: Link, resume: Resume, now_ms: int) -> None:
        """Exactly what the client missed since its roomSeq, or a snapshot; the ack says which."""
        seat = self._seat_of(link)
        if seat is not None and link.is_joined and not self.is_still:
            self._catching_up.resume(link, seat, resume, now_ms)

    def recalled(self, question: Recall, before: Sequence[Change] | None, now_ms: int) -> None:
        """The journal's answer to a `Recall`, up to where the history begins by now; None if it is not to be had."""
        if self.takes_input:
            self._catching_up.recalled(question, before, now_ms)

    def choked(self, link: Link, now_ms: int) -> None:
        """Too much waits in the link's socket: it gets answers only, and is closed 4507 if it does not read on."""
        if self._seat_of(link) is not None:
            self._catching_up.lag(link, now_ms)

    def drained(self, link: Link, now_ms: int) -> None:
        """The link has read what waited in its socket."""
        link.drain_by_ms = None
        seat = self._seat_of(link)
        if seat is not None and link.stage is Stage.LAGGING and not self.is_still:
            self._catching_up.conflate(link, seat, now_ms)

    def drop(self, link: Link, now_ms: int, random: "Random") -> None:
        """The link's socket is gone. If it was the session's connection, its seat is held from now on."""
        self.output.forget(link)
        seat = self._seat_of(link)
        if seat is None:
            return
        if self.is_still:
            seat.disconnect(now_ms + self.limits.hold_ms)
        else:
            self._hold(seat, now_ms, random)

    def leave(
        self, seat: Seat, close_code: int, reason: str, now_ms: int, random: "Random", last: tuple[bytes, ...] = ()
    ) -> None:
        """The session ends; once that is durable its link gets a last delta, `last`, and its close."""
        if self.is_broken or self.seats.get(seat.session_id) is not seat:
            return
        if self.is_still:
            # Nothing can be written of it now: the session is dropped when the room is rebuilt, and expires.
            if seat.link is not None:
                self.output.end(seat.link, answers.terminating(reason), close_code, reason)
            return
        refused = self._act(
            Kind.SESSION_LEAVE,
            self._actions.step(now_ms, random, seat.member),
            self.rules.on_leave,
            cause=msgspec.json.encode({"reason": reason}),
            character="give_back" if self.rules.takes_characters else None,
        )
        if refused is not None:
            return
        self.seats.free(seat)
        link, seat.link = seat.link, None
        if link is not None:
            self.output.farewell(link, last, close_code, reason)

    def terminate(self, seat: Seat, code: CloseCode, reason: str, now_ms: int, random: "Random") -> None:
        """End a session by the server's decision: final delta without the player, `event.session`, close."""
        self.leave(seat, code, reason, now_ms, random, (answers.terminating(reason),))

    def sweep(self, now_ms: int, random: "Random") -> None:
        """What time alone ends: holds, idle sessions, the patience with slow ones, the wait for `session.resume`."""
        for seat in self.seats.to_look_at(now_ms - self.limits.idle_ms):
            if not self.takes_input:
                return
            link = seat.link
            if link is None:
                if seat.held_until_ms is not None and now_ms >= seat.held_until_ms:
                    self.leave(seat, CloseCode.FAILED_TO_RECONNECT, "expired", now_ms, random)
            elif now_ms - seat.active_at_ms >= self.limits.idle_ms:
                self.terminate(seat, CloseCode.IDLE, "idle", now_ms, random)
            elif link.drain_by_ms is not None:
                if now_ms >= link.drain_by_ms:
                    self._catching_up.look_at_lag(link, now_ms)
            elif link.resume_by_ms is not None and now_ms >= link.resume_by_ms:
                self._catching_up.wait_no_longer(link, seat, now_ms)

    # -- messages -------------------------------------------------------------------------------------------------

    def receive(
        self,
        link: Link,
        message_type: str | int,
        body: object,
        now_ms: int,
        random: "Random",
        request_id: int | None = None,
    ) -> str:
        """One decoded message of a session, and its outcome: `applied`, `duplicate` or the code of its reject."""
        if self.is_broken:
            return RejectCode.TERMINATING
        refusal = DEGRADED if self.is_still else self.refusal
        outcome = self._intake.receive(link, message_type, body, now_ms, random, request_id, refusal)
        if self._actions.bug is not None:
            self._break(self._actions.bug)
        return outcome

    def unreadable(self, link: Link, message: str, request_id: int | None = None) -> str:
        """Something that is no intent of this room; ten in a row close the connection 4506."""
        return self._intake.unreadable(link, message, request_id)

    def looked_up(self, link: Link, seq: int, room_seq: int | None, request_id: int | None) -> None:
        """The journal's answer to a `LookUp`."""
        self._intake.looked_up(link, seq, room_seq, request_id)

    def not_looked_up(self, link: Link) -> None:
        """The journal could not be asked: the link's client dials again, and asks again."""
        self.output.end(link, answers.terminating("unavailable"), CloseCode.MAY_RECONNECT, "try again in a moment")

    # -- what goes out --------------------------------------------------------------------------------------------

    def commit(self, durable_seq: int) -> None:
        """The journal is durable up to here."""
        self.output.commit(durable_seq)

    def take_effects(self, now_ms: int, may_show: bool = True) -> list[Effect]:
        """All that may be done by now, in order. Unless it `may_show`, only what says nothing of the room's state."""
        return self.output.release(float(now_ms)) if may_show else self.output.release_at_once()

    def take_entries(self) -> list[Entry]:
        """The actions since the last call, to be journaled in this order."""
        entries, self._actions.entries = self._actions.entries, []
        return entries

    def tick(self, now_ms: int) -> list[Effect]:
        """A tick of the patch rate: the delta of what is durable, and the volatile changes. For who may show them."""
        # The gate first: a durable event goes before the delta that covers it.
        effects = self.take_effects(now_ms)
        effects += self.output.flush(float(now_ms))
        volatile = take_volatile(self.rules.state) if self.takes_input else None
        if volatile is not None:
            self.output.volatile(volatile)
            effects += self.take_effects(now_ms)
        return effects

    def announce(self, frame: bytes) -> None:
        """A frame that says nothing of the room's state, to every joined link."""
        links = [seat.link for seat in self.seats if seat.link is not None and seat.link.is_joined]
        self.output.say([link for link in links if link.is_greeted], frame)
        for link in links:
            if not link.is_greeted:
                self.output.tell(link, frame)

    def tell(self, link: Link, frames: Sequence[bytes]) -> None:
        """Likewise, to one."""
        if self._seat_of(link) is not None:
            for frame in frames:
                self.output.tell(link, frame)

    def close_all(self, code: CloseCode, reason: str) -> None:
        """Close every link at once; the sessions live on in the journal."""
        seated = [seat.link for seat in self.seats if seat.link is not None]
        for link in dict.fromkeys([*seated, *self.output.parting]):
            self.output.end(link, answers.terminating(reason), code, reason)

    def new_bucket(self, now_ms: int) -> Bucket:
        return Bucket(self.limits.intent_rate, self.limits.intent_burst, now_ms)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _act(
        self,
        kind: Kind,
        step: Step,
        rule: Callable[[Step], Reject | None],
        cause: bytes,
        tokens: bytes | None = None,
        character: Literal["take", "give_back"] | None = None,
    ) -> Reject | None:
        refused = self._actions.act(kind, step, rule, cause, tokens, character)
        if self._actions.bug is not None:
            self._break(self._actions.bug)
        return refused

    def _break(self, bug: Exception) -> None:
        """Close everyone with "may reconnect", after all that is already held: the room is rebuilt from its journal."""
        self.bug = bug
        self.is_broken = True
        words = answers.terminating("rebuilding")
        for seat in self.seats:
            if seat.link is not None:
                self.output.farewell(seat.link, (words,), CloseCode.MAY_RECONNECT, "the room is rebuilt")

    def _hold(self, seat: Seat, now_ms: int, random: "Random") -> None:
        seat.disconnect(now_ms + self.limits.hold_ms)
        step = self._actions.step(now_ms, random, seat.member)
        tokens = b"".join(seat.tokens.counting)
        self._act(Kind.SESSION_DROP, step, self.rules.on_drop, b"{}", tokens)

    def _seat_of(self, link: Link) -> Seat | None:
        """The seat whose connection the link is, while the room takes input."""
        seat = link.seat
        return seat if seat is not None and seat.link is link and not self.is_broken else None
