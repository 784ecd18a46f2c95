"""
Bot: one session that asks for what its course says, keeps its state by what it is sent, and checks every answer.

    seated --dial--> let in --first state--> LIVE --1001, 1005, 1006, 4010--> dials again --let in--> LIVE
                                               `--any other close--> ended

It numbers its intents from 1, keeps each until its outcome, and after a reconnect says where it stands and sends those
without one again, no faster than the server's rate allows. Checked here:

- each intent has one outcome; a second one is right only as `duplicate`, of an intent that was sent twice
- acks come in the order of the intents, at rising roomSeqs that no other ack of the room has
- each delta begins where the bot stands; a snapshot never stands before what was acked

A reject may overtake an ack: those for rate and load say nothing of the room, and are not held until it is durable.
"""

import time
from collections import deque
from collections.abc import Callable

import msgspec
from picows import WSTransport

from server.tools.bots.courses import Course, Values
from server.tools.bots.dialect import Dialect, Seat, Unreadable
from server.tools.bots.result import Ack
from server.tools.bots.room import Room, Stand
from server.tools.bots.tally import Tally
from server.tools.wire import REDIALLED

#: How many of its last states' times a bot knows: an ack that comes later than those looks too late.
MOVES_MAX = 64
#: Numbers sent more than once whose outcome is remembered.
RESENT_MAX = 1_024
#: After a `gap` the open intents go again, once in this time.
RESEND_S = 0.3
#: What a server lets in without saying so.
RATE_HZ, BURST = 20.0, 40
#: The share of a session's burst and rate that catching up takes.
PACE = 0.5, 0.9

_now = time.perf_counter


class Open(msgspec.Struct, frozen=True, gc=False):
    """An intent without an outcome."""

    due: float
    frame: bytes
    values: Values


class Bot:
    def __init__(
        self, room: Room, seat: Seat, dialect: Dialect, course: Course, tally: Tally, period_s: float | None
    ) -> None:
        """With `period_s`, the time between two turns, it has one intent open at a time (the closed model)."""
        self.room = room
        self.seat = seat
        self.session_id = seat.session_id
        self.course = course
        #: For the next connection.
        self.token: str | None = None
        self.wire: WSTransport | None = None
        self.is_live = False
        #: Why it will not come back.
        self.ended: str | None = None
        self.is_leaving = False
        self.stand = Stand(-1, None)
        self.open: dict[int, Open] = {}
        #: Numbers to be sent: they came due while it was not connected, or have no outcome after a reconnect.
        self.queue: deque[int] = deque()
        #: The highest roomSeq it was acked at, and the highest number with an outcome.
        self.acked_to = 0
        self.answered_to = 0
        #: Given what comes anew, instead of taking it over; set while that is compared.
        self.on_fresh: Callable[[Stand], None] | None = None
        self.on_live: Callable[[], None] | None = None
        #: A live connection is gone, and may be dialled again.
        self.on_drop: Callable[[Bot], None] | None = None
        self._dialect = dialect
        self._tally = tally
        self._frame_of = dialect.framer(course)
        self._asked = 0
        self._written = 0
        self._acked_seq = 0
        self._is_lost = False
        #: RoomSeq and time of its last states.
        self._moves: deque[tuple[int, float]] = deque(maxlen=MOVES_MAX)
        #: Acks of others that it is to see: roomSeq, and when the intent was due.
        self._watched: list[tuple[int, float]] = []
        #: By number sent more than once, where it was acked; 0 without.
        self._resent: dict[int, int] = {}
        self._resent_at = 0.0
        self._rate_hz, self._burst = RATE_HZ, BURST
        self._paced_from, self._paced = 0.0, 0
        self._period_s = period_s
        #: In the closed model: turns that wait for the outcome before them, and when the first of them was due.
        self.behind = 0
        self._behind_due = 0.0

    def __str__(self) -> str:
        return f"session {self.session_id} of room {self.room.room_id}"

    # -- what it does -------------------------------------------------------------------------------------------------

    def turn(self, due: float, now: float) -> None:
        """An intent is due; how long its ack takes is counted from there, whenever it is sent."""
        if self._period_s is None or not (self.open or self.behind):
            self._ask(due, now)
            return
        if not self.behind:
            self._behind_due = due
        self.behind += 1

    def catch_up(self, now: float) -> None:
        """Send what the rate allows of the queue."""
        share_of_burst, share_of_rate = PACE
        allowed = self._burst * share_of_burst + (now - self._paced_from) * self._rate_hz * share_of_rate
        while self.queue and self._paced + 1 <= allowed and self.is_live:
            seq = self.queue.popleft()
            self._paced += 1
            if seq in self.open:
                self._send(seq, self.open[seq])

    @property
    def unanswered(self) -> int:
        """Turns that came due and have no outcome."""
        return len(self.open) + self.behind

    @property
    def unseen(self) -> int:
        """Acks of others whose effect it has not been shown."""
        return len(self._watched)

    def write(self, frame: bytes) -> None:
        if self.wire is not None:
            self._tally.bytes_out += len(frame)
            self.wire.send(self._dialect.frame_type, frame)

    def leave(self) -> None:
        """On purpose, and for good."""
        self.is_leaving = True
        frame = self._dialect.leave_frame()
        if frame is not None:
            self.write(frame)

    # -- its connection -----------------------------------------------------------------------------------------------

    def connected(self, wire: WSTransport) -> None:
        self.wire = wire
        self._read = self._dialect.reader(self)

    def hear(self, frame: bytes) -> None:
        """A frame of the server. One that has led another bot on from where this one stands is not read again."""
        stand = self.stand
        if frame == stand.next_frame and stand.next is not None:
            self.moved(stand.next)
            return
        try:
            self._read(frame)
        except Unreadable as problem:
            self._tally.errors["unreadable frame"] += 1
            self._tally.wrong(f"{self}: a frame of {len(frame)} bytes that begins {frame[:16].hex()}: {problem}")

    def disconnected(self, wire: WSTransport, code: int) -> None:
        """It is to be dialled again, unless the code is final. One that was never let in is its dialler's affair."""
        if wire is not self.wire:
            return
        was_live, self.wire, self.is_live = self.is_live, None, False
        self.stand = self.stand.apart()
        if not was_live or self.is_leaving:
            return
        self._tally.errors[f"closed {code}"] += 1
        if code not in REDIALLED or self.token is None:
            self.end(f"closed {code}")
        elif self.on_drop is not None:
            self.on_drop(self)

    def end(self, why: str) -> None:
        """It does not come back. What it was to see is seen by others."""
        self.ended = why
        if self in self.room.bots:  # not yet, where it is lost as it comes in
            self.room.bots.remove(self)
        watched, self._watched = self._watched, []
        for room_seq, due in watched:
            self._have_seen(room_seq, due)

    # -- what a dialect's reader tells it -----------------------------------------------------------------------------

    def let_in(self, token: str | None) -> None:
        """With the token for the next connection; None where there is no coming back."""
        self.token = token

    def paced_by(self, rate_hz: float, burst: int) -> None:
        """What the server takes of one session."""
        self._rate_hz, self._burst = rate_hz, burst

    def is_back(self) -> None:
        """Let in again after a reconnect: what has no outcome goes again, from now on."""
        self._tally.reconnects += 1
        self._resend()
        self._live()

    def shown(self, stand: Stand) -> None:
        """A whole state."""
        if self.on_fresh is not None:
            self.on_fresh(stand)
            return
        if 0 <= stand.room_seq < self.acked_to:
            self._tally.lost += 1
            self._tally.wrong(f"{self}: shown roomSeq {stand.room_seq} after an ack at {self.acked_to}")
        is_first = self.stand.state is None
        self._is_lost = False
        self.moved(stand)
        if is_first:
            self.course.begin(self._dialect.plain(stand.state), self.session_id)
            self._live()

    def moved(self, stand: Stand) -> None:
        """Its state is this now."""
        now = _now()
        self.stand = stand
        self._moves.append((stand.room_seq, now))
        if self._watched:
            self._see(stand.room_seq, now)

    def changed(self, frame: bytes, led: Stand) -> None:
        """A delta that begins where it stands led it there."""
        self.moved(self.room.after(self.stand, frame, led))

    def gap(self, what: str) -> bool:
        """What came does not follow from where it stands; whether that is news, and the server has to be told."""
        if self._is_lost:
            return False
        self._is_lost = True
        self.stand = self.stand.apart()
        self._tally.gaps += 1
        self._tally.wrong(f"{self}: {what} came at roomSeq {self.stand.room_seq}")
        return True

    def recovered(self) -> None:
        """What comes next begins where it said it stands."""
        self._is_lost = False

    def acked(self, seq: int, room_seq: int, *, is_duplicate: bool) -> None:
        now = _now()
        intent = self.open.pop(seq, None)
        if intent is None:
            self._acked_again(seq, room_seq, is_duplicate=is_duplicate)
            return
        if seq in self._resent:
            self._resent[seq] = room_seq
        elif is_duplicate:
            self._doubled(f"intent {seq}, sent once, was answered as a duplicate")
        if seq <= self._acked_seq or room_seq <= self.acked_to:
            self._tally.gaps += 1
            self._tally.wrong(
                f"{self}: intent {seq} was acked at roomSeq {room_seq}"
                f" after intent {self._acked_seq} at {self.acked_to}"
            )
        self._acked_seq, self.acked_to = max(seq, self._acked_seq), max(room_seq, self.acked_to)
        self.room.acked(room_seq, self)
        self.course.acked(intent.values)
        self._tally.told_ack(intent.due, now, is_duplicate=is_duplicate)
        if self._tally.acks is not None:
            self._tally.acks.append(Ack(self.room.room_id, room_seq, self.session_id, seq))
        self._have_seen(room_seq, intent.due)
        self._answered(seq, now)

    def rejected(self, seq: int | None, code: str, message: str, expected_seq: int | None = None) -> None:
        now = _now()
        if seq is None:
            self._tally.wrong(f"{self}: an intent was not understood: {message}")
        elif code == "gap":
            self._reject_gap(expected_seq or seq, now)
        elif (intent := self.open.pop(seq, None)) is not None:
            self.course.rejected(intent.values)
            self._tally.told_reject(intent.due, code)
            self._answered(seq, now)
        elif self._resent.get(seq, 1) != 0:
            self._doubled(f"intent {seq} was rejected ({code}) after an outcome")

    def told(self, what: str) -> None:
        """Something that is not as it should be, and not the bot's: counted by what it is."""
        self._tally.errors[what] += 1

    # -- inside -------------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        self.is_live = True
        if self.on_live is not None:
            self.on_live()

    def _ask(self, due: float, now: float, *, was_held: bool = False) -> None:
        """`was_held`: it could not be sent when it was due, and that was not the bots' lateness."""
        seq = self._asked = self._asked + 1
        values = self.course.ask()
        intent = self.open[seq] = Open(due, self._frame_of(seq, values), values)
        if self.is_live and not self.queue:
            self._tally.asked(due, None if was_held else now)
            self._send(seq, intent)
        else:
            self._tally.asked(due, None)
            if not self.queue:
                self._pace(now)
            self.queue.append(seq)

    def _send(self, seq: int, intent: Open) -> None:
        if seq <= self._written:
            self._resent[seq] = 0
            if len(self._resent) > RESENT_MAX:
                del self._resent[next(iter(self._resent))]
        else:
            self._written = seq
        self.write(intent.frame)

    def _resend(self) -> None:
        """All that is open, in order."""
        self._resent_at = _now()
        self._pace(self._resent_at)
        self.queue = deque(self.open)

    def _pace(self, now: float) -> None:
        self._paced_from, self._paced = now, 0

    def _answered(self, seq: int, now: float) -> None:
        self.answered_to = max(seq, self.answered_to)
        if self.behind and not self.open:
            assert self._period_s is not None
            due, self._behind_due = self._behind_due, self._behind_due + self._period_s
            self.behind -= 1
            self._ask(due, now, was_held=True)

    def _acked_again(self, seq: int, room_seq: int, *, is_duplicate: bool) -> None:
        if not is_duplicate or self._resent.get(seq) != room_seq:
            self._doubled(f"intent {seq} was acked at roomSeq {room_seq}, though it has had its outcome")

    def _doubled(self, what: str) -> None:
        self._tally.doubled += 1
        self._tally.wrong(f"{self}: {what}")

    def _reject_gap(self, expected_seq: int, now: float) -> None:
        """What the server lacks must be open here: nothing that had an outcome may be asked for again."""
        self._tally.errors["rejected gap"] += 1
        if expected_seq not in self.open and expected_seq <= self._asked:
            self._doubled(f"the server expects intent {expected_seq}, which has had its outcome")
        elif now - self._resent_at > RESEND_S:
            self._resend()

    def _have_seen(self, room_seq: int, due: float) -> None:
        """Another bot is to be shown what was acked there; it may have been already."""
        witness = self.room.witness(self)
        if witness is None or witness.stand.room_seq < 0:
            return
        if witness.stand.room_seq < room_seq:
            witness._watched.append((room_seq, due))
            return
        seen_at = 0.0
        for moved_to, at in reversed(witness._moves):
            if moved_to < room_seq:
                break
            seen_at = at
        self._tally.saw(due, seen_at)

    def _see(self, room_seq: int, now: float) -> None:
        left = []
        for watched in self._watched:
            if watched[0] <= room_seq:
                self._tally.saw(watched[1], now)
            else:
                left.append(watched)
        self._watched = left
