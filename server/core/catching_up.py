"""
Catching up: how a link gets from its join byte to where the room is.

    first join        handshake, snapshot                                      --> live
    return, resumes   handshake ... `session.resume`: what it missed, or a snapshot --> live
                                `-- nothing said in time: a snapshot --> live
    return, else      handshake, snapshot                                      --> live
    gap, while live   `session.resume`: as above; asked too often, a snapshot in a while

Whatever leads to live ends with the volatile values of now: they have no roomSeq to go on from.
"""

from collections.abc import Iterator, Sequence

from contracts import PROTOCOL_VERSION, limits
from contracts.events import HandshakeAck, ResumeAck, Snapshot, VolatileDelta
from contracts.intents import Resume
from server.core import answers
from server.core.colyseus.frames import header
from server.core.colyseus.pack import pack
from server.core.effects import Returned
from server.core.link import Link, Stage
from server.core.output import Output
from server.core.permissions import permissions_of
from server.core.rules import Rules
from server.core.seats import RoomLimits, Seat
from server.core.state import plain, volatile_values

_STATE = header(Snapshot.TYPE)
_RESUME_MS = int(limits.RESUME_S * 1000)
_HEARTBEAT_MS = int(limits.PING_S * 1000)


class CatchingUp:
    def __init__(self, epoch: int, rules: Rules, output: Output, room_limits: RoomLimits) -> None:
        self.epoch = epoch
        self._rules = rules
        self._output = output
        self._limits = room_limits

    def greet(self, link: Link, seat: Seat, now_ms: int) -> None:
        """The link's join byte arrived."""
        member = seat.member
        handshake = answers.greeting(
            HandshakeAck(
                session_id=member.session_id,
                player_id=member.player.player_id,
                protocol_version=PROTOCOL_VERSION,
                last_seq=seat.sequence.last,
                room_seq=self._output.applied_seq,
                epoch=self.epoch,
                permissions=list(permissions_of(member.player.role)),
                intent_rate=self._limits.intent_rate,
                intent_burst=self._limits.intent_burst,
                server_time=float(now_ms),
                heartbeat_ms=_HEARTBEAT_MS,
            )
        )
        if not link.is_return:
            # Its session began with its join, and so did what it is told.
            since_join = self._events(seat, seat.joined_seq - 1)
            self._output.welcome(link, [handshake, *self._whole(now_ms), *since_join])
        elif member.resumes:
            self._output.greet(link, handshake, _RESUME_MS)
        else:
            self._output.welcome(link, [handshake, *self._whole(now_ms)], Returned("snapshot"))

    def resume(self, link: Link, seat: Seat, resume: Resume, now_ms: int) -> None:
        """Exactly what the client missed since its roomSeq, or a snapshot; the ack says which."""
        seat.unreadable = 0
        if resume.seq is not None:
            seat.sequence.skip_to(resume.seq)
        if not link.is_return and not seat.bucket.take(now_ms):
            # A whole state is dear: whoever asks for it faster than for anything else has it when this runs out.
            link.resume_by_ms = link.resume_by_ms or now_ms + _RESUME_MS
            return
        is_return, link.is_return = link.is_return, False
        link.resume_by_ms = None
        link.is_resuming = True
        # What was before its join was never its to miss; who never got a snapshot says 0.
        recovered = resume.room_seq >= seat.joined_seq and self._output.history.reaches(resume.room_seq, resume.epoch)
        frames = self._missed(seat, resume.room_seq, now_ms) if recovered else self._whole(now_ms)
        returned = Returned("delta" if recovered else "snapshot") if is_return else None
        self._output.welcome(link, [self._answer(seat, recovered), *frames], returned)

    def wait_no_longer(self, link: Link, seat: Seat, now_ms: int) -> None:
        """Nothing was said by `resume_by_ms`."""
        is_return, link.is_return = link.is_return, False
        link.resume_by_ms = None
        returned = Returned("snapshot") if is_return else None
        self._output.welcome(link, [self._answer(seat, False), *self._whole(now_ms)], returned)

    def start_over(self, link: Link, seat: Seat, now_ms: int) -> None:
        """The room was rebuilt under the link: whatever it was owed, it is the room as it is now."""
        if not link.is_greeted:
            self.greet(link, seat, now_ms)
        elif link.resume_by_ms is None or link.stage is Stage.LIVE:
            answer = [self._answer(seat, False)] if link.is_resuming else []
            self._output.welcome(link, [*answer, *self._whole(now_ms)])

    def _answer(self, seat: Seat, recovered: bool) -> bytes:
        room_seq, last_seq = self._output.applied_seq, seat.sequence.last
        return answers.greeting(
            ResumeAck(
                room_seq=room_seq, epoch=self._output.history.epoch_at(room_seq), last_seq=last_seq, recovered=recovered
            )
        )

    def _whole(self, now_ms: int) -> list[bytes]:
        """The snapshot of now, and the volatile values beside it."""
        snapshot = Snapshot(
            room_seq=self._output.applied_seq,
            epoch=self._output.history.epoch_at(self._output.applied_seq),
            tick=0,
            state=plain(self._rules.state),
            server_time=float(now_ms),
        )
        return [_STATE + pack(snapshot), *self._volatile()]

    def _missed(self, seat: Seat, after: int, now_ms: int) -> Sequence[bytes]:
        """The durable events after `after`, in order, then the delta that covers them, if any."""
        room_seq = self._output.applied_seq
        delta = [self._output.delta(after, room_seq, float(now_ms))] if after < room_seq else []
        return [*self._events(seat, after), *delta, *self._volatile()]

    def _events(self, seat: Seat, after: int) -> Iterator[bytes]:
        """The session's events after `after`, as far as they are remembered."""
        output = self._output
        for change in output.history.between(max(after, output.history.base_seq), output.applied_seq):
            for emitted in change.emitted:
                if emitted.to is None or seat.session_id in emitted.to:
                    yield emitted.frame

    def _volatile(self) -> list[bytes]:
        values = volatile_values(self._rules.state)
        return [] if values is None else [_STATE + pack(VolatileDelta(patches=[values]))]
