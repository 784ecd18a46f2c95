"""
Room: one authoritative game instance, composed of its seats, its rules and its output.

Inputs are method calls; each runs to completion, changes memory and leaves behind
    `entries`   actions to be journaled, in order, by the runtime
    `effects`   what may be done at once
Everything else that it shows waits at the output's gate until `commit` says how far the journal
is durable. Time, randomness and identity come in as arguments; nothing here awaits.

    OPEN --a step raised--> BROKEN     takes nothing more; when all it holds is durable and out,
                                       the runtime rebuilds the room from its journal
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from contracts import limits
from contracts.codes import CloseCode, Kind, RejectCode
from contracts.events import HandshakeAck, ResumeAck, Snapshot, VolatileDelta
from contracts.intents import Resume
from server.core import answers
from server.core.colyseus.frames import header
from server.core.colyseus.pack import pack
from server.core.effects import Close, Effect, LookUp, Send
from server.core.history import Change, History
from server.core.journal import CharacterMove, Entry
from server.core.link import Link, Stage
from server.core.output import Output
from server.core.permissions import permissions_of
from server.core.rate import Bucket
from server.core.reading import read, readable_seq
from server.core.reject import Reject
from server.core.rules import Handler, Rules
from server.core.seats import Membership, Seat, Seats
from server.core.sequence import Applied, IntentSequence, Look, Refused
from server.core.state import has_changes, plain, take_patch, take_volatile, volatile_values
from server.core.step import Step
from server.core.tokens import Dial, Tokens

if TYPE_CHECKING:
    from random import Random

_STATE = header(Snapshot.TYPE)


class RoomLimits(msgspec.Struct, frozen=True):
    """What the settings say of every room."""

    intent_rate: float
    intent_burst: int
    hold_ms: int
    idle_ms: int


class Room:
    def __init__(self, room_id: str, epoch: int, rules: Rules, history: History, room_limits: RoomLimits) -> None:
        self.room_id = room_id
        self.epoch = epoch
        self.rules = rules
        self.limits = room_limits
        self.seats = Seats(rules.max_clients)
        self.output = Output(history)
        self.entries: list[Entry] = []
        self.effects: list[Effect] = []
        #: Why no next intent is taken now (overload, drain); None when they are.
        self.refusal: Reject | None = None
        #: What a step raised; the room is broken from then on.
        self.bug: Exception | None = None
        self.is_broken = False

    @property
    def room_seq(self) -> int:
        """Where memory stands; PostgreSQL may be behind."""
        return self.output.applied_seq

    # -- the room's own life --------------------------------------------------------------------------------------

    def create(self, options: Mapping[str, Any], now_ms: int, random: "Random") -> None:
        """The first entry of the journal; its patch is the initial state."""
        step = Step(self.room_seq + 1, now_ms, random)
        self.rules.on_create(step, options)
        self._act(Kind.ROOM_CREATE, step, cause=msgspec.json.encode(options))

    def drop_unconnected(self, now_ms: int, random: "Random") -> None:
        """After an activation: every session without a link is dropped, its hold starting now."""
        for seat in self.seats:
            if seat.link is None and not self.is_broken:
                self._hold(seat, now_ms, random)

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

        Returns why not, with nothing changed: the room is full, or its rules say no.
        """
        if self.seats.is_full:
            return Reject(RejectCode.OVERLOADED, f"{self.room_id} is already full.")
        player = member.player
        step = Step(self.room_seq + 1, now_ms, random, member.session_id, player, character)
        try:
            refused = self.rules.on_join(step, options)
            assert refused is None or not has_changes(self.rules.state), "a step that rejects changes nothing"
        except Exception as error:
            self.bug = error
            self._break()
            return Reject(RejectCode.INTERNAL, "the room failed at this join")
        if refused is not None:
            return refused
        tokens, sequence = Tokens.issued(token_hash), IntentSequence(limits.OUTCOMES_MAX)
        seat = Seat(member, tokens, sequence, self.new_bucket(now_ms))
        self.seats.claim(seat)
        self._seat(link, seat, now_ms)
        taken = CharacterMove("take", player.player_id) if self.rules.takes_characters else None
        cause = msgspec.json.encode({"member": member, "options": options})
        self._act(Kind.SESSION_JOIN, step, cause=cause, tokens=token_hash, character=taken)
        self.output.send(link, confirmation)
        return None

    def dial(self, session_id: str, came_with: bytes, given: bytes) -> Dial:
        """Someone comes with a reconnection token's hash; ACCEPTED only reserves: `reconnect` must follow."""
        seat = self.seats.get(session_id)
        return Dial.UNKNOWN if seat is None else seat.tokens.dial(came_with, given)

    def reconnect(self, link: Link, session_id: str, confirmation: bytes, now_ms: int, random: "Random") -> None:
        """An accepted dial becomes the session's connection; an older one is closed 4501."""
        seat = self.seats.get(session_id)
        assert seat is not None, "dialled in the same step"
        if seat.link is not None:
            self._replace(seat.link)
        self._seat(link, seat, now_ms)
        link.is_return = True
        step = self._step(seat, now_ms, random)
        if self._ran(lambda: self.rules.on_reconnect(step)):
            self._act(Kind.SESSION_RECONNECT, step, cause=b"{}", tokens=b"".join(seat.tokens.counting))
            self.output.send(link, confirmation)

    def joined(self, link: Link, protocol_version: str, now_ms: int, heartbeat_ms: int) -> None:
        """The join byte arrived: the handshake ack, then the snapshot, or what `session.resume` will ask for."""
        seat = link.seat
        if seat is None or seat.link is not link or link.stage is not Stage.OPENED:
            return
        seat.tokens.confirm()
        link.stage = Stage.JOINED
        member = seat.member
        handshake = HandshakeAck(
            session_id=member.session_id,
            player_id=member.player.player_id,
            protocol_version=protocol_version,
            last_seq=seat.sequence.last,
            room_seq=self.room_seq,
            epoch=self.epoch,
            permissions=list(permissions_of(member.player.role)),
            intent_rate=self.limits.intent_rate,
            intent_burst=self.limits.intent_burst,
            server_time=float(now_ms),
            heartbeat_ms=heartbeat_ms,
        )
        if link.is_return and member.resumes:
            link.resume_by_ms = now_ms + int(limits.RESUME_S * 1000)
            self.output.send(link, answers.greeting(handshake))
        else:
            self.output.welcome(link, [answers.greeting(handshake), *self._whole(now_ms)])

    def resume(self, link: Link, resume: Resume, now_ms: int) -> None:
        """Exactly what the client missed since its roomSeq, or a snapshot; the ack says which."""
        seat = link.seat
        if seat is None or seat.link is not link or link.stage is Stage.OPENED:
            return
        link.resume_by_ms = None
        if resume.seq is not None:
            seat.sequence.skip_to(resume.seq)
        recovered = self.output.history.reaches(resume.room_seq, resume.epoch)
        greeting = ResumeAck(room_seq=self.room_seq, epoch=self.epoch, last_seq=seat.sequence.last, recovered=recovered)
        missed = self._missed(seat, resume.room_seq, now_ms) if recovered else self._whole(now_ms)
        self.output.welcome(link, [answers.greeting(greeting), *missed])

    def drop(self, link: Link, now_ms: int, random: "Random") -> None:
        """The link's socket is gone. If it was the session's connection, its seat is held from now on."""
        self.output.forget(link)
        seat = link.seat
        if seat is None or seat.link is not link:
            return
        self._hold(seat, now_ms, random)

    def leave(
        self, seat: Seat, close_code: int, reason: str, now_ms: int, random: "Random", last: tuple[bytes, ...] = ()
    ) -> None:
        """The session ends; once that is durable its link gets a last delta, `last`, and its close."""
        step = self._step(seat, now_ms, random)
        if not self._ran(lambda: self.rules.on_leave(step)):
            return
        self.seats.free(seat)
        given_back = None
        if self.rules.takes_characters:
            profile = msgspec.json.encode(step.character) if step.character is not None else None
            given_back = CharacterMove("give_back", seat.member.player.player_id, profile)
        self._act(Kind.SESSION_LEAVE, step, cause=msgspec.json.encode({"reason": reason}), character=given_back)
        if seat.link is not None:
            self.output.farewell(seat.link, last, close_code, reason)

    def terminate(self, seat: Seat, code: CloseCode, reason: str, now_ms: int, random: "Random") -> None:
        """End a session by the server's decision: final delta without the player, `event.session`, close."""
        self.leave(seat, code, reason, now_ms, random, (answers.terminating(reason),))

    def sweep(self, now_ms: int, random: "Random") -> None:
        """What time alone ends: holds, idle sessions, the wait for `session.resume`."""
        for seat in self.seats:
            link = seat.link
            if link is None:
                if seat.held_until_ms is not None and now_ms >= seat.held_until_ms:
                    self.leave(seat, CloseCode.FAILED_TO_RECONNECT, "expired", now_ms, random)
            elif now_ms - seat.active_at_ms >= self.limits.idle_ms:
                self.terminate(seat, CloseCode.IDLE, "idle", now_ms, random)
            elif link.resume_by_ms is not None and now_ms >= link.resume_by_ms:
                link.resume_by_ms = None
                unresumed = ResumeAck(
                    room_seq=self.room_seq, epoch=self.epoch, last_seq=seat.sequence.last, recovered=False
                )
                self.output.welcome(link, [answers.greeting(unresumed), *self._whole(now_ms)])
            if self.is_broken:
                return

    # -- intents --------------------------------------------------------------------------------------------------

    def receive(
        self,
        link: Link,
        message_type: str | int,
        body: object,
        now_ms: int,
        random: "Random",
        request_id: int | None = None,
    ) -> str:
        """
        One decoded message of a session, and its outcome as metrics count it.

        The number is looked at before anything else: only the next one can be refused for rate,
        load, form or rules, and whatever becomes of it, it is used up.
        """
        seat = link.seat
        assert seat is not None
        handler = self.rules.handlers.get(message_type) if isinstance(message_type, str) else None
        seq = readable_seq(body)
        if handler is None:
            return self.unreadable(link, f"type: {message_type!r} is not a message of this room", request_id)
        if seq is None:
            return self.unreadable(link, "seq: expected an integer from 1", request_id)
        seat.unreadable = 0
        look = seat.sequence.look(seq)
        if look is Look.NEXT:
            return self._judge(link, seat, seq, handler, body, now_ms, random, request_id)
        if look is Look.GAP:
            expected = seat.sequence.last + 1
            gap = Reject(RejectCode.GAP, f"seq: expected {expected}, got {seq}")
            self._send(link, answers.reject(seq, gap, request_id, expected))
            return RejectCode.GAP
        if look is Look.FORGOTTEN:
            self.effects.append(LookUp(link, seat.session_id, seq, request_id))
        else:
            self.output.send(link, answers.again(seq, look, request_id))
        return "duplicate"

    def unreadable(self, link: Link, message: str, request_id: int | None = None) -> str:
        """Something that is no intent of this room; ten in a row end the session."""
        seat = link.seat
        assert seat is not None
        self._send(link, answers.reject(None, Reject(RejectCode.INVALID, message), request_id))
        seat.unreadable += 1
        if seat.unreadable >= limits.UNREADABLE_MAX:
            self._send(link, answers.terminating("protocol error"))
            self.effects.append(Close(link, CloseCode.PROTOCOL_ERROR, "too many unreadable messages"))
        return RejectCode.INVALID

    def looked_up(self, link: Link, seq: int, room_seq: int | None, request_id: int | None) -> None:
        """The journal's answer to a `LookUp`."""
        if room_seq is not None:
            self.output.send(link, answers.ack(seq, room_seq, True, request_id))
        else:
            forgotten = Reject(RejectCode.NOT_DURABLE, f"seq: {seq} was answered long ago, and has no effect")
            self.output.send(link, answers.reject(seq, forgotten, request_id))

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
    ) -> str:
        refusal = self.refusal
        if refusal is None and not seat.bucket.take(now_ms):
            refusal = Reject(RejectCode.RATE_LIMITED, f"more than {self.limits.intent_rate:g} intents a second")
        if refusal is not None:
            seat.sequence.settle(seq, Refused(refusal.code, refusal.message))
            self._send(link, answers.reject(seq, refusal, request_id))
            return refusal.code
        verdict = self._applied(seat, seq, handler, body, now_ms, random)
        if verdict is None:
            seat.sequence.settle(seq, Applied(self.room_seq))
            self.output.send(link, answers.ack(seq, self.room_seq, False, request_id))
            return "applied"
        seat.sequence.settle(seq, Refused(verdict.code, verdict.message))
        self.output.send(link, answers.reject(seq, verdict, request_id))
        if self.bug is not None:
            self._break()
        return verdict.code

    def _applied(
        self, seat: Seat, seq: int, handler: Handler, body: object, now_ms: int, random: "Random"
    ) -> Reject | None:
        """Apply the intent as an action; or why not, with nothing changed."""
        intent = read(body, handler.intent)
        if isinstance(intent, Reject):
            return intent
        if handler.permission not in permissions_of(seat.member.player.role):
            return Reject(RejectCode.FORBIDDEN, f"the role {seat.member.player.role!r} may not do this")
        step = self._step(seat, now_ms, random)
        try:
            verdict = handler.apply(self.rules, step, intent)
            assert verdict is None or not has_changes(self.rules.state), "a step that rejects changes nothing"
        except Exception as error:
            self.bug = error
            return Reject(RejectCode.INTERNAL, "the room failed at this intent")
        if verdict is None:
            self._act(handler.intent.TYPE, step, cause=msgspec.json.encode(intent), seq=seq)
        return verdict

    # -- what goes out --------------------------------------------------------------------------------------------

    def commit(self, durable_seq: int) -> None:
        """The journal is durable up to here."""
        self.output.commit(durable_seq)

    def take_effects(self, now_ms: int) -> list[Effect]:
        """All that may be done by now, in order."""
        effects, self.effects = self.effects, []
        effects += self.output.release(float(now_ms))
        return effects

    def take_entries(self) -> list[Entry]:
        """The actions since the last call, to be journaled in this order."""
        entries, self.entries = self.entries, []
        return entries

    def tick(self, now_ms: int) -> list[Effect]:
        """A tick of the patch rate: the delta of what is durable, and the volatile changes."""
        effects = self.output.flush(float(now_ms))
        volatile = None if self.is_broken else take_volatile(self.rules.state)
        if volatile is not None:
            self.output.volatile(volatile)
            effects += self.take_effects(now_ms)
        return effects

    def announce(self, frame: bytes) -> None:
        """A frame that says nothing of the room's state, to every joined link at once."""
        links = [seat.link for seat in self.seats if seat.link is not None and seat.link.stage is not Stage.OPENED]
        self.effects.append(Send(links, frame))

    def close_all(self, code: CloseCode, reason: str) -> None:
        """Close every link at once; the sessions live on in the journal."""
        for seat in self.seats:
            if seat.link is not None:
                self._send(seat.link, answers.terminating(reason))
                self.effects.append(Close(seat.link, code, reason))

    def new_bucket(self, now_ms: int) -> Bucket:
        return Bucket(self.limits.intent_rate, self.limits.intent_burst, now_ms)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _act(
        self,
        kind: str,
        step: Step,
        cause: bytes,
        seq: int | None = None,
        tokens: bytes | None = None,
        character: CharacterMove | None = None,
    ) -> None:
        """The step stands: it gets the next roomSeq, an entry and a place in the history."""
        patch = take_patch(self.rules.state)
        room_seq = step.room_seq
        assert room_seq == self.room_seq + 1
        entry = Entry(
            room_id=self.room_id,
            room_seq=room_seq,
            epoch=self.epoch,
            kind=kind,
            at=step.now_ms,
            session_id=step.session_id or None,
            player_id=step.player.player_id or None,
            seq=seq,
            intent=cause,
            patch=None if patch is None else msgspec.json.encode(patch),
            events=msgspec.json.encode(step.events) if step.events else None,
            tokens=tokens,
            character=character,
        )
        self.entries.append(entry)
        emitted = tuple(event.emitted() for event in step.events)
        self.output.apply(Change(room_seq, self.epoch, patch, emitted, entry.size_bytes()))

    def _step(self, seat: Seat, now_ms: int, random: "Random") -> Step:
        return Step(self.room_seq + 1, now_ms, random, seat.session_id, seat.member.player)

    def _ran(self, step: Callable[[], object]) -> bool:
        """Whether a step of the session's own life went through; one that raises breaks the room."""
        try:
            step()
        except Exception as error:
            self.bug = error
            self._break()
            return False
        return True

    def _break(self) -> None:
        """Close everyone with "may reconnect", after all that is already held: the room is rebuilt from its journal."""
        self.is_broken = True
        for seat in self.seats:
            if seat.link is not None:
                self.output.farewell(
                    seat.link, (answers.terminating("rebuilding"),), CloseCode.MAY_RECONNECT, "the room is rebuilt"
                )

    def _hold(self, seat: Seat, now_ms: int, random: "Random") -> None:
        if seat.tokens.is_offered:
            seat.tokens.lapse()
        seat.link = None
        seat.held_until_ms = now_ms + self.limits.hold_ms
        step = self._step(seat, now_ms, random)
        if self._ran(lambda: self.rules.on_drop(step)):
            self._act(Kind.SESSION_DROP, step, cause=b"{}")

    def _seat(self, link: Link, seat: Seat, now_ms: int) -> None:
        link.seat = seat
        seat.link = link
        seat.held_until_ms = None
        seat.active_at_ms = now_ms

    def _replace(self, older: Link) -> None:
        self.output.forget(older)
        self._send(older, answers.terminating("replaced"))
        self.effects.append(Close(older, CloseCode.REPLACED, "replaced by a newer connection"))

    def _send(self, link: Link, frame: bytes) -> None:
        self.effects.append(Send((link,), frame))

    def _whole(self, now_ms: int) -> list[bytes]:
        """The snapshot of now, and the volatile values beside it."""
        snapshot = Snapshot(
            room_seq=self.room_seq, epoch=self.epoch, tick=0, state=plain(self.rules.state), server_time=float(now_ms)
        )
        frames = [_STATE + pack(snapshot)]
        volatile = volatile_values(self.rules.state)
        if volatile is not None:
            frames.append(_STATE + pack(VolatileDelta(patches=[volatile])))
        return frames

    def _missed(self, seat: Seat, after: int, now_ms: int) -> list[bytes]:
        """The durable events after `after`, in order, then the delta that covers them, if any."""
        if after == self.room_seq:
            return []
        output = self.output
        frames = [
            emitted.frame
            for change in output.history.between(after, self.room_seq)
            for emitted in change.emitted
            if emitted.to is None or seat.session_id in emitted.to
        ]
        return [*frames, output.delta(after, self.room_seq, float(now_ms))]
