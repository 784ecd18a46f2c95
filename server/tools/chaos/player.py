"""
Player: one session as a good client keeps it, on a network and servers that fail.

    join --> LIVE --lost, 1001, 1005, 1006, 4010--> dialling --JOIN_ROOM--> handshake, resume, resend --> LIVE
               `--any other close--> ENDED

It numbers its intents, keeps each until its outcome, and sends those that have none again after every reconnect. It
applies snapshots and deltas, and writes down all it asks for, is told and sees. It judges nothing but the protocol
itself; the checker does.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlencode

import msgspec
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from server.core.state import apply_in_place
from server.runtime.tasks import Tasks
from server.tools.chaos import history as seen
from server.tools.chaos.history import History, digest
from server.tools.wire import JOIN_BYTE, LEAVE_BYTE, REDIALLED, Failed, Joined, Message, read, room_data

#: Of a dial, until the handshake's ack.
DIAL_S = 4.0
#: Between two dials: doubling from the first to the last, each shortened by up to half by chance.
BACKOFF_S = (0.1, 1.0)
#: After a `gap`, the open intents go once in this time.
RESEND_S = 0.3
_LOST = 1006


class Player:
    def __init__(
        self, url: str, seat: dict[str, Any], history: History, tasks: Tasks, random: Random, *, resumes: bool = True
    ) -> None:
        """`url` is the server's, and may be changed at any time: the next dial goes there."""
        self.url = url
        self.seat = seat
        #: For the next connection; None until the first JOIN_ROOM.
        self.token: str | None = None
        self.room_id: str = seat["roomId"]
        self.session_id: str = seat["sessionId"]
        self.state: dict[str, Any] = {}
        self.room_seq = -1
        #: Asked and without an outcome, by number.
        self.open: dict[int, tuple[str, dict[str, Any]]] = {}
        self.acked: dict[int, int] = {}
        self.rejected: dict[int, str] = {}
        self.degraded: list[seen.Told] = []
        self.is_live = False
        #: The code it ended with, for good, and what an ERROR frame gave as the reason.
        self.ended: int | None = None
        self.refusal: Failed | None = None
        #: Dials that ended with a handshake.
        self.connects = 0
        #: What an `event.version_mismatch` said.
        self.mismatch: dict[str, Any] = {}
        #: What came last of each kind: the newest handshake, resume.
        self.handshake: dict[str, Any] = {}
        self._resumes = resumes
        self._history = history
        self._random = random
        self._epoch = 0
        self._next_seq = 1
        self._last_event = (0, 0)
        self._resent_at = 0.0
        self._line: _Line | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._task = tasks.start(self._live(), f"player {self.session_id}")

    # -- what it does ---------------------------------------------------------------------------------------------

    def ask(self, kind: str, **body: Any) -> int:
        """The next intent; its number. Sent now if connected, and else when it is again."""
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        self.open[seq] = (kind, {"seq": seq, **body})
        self._note(seen.Asked(room=self.room_id, session=self.session_id, seq=seq, kind=kind, body=body))
        if self.is_live:
            self._send(kind, self.open[seq][1])
        return seq

    async def outcome(self, seq: int) -> int | str:
        """The roomSeq of an ack, or the code of a reject; "ended" if the session ended before."""
        await self.until(lambda: seq not in self.open or self.ended is not None)
        return self.acked[seq] if seq in self.acked else self.rejected.get(seq, "ended")

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so, looking at each frame and close; the caller bounds the time."""
        if not is_so():
            self._waiting.append((is_so, happens := asyncio.get_running_loop().create_future()))
            await happens

    def move_to(self, url: str) -> None:
        """Give up the connection, and dial there."""
        self.url = url
        self.cut()

    def cut(self) -> None:
        """The network is gone."""
        if self._line is not None:
            self._line.cut()

    def leave(self) -> None:
        """On purpose."""
        self._write(LEAVE_BYTE)

    def stop_reading(self) -> None:
        """Of this connection; the kernel's buffers fill, and then the server's."""
        assert self._line is not None
        self._line.stop_reading()

    async def end(self) -> None:
        """Give up for good."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def __str__(self) -> str:
        is_there = "is connected" if self.is_live else "is not connected"
        end = "" if self.ended is None else f", ended with {self.ended}"
        waits = f", waits for {[*self.open]}" if self.open else ""
        return f"session {self.session_id} of room {self.room_id} {is_there}{end}, stands at {self.room_seq}{waits}"

    # -- its life -------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        fails = 0
        while self.ended is None:
            connects = self.connects
            code = await self._one_connection()
            is_final = code not in REDIALLED or self.token is None
            self._note(seen.Closed(room=self.room_id, session=self.session_id, code=code, is_final=is_final))
            if is_final:
                self.ended = code
            self._tell()
            fails = 0 if self.connects > connects else fails + 1
            if self.ended is None:
                first_s, last_s = BACKOFF_S
                await asyncio.sleep(min(last_s, first_s * 2**fails) * (1 - self._random.random() / 2))

    async def _one_connection(self) -> int:
        """Dial, and listen until its end; the close code."""
        query = {"sessionId": self.session_id} | ({} if self.token is None else {"reconnectionToken": self.token})
        path = f"{self.seat['processId']}/{self.room_id}?{urlencode(query)}"
        url = f"{self.url.replace('http', 'ws', 1)}/{path}"
        line = self._line = _Line(self._hear, self._tell)
        try:
            async with asyncio.timeout(DIAL_S) as patience:
                wire, _ = await ws_connect(lambda: line, url)
                await self.until(lambda: self.is_live or wire.is_disconnected)
                patience.reschedule(None)
                await wire.wait_disconnected()
        except (OSError, WSError):
            pass
        finally:
            line.cut()
            self.is_live, self._line = False, None
        return line.close_code

    def _hear(self, frame: bytes) -> None:
        heard = read(frame)
        if isinstance(heard, Joined):
            self._note(seen.Opened(room=self.room_id, session=self.session_id))
            self.token = heard.token
            self._write(JOIN_BYTE)
        elif isinstance(heard, Failed):
            self.refusal = heard
        elif isinstance(heard, Message):
            hear = {
                "event.ack": self._hear_ack,
                "event.reject": self._hear_reject,
                "event.state_delta": self._hear_state,
                "event.chat": self._hear_event,
                "event.degraded": self._hear_degraded,
                "event.version_mismatch": self.mismatch.update,
            }.get(heard.type)
            if hear is not None:
                hear(heard.body)
        self._tell()

    # -- what it hears --------------------------------------------------------------------------------------------

    def _hear_ack(self, ack: dict[str, Any]) -> None:
        if ack["kind"] == "handshake":
            is_back = self.connects > 0
            self.connects += 1
            self.handshake = ack
            self.is_live = True
            if is_back and self._resumes:
                self._ask_to_resume()
            self._resend()
        elif ack["kind"] == "resume":
            recovered = bool(ack["recovered"])
            self._note(
                seen.Resumed(room=self.room_id, session=self.session_id, room_seq=ack["roomSeq"], recovered=recovered)
            )
        else:
            seq, room_seq, status = ack["seq"], ack["roomSeq"], ack["status"]
            self.open.pop(seq, None)
            self.acked[seq] = room_seq
            self._note(
                seen.Acked(room=self.room_id, session=self.session_id, seq=seq, room_seq=room_seq, status=status)
            )

    def _hear_reject(self, reject: dict[str, Any]) -> None:
        seq, code = reject["seq"], reject["code"]
        if code == "gap":
            self._hear_gap(reject)
        elif seq is None:
            self._wrong(f"an intent was not understood: {reject['message']}")
        else:
            self.open.pop(seq, None)
            self.rejected[seq] = code
            self._note(seen.Rejected(room=self.room_id, session=self.session_id, seq=seq, code=code))

    def _hear_gap(self, reject: dict[str, Any]) -> None:
        """What the server lacks must be open here: nothing that had an outcome may be asked for again."""
        expected = reject["expectedSeq"]
        if expected not in self.open and expected < self._next_seq:
            self._wrong(f"the server expects intent {expected}, which has had its outcome")
        elif self._history.now() - self._resent_at > RESEND_S:
            self._resend()

    def _hear_state(self, change: dict[str, Any]) -> None:
        if change["kind"] == "volatile":
            return
        base_seq = None
        if change["kind"] == "snapshot":
            self.state = change["state"]
        else:
            base_seq = change["baseSeq"]
            for patch in change["patches"]:
                apply_in_place(self.state, patch)
        if base_seq is not None and base_seq != self.room_seq:
            self._ask_to_resume()
        self.room_seq, self._epoch = change["roomSeq"], change["epoch"]
        self._note(
            seen.Stood(
                room=self.room_id,
                session=self.session_id,
                base_seq=base_seq,
                room_seq=self.room_seq,
                epoch=self._epoch,
                digest=digest(self.state),
            )
        )

    def _hear_event(self, event: dict[str, Any]) -> None:
        place = (event["roomSeq"], event["n"])
        if place <= self._last_event:
            return
        self._last_event = place
        body = digest({"type": "event.chat", "body": event})
        self._note(seen.Heard(room=self.room_id, session=self.session_id, room_seq=place[0], n=place[1], digest=body))

    def _hear_degraded(self, event: dict[str, Any]) -> None:
        told = seen.Told(
            room=self.room_id,
            session=self.session_id,
            dependency=event["dependency"],
            status=event["status"],
            reason=event["reason"],
        )
        self.degraded.append(msgspec.structs.replace(told, at=self._history.now()))
        self._note(told)

    # -- what it says ---------------------------------------------------------------------------------------------

    def _ask_to_resume(self) -> None:
        answered = max((*self.acked, *self.rejected), default=0)
        self._send("session.resume", {"roomSeq": max(self.room_seq, 0), "epoch": self._epoch, "seq": answered})

    def _resend(self) -> None:
        self._resent_at = self._history.now()
        for kind, body in self.open.values():
            self._send(kind, body)

    def _send(self, kind: str, body: dict[str, Any]) -> None:
        self._write(room_data(kind, body))

    def _write(self, frame: bytes) -> None:
        if self._line is not None:
            self._line.send(frame)

    def _wrong(self, what: str) -> None:
        self._note(seen.Wrong(room=self.room_id, session=self.session_id, what=what))

    def _note(self, record: seen.AnyRecord) -> None:
        self._history.add(record)

    def _tell(self) -> None:
        """Whoever waits for what is so now."""
        for waiting in list(self._waiting):
            is_so, happens = waiting
            if happens.done():
                self._waiting.remove(waiting)
            elif is_so():
                happens.set_result(None)
                self._waiting.remove(waiting)


class _Line(WSListener):
    """One connection. Once it is cut it says and hears nothing more, even if its upgrade is answered only then."""

    def __init__(self, hear: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self.close_code = _LOST
        self.is_over = False
        self._hear = hear
        self._on_end = on_end
        self._transport: WSTransport | None = None

    def send(self, frame: bytes) -> None:
        if self._transport is not None and not self.is_over:
            self._transport.send(WSMsgType.BINARY, frame)

    def cut(self) -> None:
        self.is_over = True
        if self._transport is not None:
            self._transport.underlying_transport.abort()

    def stop_reading(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self.is_over:
            self.cut()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_over = True
        self._on_end()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.is_over:
            return
        if frame.msg_type is WSMsgType.CLOSE:
            self.close_code = frame.get_close_code().value
            transport.disconnect()
        elif frame.msg_type is WSMsgType.BINARY:
            self._hear(frame.get_payload_as_bytes())
