"""
Catching up: how a link gets from its join byte to where the room is, and back to there when it fell behind.

    first join        handshake, snapshot                                      --> live
    return, resumes   handshake ... `session.resume`: what it missed, or a snapshot --> live
                                `-- nothing said in time: a snapshot --> live
    return, else      handshake, snapshot                                      --> live
    gap, while live   `session.resume`: as above; asked too often, a snapshot in a while
    lag, drained      what it missed, conflated, or a snapshot                 --> live

What was missed is made from the history in memory. Where a resume goes further back, the journal is asked for what is
between, once for all of the room who wait; then that is in memory too, and the resume goes on as if it always had been.
If it is too much, or cannot be had, a snapshot.

Whatever leads to live ends with the volatile values of now: they have no roomSeq to go on from.
"""

from collections.abc import Iterable, Iterator, Sequence

from contracts import PROTOCOL_VERSION, limits
from contracts.codes import CloseCode
from contracts.events import HandshakeAck, ResumeAck, Snapshot, VolatileDelta
from contracts.intents import Resume
from contracts.message import Tree
from server.core import answers
from server.core.colyseus.frames import header
from server.core.colyseus.pack import pack
from server.core.effects import Conflated, Recall, Returned
from server.core.history import Change
from server.core.interest import Area
from server.core.link import Asked, Link, Stage
from server.core.output import Output
from server.core.rules import Rules
from server.core.seats import RoomLimits, Seat, Seats
from server.core.state import plain, volatile_values

_STATE = header(Snapshot.TYPE)
_RESUME_MS = int(limits.RESUME_S * 1000)
_HEARTBEAT_MS = int(limits.PING_S * 1000)
_LAG_MS = int(limits.LAG_S * 1000)


class CatchingUp:
    def __init__(self, epoch: int, rules: Rules, seats: Seats, output: Output, room_limits: RoomLimits) -> None:
        self.epoch = epoch
        self._rules = rules
        self._seats = seats
        self._output = output
        self._limits = room_limits
        #: What the journal is being asked.
        self._question: Recall | None = None

    def greet(self, link: Link, seat: Seat, now_ms: int) -> None:
        """The link's join byte arrived."""
        self._greet(link, seat, self._now(now_ms))

    def _greet(self, link: Link, seat: Seat, now: "_Now") -> None:
        member = seat.member
        handshake = answers.greeting(
            HandshakeAck(
                session_id=member.session_id,
                player_id=member.player.player_id,
                protocol_version=PROTOCOL_VERSION,
                last_seq=seat.sequence.last,
                room_seq=self._output.applied_seq,
                epoch=self.epoch,
                permissions=list(seat.permissions),
                intent_rate=self._limits.intent_rate,
                intent_burst=self._limits.intent_burst,
                server_time=float(now.now_ms),
                heartbeat_ms=_HEARTBEAT_MS,
            )
        )
        if not link.is_return:
            # Its session began with its join, and so did what it is told.
            self._output.welcome(link, [handshake, *now.whole(seat), *now.events(seat, seat.joined_seq - 1)])
        elif member.resumes:
            self._output.greet(link, handshake, _RESUME_MS)
        else:
            self._output.welcome(link, [handshake, *now.whole(seat)], Returned("snapshot"))

    def _now(self, now_ms: int) -> "_Now":
        return _Now(self._rules, self._output, now_ms)

    # -- resumes --------------------------------------------------------------------------------------------------

    def resume(self, link: Link, seat: Seat, resume: Resume, now_ms: int) -> None:
        """Exactly what the client missed since its roomSeq, or a snapshot; the ack says which. It may have to wait."""
        seat.unreadable = 0
        if resume.seq is not None:
            seat.sequence.skip_to(resume.seq)
        if not link.is_return and not seat.bucket.take(now_ms):
            # A whole state is dear: whoever asks for it faster than for anything else has it when this runs out.
            link.resume_by_ms = link.resume_by_ms or now_ms + _RESUME_MS
            return
        asked = Asked(resume.room_seq, resume.epoch, self._said(link))
        if link.stage is Stage.LAGGING:
            link.asked = asked
        else:
            self._take_up(link, seat, asked, self._now(now_ms))

    def wait_no_longer(self, link: Link, seat: Seat, now_ms: int) -> None:
        """Nothing was said by `resume_by_ms`, or too often; whatever it waited for, it gets a snapshot."""
        self._give_whole(link, seat, self._now(now_ms))

    def _give_whole(self, link: Link, seat: Seat, now: "_Now") -> None:
        self._answer(link, seat, Asked(0, None, self._said(link)), now)

    def start_over(self, links: Iterable[tuple[Link, Seat]], now_ms: int) -> None:
        """The room was rebuilt under the links: whatever each was owed, it is the room as it is now."""
        now = self._now(now_ms)
        for link, seat in links:
            if not link.is_greeted:
                self._greet(link, seat, now)
            elif link.stage is Stage.LAGGING:
                # Where it stands is durable: it is caught up from there when it has read.
                if link.drain_by_ms is None:
                    self._conflate(link, seat, now)
            elif link.asked is not None or link.is_resuming:
                self._give_whole(link, seat, now)
            elif link.resume_by_ms is None or link.stage is Stage.LIVE:
                self._output.welcome(link, now.whole(seat))

    def recalled(self, question: Recall, before: Sequence[Change] | None, now_ms: int) -> None:
        """The journal's answer, up to where the history begins by now; None if it is not to be had."""
        if question is not self._question:
            return
        self._question = None
        history, now = self._output.history, self._now(now_ms)
        is_had = before is not None and history.recall(before) and history.base_seq <= question.from_seq
        for link, seat, asked in self._waiting():
            if not (is_had and self._is_worth_a_recall(seat, asked)):
                self._answer(link, seat, asked, now)
        self._output.trim()
        self._recall()

    def _take_up(self, link: Link, seat: Seat, asked: Asked, now: "_Now") -> None:
        if self._is_worth_a_recall(seat, asked):
            self._output.pause(link)
            link.asked = asked
            self._recall()
        else:
            self._answer(link, seat, asked, now)

    def _recall(self) -> None:
        """Ask the journal as far back as anyone who waits, unless it is being asked: then they come next."""
        waiting = [asked.room_seq for _, _, asked in self._waiting()] if self._question is None else []
        if waiting:
            self._question = Recall(min(waiting))
            self._output.ask(self._question)

    def _waiting(self) -> list[tuple[Link, Seat, Asked]]:
        linked = [(seat.link, seat) for seat in self._seats if seat.link is not None]
        return [(link, seat, link.asked) for link, seat in linked if link.asked and link.stage is Stage.JOINED]

    def _is_worth_a_recall(self, seat: Seat, asked: Asked) -> bool:
        """Whether it goes further back than memory, and not as far as would be dearer than a snapshot."""
        forgotten = self._output.history.base_seq - asked.room_seq
        return asked.room_seq >= seat.joined_seq and 0 < forgotten <= limits.RECALL_ENTRIES_MAX

    def _answer(self, link: Link, seat: Seat, asked: Asked, now: "_Now") -> None:
        output = self._output
        # What was before its join was never its to miss; who never got a snapshot says 0.
        recovered = asked.room_seq >= seat.joined_seq and output.history.reaches(asked.room_seq, asked.epoch)
        room_seq = output.applied_seq
        epoch = output.history.epoch_at(room_seq)
        ack = ResumeAck(room_seq=room_seq, epoch=epoch, last_seq=seat.sequence.last, recovered=recovered)
        frames = now.missed(seat, asked.room_seq, asked.room_seq) if recovered else now.whole(seat)
        returned = Returned("delta" if recovered else "snapshot") if asked.is_return else None
        link.is_resuming = True
        output.welcome(link, [answers.greeting(ack), *frames], returned)

    @staticmethod
    def _said(link: Link) -> bool:
        """It has said from where, or not in time; whether it returned, and has not been answered yet."""
        is_return = link.is_return or (link.asked is not None and link.asked.is_return)
        link.is_return, link.resume_by_ms = False, None
        return is_return

    # -- lags -----------------------------------------------------------------------------------------------------

    def lag(self, link: Link, now_ms: int) -> None:
        """Too much waits in the link's socket."""
        self._expect_reading(link, now_ms)
        if link.stage is Stage.LIVE:
            self._output.lag(link)

    def look_at_lag(self, link: Link, now_ms: int) -> None:
        """At its `drain_by_ms`. Who reads, if slowly, may go on: a whole world takes its time on a thin line."""
        if link.waiting_bytes() <= link.drain_to_bytes:
            self._expect_reading(link, now_ms)
        else:
            self._output.end(link, answers.terminating("too slow"), CloseCode.TOO_SLOW, "too slow")

    @staticmethod
    def _expect_reading(link: Link, now_ms: int) -> None:
        link.drain_by_ms = now_ms + _LAG_MS
        link.drain_to_bytes = link.waiting_bytes() - limits.LAG_READ_BYTES_MIN

    def conflate(self, link: Link, seat: Seat, now_ms: int) -> None:
        """A lagging link has read what waited in its socket: what it missed meanwhile, or the resume it asked for."""
        self._conflate(link, seat, self._now(now_ms))

    def _conflate(self, link: Link, seat: Seat, now: "_Now") -> None:
        lag = link.lag
        assert lag is not None
        if link.asked is not None:
            self._take_up(link, seat, link.asked, now)
        elif self._output.history.reaches(lag.told_seq, None):
            is_behind = lag.told_seq < self._output.applied_seq
            frames = now.missed(seat, lag.told_seq, lag.heard_seq)
            self._output.welcome(link, frames, Conflated() if is_behind else None)
        else:
            self._output.welcome(link, now.whole(seat), Conflated())


class _Now:
    """What brings links to where memory stands now; for those caught up in the same step, each frame is made once."""

    def __init__(self, rules: Rules, output: Output, now_ms: int) -> None:
        self._rules = rules
        self._output = output
        self.now_ms = now_ms
        self._plain: Tree | None = None
        #: By area; None is where everyone gets all.
        self._whole: dict[Area | None, list[bytes]] = {}
        #: By where they begin, and area.
        self._deltas: dict[tuple[int, Area | None], bytes] = {}

    def whole(self, seat: Seat) -> list[bytes]:
        """The snapshot, and the volatile values beside it."""
        area = self._area(seat)
        if area not in self._whole:
            snapshot = Snapshot(
                room_seq=self._output.applied_seq,
                epoch=self._output.history.epoch_at(self._output.applied_seq),
                tick=0,
                state=self._state(area),
                server_time=float(self.now_ms),
            )
            self._whole[area] = [_STATE + pack(snapshot), *self._volatile()]
        return self._whole[area]

    def missed(self, seat: Seat, told_seq: int, heard_seq: int) -> list[bytes]:
        """The durable events after `heard_seq`, in order, then the delta from `told_seq` that covers them, if any."""
        room_seq = self._output.applied_seq
        events = self.events(seat, heard_seq)
        delta = [self._delta(told_seq, self._area(seat))] if told_seq < room_seq else []
        return [*events, *delta, *self._volatile()]

    def events(self, seat: Seat, after: int) -> Iterator[bytes]:
        """The session's events after `after`, as far as they are remembered."""
        history = self._output.history
        for change in history.between(max(after, history.base_seq), self._output.applied_seq):
            for emitted in change.emitted:
                if emitted.to is None or seat.session_id in emitted.to:
                    yield emitted.frame

    def _delta(self, base_seq: int, area: Area | None) -> bytes:
        if (base_seq, area) not in self._deltas:
            room_seq = self._output.applied_seq
            patches = self._output.history.patches(base_seq, room_seq)
            if area is not None:
                assert self._output.chart is not None
                patches = self._output.chart.anew(self._state(area), patches)
            self._deltas[base_seq, area] = self._output.delta(base_seq, room_seq, patches, float(self.now_ms))
        return self._deltas[base_seq, area]

    def _area(self, seat: Seat) -> Area | None:
        chart = self._output.chart
        return None if chart is None else chart.area_of(self._tree(), seat.session_id)

    def _state(self, area: Area | None) -> Tree:
        chart = self._output.chart
        return self._tree() if chart is None or area is None else chart.restricted(self._tree(), area)

    def _tree(self) -> Tree:
        if self._plain is None:
            self._plain = plain(self._rules.state)
        return self._plain

    def _volatile(self) -> list[bytes]:
        values = volatile_values(self._rules.state)
        return [] if values is None else [_STATE + pack(VolatileDelta(patches=[values]))]
