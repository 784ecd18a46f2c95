"""
Room runner: one room's life on the event loop.

It hands the room its inputs (frames in turns, see `inbox`), its entries to the group committer, and performs its
effects. It owns the room's one timer: the next delta, which goes out at the patch rate, or earlier when a durable
change would otherwise grow older than the freshness bound.

    ACTIVE --a step raised--> BROKEN --all it holds is out--> (the node releases it; the next client activates it)
       |--not written in time--> STILL --rebuilt from the journal, in place--> ACTIVE
       `--released: hibernation, drain, taken over--> OVER     takes nothing more, writes nothing more

While the node's lease is not held nothing is shown that rests on the room's state: it waits in the room.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
import structlog

from contracts import limits
from contracts.codes import CloseCode, Kind
from server.core.effects import Close, Conflated, Effect, LookUp, Recall, Send
from server.core.faults import Poisoned, Unavailable
from server.core.intake import APPLIED
from server.core.link import Link
from server.core.recovery import RoomSnapshot, snapshot_of
from server.core.reject import Reject
from server.core.room import FAILED, NOT_DURABLE, Room
from server.ops.metrics import Metrics
from server.presence.directory import FilterValue
from server.runtime.clock import Clock
from server.runtime.committer import Committer
from server.runtime.inbox import Inbox

_log = structlog.get_logger(service="room")

T = TypeVar("T")
P = ParamSpec("P")

_SESSION_KINDS = frozenset({Kind.SESSION_JOIN, Kind.SESSION_DROP, Kind.SESSION_RECONNECT, Kind.SESSION_LEAVE})


class Pace(msgspec.Struct, frozen=True):
    """When deltas go out, and how often the table gets a snapshot."""

    patch_rate_s: float
    freshness_s: float
    snapshot_every: int


class Upkeep(msgspec.Struct, frozen=True):
    """What a room asks of its node."""

    #: Why no intent is taken now, with so many entries not yet submitted; None as a rule.
    refusal: Callable[[int], Reject | None]
    #: These sessions of it, as Redis shows them, have changed.
    seats_changed: Callable[["RoomRunner", Collection[str]], None]
    look_up: Callable[["RoomRunner", LookUp], None]
    recall: Callable[["RoomRunner", Recall], None]
    save: Callable[[RoomSnapshot], None]
    #: It is broken, and all it holds is out.
    broken: Callable[["RoomRunner"], None]
    #: It stands still.
    still: Callable[["RoomRunner"], None]
    #: A bug that no rule's step is to blame for: nobody knows what its memory holds.
    failed: Callable[["RoomRunner"], None]
    #: Whether what rests on a room's state may be shown now.
    may_show: Callable[[], bool]


def _contained(
    method: "Callable[Concatenate[RoomRunner, P], None]",
) -> "Callable[Concatenate[RoomRunner, P], None]":
    """A bug in what the clock, the committer or another room's task asks for ends this room, and not whoever asked."""

    def contained(self: "RoomRunner", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            _log.exception("a room failed", room=self.room.room_id, room_seq=self.room.room_seq)
            if not self.is_over:
                self._upkeep.failed(self)

    return contained


class RoomRunner:
    def __init__(
        self,
        room: Room,
        committer: Committer,
        pace: Pace,
        upkeep: Upkeep,
        metrics: Metrics,
        clock: Clock,
        random: Random,
        created_at: int,
        filters: Mapping[str, FilterValue],
    ) -> None:
        self.room = room
        self.created_at = created_at
        self.filters = filters
        self.random = random
        self.is_over = False
        self.inbox = Inbox(committer, self.take_in)
        self._committer = committer
        self._pace = pace
        self._upkeep = upkeep
        self._metrics = metrics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        #: Loop times: when the last delta was due, and since when the oldest durable change waits for one.
        self._sent_at = 0.0
        self._unsent_since: float | None = None
        #: Intents applied and not yet durable: their roomSeq and when they came.
        self._unacked: deque[tuple[int, float]] = deque()
        #: Sessions whose seats changed, by the roomSeq that must be durable before Redis hears of it.
        self._changed_seats: dict[str, int] = {}
        self._waiting: list[asyncio.Future[None]] = []
        #: When the room was last rebuilt in place, by the monotonic clock.
        self.rebuilt_at = float("-inf")
        self._snapshot: RoomSnapshot | None = None
        self._snapshot_seq = room.output.history.base_seq
        #: When the last session left, in Unix ms; None while there is one.
        self.empty_since_ms: int | None = None if len(room.seats) else clock()

    # -- inputs ---------------------------------------------------------------------------------------------------

    @_contained
    def take_in(self) -> None:
        """The room's turn: all frames that wait for it."""
        if self.inbox and not self.is_over:
            self.inbox.hand_out()
            if not self.is_over:
                self.settle()

    def step(self, call: Callable[[Room], T]) -> T:
        """Give the room one input, after the frames that came before it; what it leaves behind is journaled and
        performed. The room must not be over."""
        self.take_in()
        return self._step(call)

    def receive(self, link: Link, message_type: str | int, body: object, request_id: int | None, now_ms: int) -> None:
        """One decoded message of a session's live connection, from the sender whose frame's turn it is."""
        room = self.room
        room.refusal = self._upkeep.refusal(room.unjournaled)
        outcome = room.receive(link, message_type, body, now_ms, self.random, request_id)
        self._metrics.intent_counted(str(message_type), outcome)
        if outcome is APPLIED:
            self._unacked.append((room.room_seq, self.inbox.came_at))

    def joined(self, link: Link) -> None:
        """The connection's join byte arrived; from now on only its new token counts."""
        self.step(lambda room: room.joined(link, self._clock()))
        if link.seat is not None:
            self._upkeep.seats_changed(self, [link.seat.session_id])

    def drop(self, link: Link) -> None:
        """The connection's socket is gone."""
        if not self.is_over:
            self.step(lambda room: room.drop(link, self._clock(), self.random))

    def choked(self, link: Link) -> None:
        """Too much waits in the connection's socket."""
        if not self.is_over:
            self.step(lambda room: room.choked(link, self._clock()))

    def drained(self, link: Link) -> None:
        """After `choked`: it has been read."""
        if not self.is_over:
            self.step(lambda room: room.drained(link, self._clock()))

    @_contained
    def inform(self, call: Callable[[Room], None]) -> None:
        """As `step`, for who brings what the room has asked for; a room that is over needs it no more."""
        if not self.is_over:
            self.step(call)

    @_contained
    def sweep(self) -> None:
        """Let time end what it ends; as a rule nothing, in a thousand rooms four times a second."""
        if self.takes_input:
            self.room.sweep(self._clock(), self.random)
            if not self.room.is_settled:
                self.settle()

    @property
    def takes_input(self) -> bool:
        return not self.is_over and self.room.takes_input

    @property
    def is_durable(self) -> bool:
        """Whether everything applied is durable."""
        return self.room.output.durable_seq == self.room.room_seq

    async def durable(self) -> None:
        """Wait until everything applied is durable, however much more that is by then.

        Raises Unavailable if some of it was given up."""
        if not self.is_durable:
            waiting = self._loop.create_future()
            self._waiting.append(waiting)
            await waiting

    def _step(self, call: Callable[[Room], T]) -> T:
        assert not self.is_over, "a released room has another owner"
        result = call(self.room)
        self.settle()
        return result

    def settle(self) -> None:
        """What the room has left behind is journaled and performed."""
        room = self.room
        entries = room.take_entries()
        if entries:
            for entry in entries:
                if entry.kind in _SESSION_KINDS and entry.session_id is not None:
                    self._changed_seats[entry.session_id] = entry.room_seq
                    self.empty_since_ms = None if len(room.seats) else self._clock()
            self._committer.submit(self, entries)
            self._take_snapshot_if_due()
        self._show()
        self._rebuild_if_broken()

    # -- outputs --------------------------------------------------------------------------------------------------

    @_contained
    def committed(self, room_seq: int) -> None:
        """The journal is durable up to `room_seq`: the gate opens."""
        room, now = self.room, time.perf_counter()
        room.commit(room_seq)
        self._show()
        while self._unacked and self._unacked[0][0] <= room_seq:
            self._metrics.ack_seconds.observe(now - self._unacked.popleft()[1])
        self._tell_changed_seats(room_seq)
        if self._snapshot is not None and self._snapshot.room_seq <= room_seq:
            self._upkeep.save(self._snapshot)
            self._snapshot = None
        self._plan_delta()
        self._rebuild_if_broken()
        if self._waiting and room_seq == room.room_seq:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _tell_changed_seats(self, room_seq: int) -> None:
        durable = [session_id for session_id, at in self._changed_seats.items() if at <= room_seq]
        for session_id in durable:
            del self._changed_seats[session_id]
        if durable:
            self._upkeep.seats_changed(self, durable)

    def _plan_delta(self) -> None:
        if not self.room.output.has_unsent:
            self._unsent_since = None
            return
        now = self._loop.time()
        if self._unsent_since is None:
            self._unsent_since = now
        at = min(self._sent_at + self._pace.patch_rate_s, self._unsent_since + self._pace.freshness_s)
        if at <= now:
            self._send_delta()
        elif self._timer is None:
            self._timer = self._loop.call_at(at, self._send_delta)

    @_contained
    def _send_delta(self) -> None:
        """The tick: one delta for all, encoded once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        if not self._upkeep.may_show():
            self._timer = self._loop.call_at(now + self._pace.freshness_s, self._send_delta)
            return
        if self._unsent_since is not None and self.room.output.has_unsent:
            self._metrics.staleness_seconds.observe(now - self._unsent_since)
            if now < self._sent_at + self._pace.patch_rate_s:
                self._metrics.freshness.inc()
        due = self._sent_at + self._pace.patch_rate_s
        # Counted from when it was due, if that is not long ago: a busy loop makes ticks late, but not fewer.
        self._sent_at = due if due <= now < due + self._pace.patch_rate_s / 2 else now
        self._unsent_since = None
        self._perform(self.room.tick(self._clock()))

    def _show(self) -> None:
        self._perform(self.room.take_effects(self._clock(), self._upkeep.may_show()))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                frame = effect.frame
                for link in effect.links:
                    link.send(frame)
            elif isinstance(effect, Close):
                effect.link.close(effect.code, effect.reason)
            elif isinstance(effect, LookUp):
                self._upkeep.look_up(self, effect)
            elif isinstance(effect, Recall):
                self._upkeep.recall(self, effect)
            elif isinstance(effect, Conflated):
                self._metrics.conflations.inc()
            else:
                self._metrics.reconnects.inc(effect.by)

    # -- what could not be written --------------------------------------------------------------------------------

    @_contained
    def given_up(self, room_seq: int) -> None:
        """What was applied after `room_seq` was not written in time: the room is set back, and stands still."""
        _log.warning("not durable in time; the room is set back", room=self.room.room_id, room_seq=room_seq)
        self._set_back(room_seq, NOT_DURABLE)

    @_contained
    def poisoned(self, fault: Poisoned) -> None:
        """PostgreSQL refuses the first entry that is not durable, whoever writes it: likewise, as the room's bug."""
        room_seq = self.room.output.durable_seq
        _log.error("an entry cannot be written", room=self.room.room_id, room_seq=room_seq + 1, exc_info=fault)
        self._set_back(room_seq, FAILED)

    def go_on(self, room: Room) -> None:
        """As rebuilt from its journal, in the place of the room that stands still."""
        old, self.room = self.room, room
        self.rebuilt_at = time.monotonic()
        self._snapshot_seq = room.output.history.base_seq
        self._step(lambda room: room.adopt(old, self._clock(), self.random))
        self.empty_since_ms = None if len(room.seats) else self._clock()
        self._upkeep.seats_changed(self, {seat.session_id for seats in (old.seats, room.seats) for seat in seats})
        _log.info("the room goes on", room=room.room_id, room_seq=room.room_seq, epoch=room.epoch)

    def _set_back(self, room_seq: int, reject: Reject) -> None:
        if not self.room.is_still:
            self._metrics.rollbacks.inc()
        if self._snapshot is not None and self._snapshot.room_seq > room_seq:
            self._snapshot = None
        self._unacked = deque(waiting for waiting in self._unacked if waiting[0] <= room_seq)
        self._changed_seats = {session_id: at for session_id, at in self._changed_seats.items() if at <= room_seq}
        self._disappoint("it could not be written in time")
        # What has not been taken in is not to be applied on top of it.
        self._step(lambda room: room.roll_back(room_seq, reject))
        self._upkeep.still(self)

    def _disappoint(self, why: str) -> None:
        """Tell those who wait for all to be durable."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_exception(Unavailable(why))

    # -- snapshots and the end ------------------------------------------------------------------------------------

    def snapshot(self) -> RoomSnapshot:
        """The room as it stands, all of it durable."""
        assert self.room.output.durable_seq == self.room.room_seq
        return snapshot_of(self.room, self._clock())

    def _take_snapshot_if_due(self) -> None:
        """Taken now, written once its roomSeq is durable; one at a time."""
        room = self.room
        # It holds every session, so where there are many it is dear, and comes after as many more actions.
        every = self._pace.snapshot_every * max(1.0, len(room.seats) / limits.SNAPSHOT_SEATS)
        is_due = room.room_seq - self._snapshot_seq >= every
        if is_due and self._snapshot is None and room.takes_input:
            self._snapshot = snapshot_of(room, self._clock())
            self._snapshot_seq = room.room_seq

    def _rebuild_if_broken(self) -> None:
        room = self.room
        if room.is_broken and room.output.durable_seq == room.room_seq and room.bug is not None:
            bug, room.bug = room.bug, None
            _log.error("a step raised; the room is rebuilt", room=room.room_id, room_seq=room.room_seq, exc_info=bug)
            self._upkeep.broken(self)

    def release(self) -> None:
        """The room is this node's no more: it takes no input, and sends no delta."""
        self.is_over = True
        self._disappoint("the room was released")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @_contained
    def close_all(self, code: CloseCode, reason: str) -> None:
        """Close every connection at once; sessions live on in the journal."""
        self.room.close_all(code, reason)
        self._show()

    @_contained
    def announce(self, frame: bytes) -> None:
        """A frame about the server itself, to everyone at once."""
        self.room.announce(frame)
        self._show()
