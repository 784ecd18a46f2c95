"""
Output: everything a room shows, in one order, and nothing before it is durable.

    applied  N   what memory stands at; whatever is computed from it is held at the gate for N
    durable  D   what PostgreSQL holds; the gate is open up to here
    shown        how far the gate has been opened: the events up to there are out
    sent     S   what the deltas have told the live links;  S <= shown <= D <= N

A delta leads from S to D. A newcomer's snapshot is of one N, so it is a boundary: when the gate
opens for N, the live links get their delta up to N, then the newcomer its snapshot, and both go on from N.

Only what says nothing of the room's state goes past the gate: `say`, `end` and `ask`.

A link that does not read is no live link: it gets its answers, and of all the rest one merged delta when it has read
(`lag`). So a slow client costs a delta's making once in a while, and nobody else anything.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from contracts import limits
from contracts.events import Delta, VolatileDelta
from server.core.areas import Areas
from server.core.colyseus.frames import header
from server.core.colyseus.pack import pack
from server.core.effects import Close, Conflated, Effect, LookUp, Recall, Returned, Send
from server.core.gate import Gate
from server.core.history import Change, Emitted, History, Patch
from server.core.interest import Chart
from server.core.link import Lag, Link, Stage
from server.core.state import State, plain

_STATE_DELTA: Final = header(Delta.TYPE)
_CLOSED: Final = Stage.CLOSED  # looked up once: an enum's members are slow to find


class _Answer(Send):
    """A frame for one link. It is held as the effect that it will be."""

    __slots__ = ("link",)

    def __init__(self, link: Link, frame: bytes) -> None:
        super().__init__((link,), frame)
        self.link = link


class Answered(_Answer):
    """The answer to a numbered message."""

    __slots__ = ("is_first", "request_id", "seq")

    def __init__(self, link: Link, frame: bytes, seq: int, request_id: int | None, is_first: bool) -> None:
        super().__init__(link, frame)
        self.seq = seq
        self.request_id = request_id
        #: Whether the number was judged here; else it had its outcome before, and was asked again.
        self.is_first = is_first


class _Greeting(msgspec.Struct, frozen=True):
    """A returned link's handshake: when it is out, the wait for its `session.resume` begins."""

    link: Link
    frame: bytes
    wait_ms: int


class _Welcome(msgspec.Struct):
    """A joined link has what it needs to go live: its frames go out at a boundary."""

    link: Link
    #: Dropped as soon as a newer one takes its place: the gate may stay shut for long, and a state is large.
    frames: Sequence[bytes]
    then: Returned | Conflated | None


class Farewell(msgspec.Struct, frozen=True):
    """A link's last frames, after a last delta, and its close."""

    link: Link
    frames: Sequence[bytes]
    code: int
    reason: str


class _Volatile(msgspec.Struct, frozen=True):
    frame: bytes


Held = _Answer | _Greeting | _Welcome | Farewell | _Volatile | Emitted | LookUp


class Output:
    def __init__(self, history: History, chart: Chart | None = None) -> None:
        self.history = history
        #: By which clients get the parts of the state around them; None where everyone gets all.
        self.chart = chart
        self._areas = None if chart is None else Areas(chart)
        self.restart()
        self._gate: Gate[Held] = Gate()
        self._at_once: list[Effect] = []
        self._live: dict[str, Link] = {}

    def restart(self, state: State | None = None) -> None:
        """The history was read from the journal, to `state`: all is durable, and nobody is owed a delta of it."""
        self.applied_seq = self.durable_seq = self._shown_seq = self._sent_seq = self.history.last_seq
        if self._areas is not None and state is not None:
            self._areas.restart(plain(state))

    @property
    def has_unsent(self) -> bool:
        """Whether durable changes wait for a delta."""
        return self._sent_seq < self.durable_seq

    @property
    def has_unshown(self) -> bool:
        """Whether something waits to be released that rests on nothing but what is durable."""
        return bool(self._at_once) or self._gate.opens(self.durable_seq)

    @property
    def is_full(self) -> bool:
        """Whether so much is held that nobody may have it grow by asking again."""
        return len(self._gate) >= limits.HELD_MAX

    @property
    def live(self) -> Sequence[Link]:
        return tuple(self._live.values())

    @property
    def parting(self) -> Sequence[Link]:
        """Links that are no session's any more, and wait for their last frames."""
        leaving = [held.link for held in self._gate if isinstance(held, Farewell)]
        return [link for link in leaving if link.stage is not Stage.CLOSED]

    # -- what is held ---------------------------------------------------------------------------------------------

    def apply(self, change: Change) -> None:
        """An action stands in memory: its events wait for it to be durable, its patch for a delta after that."""
        self.history.append(change)
        self.applied_seq = change.room_seq
        for emitted in change.emitted:
            self._hold(emitted)

    def send(self, link: Link, frame: bytes) -> None:
        self._hold(_Answer(link, frame))

    def answer(self, link: Link, frame: bytes, seq: int, request_id: int | None, is_first: bool) -> None:
        self._gate.hold(self.applied_seq, Answered(link, frame, seq, request_id, is_first))

    def look_up(self, question: LookUp) -> None:
        """Held like any answer: what is applied by now can be found in the journal only once it is durable."""
        self._hold(question)

    def greet(self, link: Link, frame: bytes, wait_ms: int) -> None:
        """A handshake, whose client then has `wait_ms` to say where it stands."""
        self._hold(_Greeting(link, frame, wait_ms))

    def welcome(self, link: Link, frames: Sequence[bytes], then: Returned | Conflated | None = None) -> None:
        """
        `frames` bring the link to where memory stands, and it is live from there on; `then` is for whoever counts.

        Until they go out it is sent nothing else of the room: they hold that already.
        """
        self.pause(link)
        link.owed = welcome = _Welcome(link, frames, then)
        self._hold(welcome)

    def pause(self, link: Link) -> None:
        """The link waits for nothing any more, and gets nothing of the room but answers until it is welcomed."""
        self._take_out(link)
        link.stage = Stage.JOINED
        if isinstance(link.owed, _Welcome):
            link.owed.frames = ()
        link.asked = link.lag = link.owed = None

    def lag(self, link: Link) -> None:
        """A live link does not read: nothing but answers goes to it until it is welcomed from where it stands now."""
        self._take_out(link)
        self._fall_behind(link, self._sent_seq, self._shown_seq)

    def farewell(self, link: Link, frames: Sequence[bytes], code: int, reason: str) -> None:
        self._hold(Farewell(link, frames, code, reason))

    def volatile(self, patch: Patch) -> None:
        self._hold(_Volatile(_STATE_DELTA + pack(VolatileDelta(patches=[patch]))))

    def _hold(self, held: Held) -> None:
        self._gate.hold(self.applied_seq, held)

    # -- what goes past the gate ----------------------------------------------------------------------------------

    def say(self, links: Sequence[Link], frame: bytes) -> None:
        """At once; for what says nothing of the room's state."""
        self._at_once.append(Send(links, frame))

    def tell(self, link: Link, frame: bytes) -> None:
        """Likewise, to a link whose join byte has come; but its handshake goes first."""
        if link.is_greeted:
            self.say((link,), frame)
        else:
            self.send(link, frame)

    def refuse(self, link: Link, frame: bytes, consumed: int | None, request_id: int | None) -> None:
        """Likewise, in answer to what a client sent, and perhaps to the number that it used up."""
        if consumed is None or link.is_greeted:
            self.tell(link, frame)
        else:
            self.answer(link, frame, consumed, request_id, True)

    def end(self, link: Link, last_words: bytes, code: int, reason: str) -> None:
        """Close a link at once, unless it is closed already. What is held for it never goes out."""
        if link.stage is Stage.CLOSED:
            return
        self.forget(link)
        self.say((link,), last_words)
        self._at_once.append(Close(link, code, reason))

    def ask(self, question: Recall) -> None:
        """At once: what is older than the history is durable."""
        self._at_once.append(question)

    def forget(self, link: Link) -> None:
        """The link is gone; nothing more is sent to it."""
        self._take_out(link)
        link.stage = Stage.CLOSED
        link.resume_by_ms = link.drain_by_ms = None

    def _take_out(self, link: Link) -> None:
        seat = link.seat
        if seat is not None and self._live.get(seat.session_id) is link:
            del self._live[seat.session_id]

    def cut(self, room_seq: int) -> list[Held]:
        """What was applied after `room_seq` never became durable: forget it, and return what was held for it."""
        assert self._sent_seq <= self.durable_seq <= room_seq <= self.applied_seq
        self.history.cut(room_seq)
        self.applied_seq = room_seq
        return self._gate.cut(room_seq)

    def inherit(self, old: "Output") -> None:
        """
        What another output still holds for connections that go on here, all of it durable by now.

        Only what is said once: where the room is they are told anew.
        """
        self._at_once += old.release_at_once()
        for _, held in old._gate.open(old.applied_seq):
            if isinstance(held, _Answer | LookUp | Farewell):
                self._hold(held)

    # -- what is released -----------------------------------------------------------------------------------------

    def commit(self, durable_seq: int) -> None:
        """Everything up to `durable_seq` is in PostgreSQL."""
        assert self.durable_seq <= durable_seq <= self.applied_seq
        self.durable_seq = durable_seq

    def release_at_once(self) -> list[Effect]:
        """What says nothing of the room's state."""
        effects, self._at_once = self._at_once, []
        return effects

    def release(self, server_time: float) -> list[Effect]:
        """What was said at once, then what the gate lets out by now."""
        effects = self.release_at_once()
        self._shown_seq = self.durable_seq
        for room_seq, held in self._gate.open(self._shown_seq):
            if isinstance(held, _Answer):  # nearly all are
                if held.link.stage is not _CLOSED:
                    effects.append(held)
            elif isinstance(held, Emitted):
                self._broadcast(effects, self._recipients(held), held.frame)
            elif isinstance(held, _Volatile):
                self._broadcast(effects, self.live, held.frame)
            elif held.link.stage is _CLOSED or (isinstance(held, _Welcome) and held.link.owed is not held):
                continue
            elif isinstance(held, LookUp):
                effects.append(held)
            elif isinstance(held, _Greeting):
                effects.append(Send((held.link,), held.frame))
                held.link.is_greeted = True
                if held.link.is_return:
                    held.link.resume_by_ms = int(server_time) + held.wait_ms
            else:
                effects += self._delta_up_to(room_seq, server_time)
                effects += [Send((held.link,), frame) for frame in held.frames]
                if isinstance(held, Farewell):
                    self.forget(held.link)
                    effects.append(Close(held.link, held.code, held.reason))
                else:
                    self._go_live(held.link, room_seq)
                    if held.then is not None:
                        effects.append(held.then)
        return effects

    def flush(self, server_time: float) -> list[Effect]:
        """The delta of a tick: all that is durable and not yet sent. The gate must have been opened that far."""
        return self._delta_up_to(self.durable_seq, server_time)

    def trim(self) -> None:
        """Let the history keep to its bounds."""
        self.history.trim(self._sent_seq)

    def _delta_up_to(self, room_seq: int, server_time: float) -> list[Effect]:
        base_seq = self._sent_seq
        if base_seq >= room_seq:
            return []
        self._sent_seq = room_seq
        effects: list[Effect] = []
        if self._areas is not None:
            changes = self.history.between(base_seq, room_seq)
            effects += self._areas.deltas(self._delta(base_seq, room_seq, [], server_time), changes, self._live)
        elif self._live:
            patches = self.history.patches(base_seq, room_seq)
            effects.append(Send(self.live, self.delta(base_seq, room_seq, patches, server_time)))
        self.history.trim(room_seq)
        return effects

    def delta(self, base_seq: int, room_seq: int, patches: list[Patch], server_time: float) -> bytes:
        """The frame that leads from one roomSeq to another, by `patches`."""
        return _STATE_DELTA + pack(self._delta(base_seq, room_seq, patches, server_time))

    def _delta(self, base_seq: int, room_seq: int, patches: list[Patch], server_time: float) -> Delta:
        epoch = self.history.epoch_at(room_seq)
        return Delta(
            base_seq=base_seq, room_seq=room_seq, epoch=epoch, tick=0, patches=patches, server_time=server_time
        )

    def _go_live(self, link: Link, room_seq: int) -> None:
        assert link.seat is not None
        link.is_greeted, link.is_resuming, link.owed = True, False, None
        if link.drain_by_ms is not None:
            self._fall_behind(link, room_seq, room_seq)
            return
        link.stage = Stage.LIVE
        self._live[link.seat.session_id] = link

    @staticmethod
    def _fall_behind(link: Link, told_seq: int, heard_seq: int) -> None:
        link.stage = Stage.LAGGING
        link.lag = Lag(told_seq, heard_seq)

    def _recipients(self, emitted: Emitted) -> Sequence[Link]:
        if emitted.to is None:
            return self.live
        return [self._live[session_id] for session_id in emitted.to if session_id in self._live]

    @staticmethod
    def _broadcast(effects: list[Effect], links: Sequence[Link], frame: bytes) -> None:
        if links:
            effects.append(Send(links, frame))
