"""
Connection: one socket of one session, between its transport and its room.

    ARRIVING --seated--> SEATED --its socket ends--> CLOSED
        `--refused: ERROR, close--> CLOSED

Arriving takes awaits (a reservation is redeemed, a room activated), so it is the one task that a
connection has; every frame after that waits in its room's inbox until it is taken. Frames that come before the join
byte are parked, and put there, in order, right after it.

What the kernel does not take waits in the transport. The connection only measures it: it tells the room when that is
too much, and when it has been read; who is sent what meanwhile is the room's affair.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog

from contracts import limits
from contracts.codes import CloseCode
from contracts.intents import Logout, Resume
from server.core.answers import terminating
from server.core.colyseus import frames
from server.core.colyseus.frames import BytesMessage, Message, Request, Signal
from server.core.colyseus.primitives import Malformed
from server.core.colyseus.records import Undecodable, unpack
from server.core.link import Link, Stage
from server.core.reading import read
from server.core.reject import Reject
from server.edge.flood import FloodGauge
from server.edge.transport import Wire
from server.runtime.clock import Clock
from server.runtime.runner import RoomRunner

_log = structlog.get_logger(service="connection")


class Dialled(msgspec.Struct, frozen=True):
    """What a socket's URL says it comes for."""

    room_id: str
    session_id: str
    #: None at a first join.
    reconnection_token: str | None
    peer: str


class Desk(Protocol):
    """What connections ask of the edge that owns them."""

    def arrive(self, connection: "Connection") -> None: ...
    def joined(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection", code: int) -> None: ...
    def log_out(self, player_id: str) -> None: ...
    def troubles(self) -> Sequence[bytes]: ...


class Connection(Link):
    """An Endpoint of the transport, and a Link of the core."""

    __slots__ = (
        "_clock",
        "_desk",
        "_flood",
        "_parked",
        "_runner",
        "_waiting_bytes_max",
        "_wire",
        "dialled",
        "heard_at_ms",
        "is_closed",
        "is_pinged",
        "opened_at_ms",
    )

    def __init__(self, dialled: Dialled, desk: Desk, clock: Clock) -> None:
        super().__init__()
        self.dialled = dialled
        self.opened_at_ms = clock()
        #: When anything was last heard, and whether a ping is out since then.
        self.heard_at_ms = self.opened_at_ms
        self.is_pinged = False
        self.is_closed = False
        self._desk = desk
        self._clock = clock
        self._flood = FloodGauge()
        self._runner: RoomRunner | None = None
        self._wire: Wire | None = None
        self._parked: list[bytes] = []
        #: How much may wait in the socket while it is choked; None while it is not.
        self._waiting_bytes_max: int | None = None

    # -- the transport's side -------------------------------------------------------------------------------------

    def opened(self, wire: Wire) -> None:
        self._wire = wire
        self._desk.arrive(self)

    def message(self, frame: bytes) -> None:
        now_ms = self._clock()
        if not self._heard(len(frame), now_ms):
            return
        if self.stage is _OPENED:
            self._before_join(frame)
        elif self._runner is not None:
            self._runner.inbox.put(self, frame, now_ms)

    def text(self) -> None:
        """Text frames are ignored, but count."""
        self._heard(0, self._clock())

    def alive(self) -> None:
        self.heard_at_ms = self._clock()
        self.is_pinged = False
        if self._flood.is_flooded(self.heard_at_ms, 0):
            self._end_flood()

    def choked(self) -> None:
        self._waiting_bytes_max = self.waiting_bytes() + limits.LAG_ANSWERS_BYTES_MAX
        if self._runner is not None:
            self._runner.choked(self)

    def drained(self) -> None:
        self._waiting_bytes_max = None
        if self._runner is not None:
            self._runner.drained(self)

    def closed(self, code: int) -> None:
        self.is_closed = True
        self._parked.clear()
        if self._runner is not None:
            self._runner.drop(self)
        self.stage = Stage.CLOSED
        self._desk.closed(self, code)

    # -- the room's side ------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        wire = self._wire
        if wire is None or self.is_closed:
            return
        wire.send(frame)
        if self._waiting_bytes_max is not None and wire.buffered_bytes() > self._waiting_bytes_max:
            self.close(CloseCode.TOO_SLOW, "too slow")

    def waiting_bytes(self) -> int:
        return 0 if self._wire is None else self._wire.buffered_bytes()

    def close(self, code: int, reason: str) -> None:
        if self._wire is not None and not self.is_closed:
            self._wire.close(code, reason)

    def ping(self) -> None:
        if self._wire is not None:
            self.is_pinged = True
            self._wire.ping()

    def abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def seated(self, runner: RoomRunner) -> None:
        """The room has taken it; if its socket ended meanwhile, the room hears of that now."""
        self._runner = runner
        if self.is_closed:
            runner.drop(self)

    def refuse(self, error_code: int, message: str, close_code: int) -> None:
        """No seat: an ERROR frame, as the SDK wants it before its join promise can fail, and the close."""
        self.send(frames.error(error_code, message))
        self.close(close_code, message)

    # -- frames ---------------------------------------------------------------------------------------------------

    def _heard(self, size_bytes: int, now_ms: int) -> bool:
        self.heard_at_ms = now_ms
        self.is_pinged = False
        if self.seat is not None:
            self.seat.active_at_ms = now_ms
        if self._flood.is_flooded(now_ms, size_bytes):
            self._end_flood()
            return False
        return True

    def _end_flood(self) -> None:
        self.send(terminating("flood"))
        self.close(CloseCode.FLOOD, "too many messages")

    def _before_join(self, frame: bytes) -> None:
        if self._runner is not None and frame[:1] == _JOIN_BYTE:
            self._join()
        elif len(self._parked) < limits.PARKED_FRAMES_MAX:
            self._parked.append(frame)
        else:
            self._end_flood()

    def _join(self) -> None:
        runner = self._runner
        if runner is None or runner.is_over:
            return
        runner.joined(self)
        self._desk.joined(self)
        troubles = self._desk.troubles()
        if troubles:
            runner.inform(lambda room: room.tell(self, troubles))
        parked, self._parked = self._parked, []
        for frame in parked:
            runner.inbox.put(self, frame, self._clock())

    def take(self, frame: bytes, now_ms: int) -> None:
        runner = self._runner
        if runner is None or runner.is_over or self.seat is None:
            return
        intent = runner.room.rules.forms.read(frame)
        if intent is not None:
            runner.receive(self, intent.TYPE, intent, None, now_ms)
            return
        try:
            parsed = frames.parse(frame)
            if isinstance(parsed, Message):
                self._act(runner, parsed.type, parsed.payload, None, now_ms)
            elif isinstance(parsed, Request):
                self._act(runner, parsed.type, parsed.payload, parsed.id, now_ms)
            elif isinstance(parsed, BytesMessage):
                self._unreadable(runner, f"type: {parsed.type!r} is not a message of bytes here")
            elif parsed is Signal.PING:
                runner.settle()  # what is said to earlier frames goes first
                self.send(frames.PONG)
            elif parsed is Signal.LEAVE:
                self._leave(runner)
        except Malformed as problem:
            self._unreadable(runner, str(problem))

    def _act(
        self, runner: RoomRunner, message_type: str | int, payload: bytes, request_id: int | None, now_ms: int
    ) -> None:
        try:
            body = unpack(payload)
        except Undecodable as problem:
            self._unreadable(runner, str(problem), request_id)
            return
        if message_type == Resume.TYPE:
            resume = read(body, Resume)
            if isinstance(resume, Reject):
                self._unreadable(runner, resume.message, request_id)
            else:
                runner.step(lambda room: room.resume(self, resume, now_ms))
        elif message_type == Logout.TYPE:
            assert self.seat is not None
            self._desk.log_out(self.seat.member.player.player_id)
        else:
            runner.receive(self, message_type, body, request_id, now_ms)

    def _unreadable(self, runner: RoomRunner, message: str, request_id: int | None = None) -> None:
        runner.step(lambda room: room.unreadable(self, message, request_id))

    def _leave(self, runner: RoomRunner) -> None:
        seat = self.seat
        if seat is not None and seat.link is self:
            runner.step(lambda room: room.leave(seat, CloseCode.CONSENTED, "consented", self._clock(), runner.random))


_JOIN_BYTE = bytes((frames.Opcode.JOIN_ROOM,))
_OPENED = Stage.OPENED  # looked up once: an enum's members are slow to find
