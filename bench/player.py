"""
A player: one session that asks for what its course says, and checks every answer.

Checked here: each intent has one outcome; acks come in the order of the intents, at rising roomSeqs that no
other ack has; each delta begins where the last one ended. What is wrong is put into words, and the run fails.
Rejects may overtake acks: those for rate and load say nothing of the room, and are not held until it is durable.
"""

import asyncio
import time

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from bench.intents import Course
from contracts.events import Degraded, HandshakeAck, IntentAck, RejectEvent, Snapshot
from server.core.colyseus.frames import Opcode, header

#: Problems kept in words; one is enough to fail.
PROBLEMS_MAX = 20

_ACK = header(IntentAck.TYPE)
_REJECT = header(RejectEvent.TYPE)
_STATE = header(Snapshot.TYPE)
_DEGRADED = header(Degraded.TYPE)
_JOIN_BYTE = bytes((Opcode.JOIN_ROOM,))


class Stand(msgspec.Struct, frozen=True, rename="camel"):
    """Of a snapshot or delta the part that says where it leads; the state itself is the page's affair."""

    kind: str
    #: A volatile delta leads nowhere.
    room_seq: int = 0
    base_seq: int = 0


_read_ack = msgspec.msgpack.Decoder(HandshakeAck | IntentAck).decode
_read_reject = msgspec.msgpack.Decoder(RejectEvent).decode
_read_stand = msgspec.msgpack.Decoder(Stand).decode


class Acked(msgspec.Struct, frozen=True, array_like=True):
    """What a player was told: its intent is durable there."""

    room_id: str
    room_seq: int
    session_id: str
    seq: int


class Records:
    """What all players saw. Times are of `time.perf_counter`; in milliseconds only what is kept to be shown."""

    def __init__(self) -> None:
        #: Intents due before this are the warm-up.
        self.measured_from = float("inf")
        self.acked: list[Acked] = []
        self.rejected: dict[str, int] = {}
        self.problems: list[str] = []
        self.problem_count = 0
        self.ack_ms: list[float] = []
        self.late_ms: list[float] = []
        self.stale_ms: list[float] = []
        self.deltas = 0
        #: As each player was told.
        self.degraded: list[Degraded] = []
        #: (room, roomSeq) -> when its ack came.
        self.acked_at: dict[tuple[str, int], float] = {}
        #: By room, the highest roomSeq that was acked.
        self.ends: dict[str, int] = {}

    def wrong(self, problem: str) -> None:
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


class Player(WSListener):
    def __init__(self, room_id: str, session_id: str, course: Course, records: Records) -> None:
        self.room_id = room_id
        self.session_id = session_id
        self.room_seq = 0
        self.joined = asyncio.get_running_loop().create_future()
        self._course = course
        self._records = records
        self._asked = 0
        #: The last ack's number and roomSeq.
        self._last_ack = (0, 0)
        #: By number, when each open intent was due.
        self._due: dict[int, float] = {}

    # -- what it does ---------------------------------------------------------------------------------------------

    def ask(self, due: float) -> None:
        """The next intent, due at `due`; how long its ack takes is counted from there."""
        self._asked += 1
        self._due[self._asked] = due
        if due >= self._records.measured_from:
            self._records.late_ms.append((time.perf_counter() - due) * 1000)
        self._wire.send(WSMsgType.BINARY, next(self._course))

    @property
    def open_intents(self) -> int:
        return len(self._due)

    @property
    def is_done(self) -> bool:
        """Whether all is answered, and the state it was told of covers all that was acked in its room."""
        return not self._due and self.room_seq >= self._records.ends.get(self.room_id, 0)

    def leave(self) -> None:
        self.joined.cancel()
        self._wire.disconnect()

    # -- what it hears --------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._wire = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self._wrong(f"closed {frame.get_close_code()}: {frame.get_close_reason()}")
            transport.disconnect()
            return
        if frame.msg_type is not WSMsgType.BINARY:
            return
        payload = frame.get_payload_as_bytes()
        if payload.startswith(_ACK):
            self._hear_ack(payload)
        elif payload.startswith(_STATE):
            self._hear_state(payload)
        elif payload.startswith(_REJECT):
            self._hear_reject(payload)
        elif payload.startswith(_JOIN_BYTE):
            transport.send(WSMsgType.BINARY, _JOIN_BYTE)
        elif payload.startswith(_DEGRADED):
            self._records.degraded.append(msgspec.msgpack.decode(payload[len(_DEGRADED) :], type=Degraded))
        else:
            self._wrong(f"a frame that nobody here expects: {payload[:24]!r}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.joined.cancelled():
            self._wrong("the connection broke off")

    def _hear_ack(self, payload: bytes) -> None:
        now = time.perf_counter()
        ack = _read_ack(payload[len(_ACK) :])
        if isinstance(ack, HandshakeAck):
            return
        records = self._records
        due = self._settle(ack.seq)
        if due is None:
            return
        if ack.status != "applied":
            self._wrong(f"intent {ack.seq} was answered {ack.status!r}")
        if ack.seq <= self._last_ack[0] or ack.room_seq <= self._last_ack[1]:
            self._wrong(f"intent {ack.seq} was acked at roomSeq {ack.room_seq} after {self._last_ack}")
        self._last_ack = (ack.seq, ack.room_seq)
        place = (self.room_id, ack.room_seq)
        if place in records.acked_at:
            self._wrong(f"intent {ack.seq} was acked at roomSeq {ack.room_seq}, where another was")
        records.acked_at[place] = now
        records.ends[self.room_id] = max(records.ends.get(self.room_id, 0), ack.room_seq)
        records.acked.append(Acked(self.room_id, ack.room_seq, self.session_id, ack.seq))
        if due >= records.measured_from:
            records.ack_ms.append((now - due) * 1000)

    def _hear_reject(self, payload: bytes) -> None:
        reject = _read_reject(payload[len(_REJECT) :])
        self._records.rejected[reject.code] = self._records.rejected.get(reject.code, 0) + 1
        if reject.seq is None:
            self._wrong(f"an intent was not understood: {reject.message}")
        else:
            self._settle(reject.seq)

    def _settle(self, seq: int) -> float | None:
        """When the intent was due; None, and a problem, if it has had its outcome, or was never asked."""
        due = self._due.pop(seq, None)
        if due is None:
            self._wrong(f"an outcome of intent {seq}, which is not open")
        return due

    def _hear_state(self, payload: bytes) -> None:
        now = time.perf_counter()
        stand = _read_stand(payload[len(_STATE) :])
        if stand.kind == "volatile":
            return
        if stand.kind == "delta":
            self._check_delta(stand, now)
        elif self.joined.done():
            self._wrong(f"an unasked {stand.kind} came")
        else:
            self.joined.set_result(None)
        self.room_seq = stand.room_seq

    def _check_delta(self, stand: Stand, now: float) -> None:
        if stand.base_seq != self.room_seq:
            self._wrong(f"a delta from roomSeq {stand.base_seq} came at {self.room_seq}")
        records = self._records
        # Of joins nobody got an ack.
        oldest = records.acked_at.get((self.room_id, stand.base_seq + 1))
        if oldest is not None and oldest >= records.measured_from:
            records.stale_ms.append((now - oldest) * 1000)
            records.deltas += 1

    def _wrong(self, problem: str) -> None:
        self._records.wrong(f"session {self.session_id}: {problem}")
