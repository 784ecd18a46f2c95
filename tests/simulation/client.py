"""
A client as interface.md section 3 documents it, which believes only what it was sent and holds the server to it.

    dials --JOIN_ROOM--> answers with the join byte --handshake--> resumes, sends again what has no outcome --> plays
      ^--- its link is cut, or closed 4010; with the token of the JOIN_ROOM it read last -----'

- each delta begins where it stands, and leads it to the state that the journal has at that roomSeq;
- it hears every event since its last snapshot, in order, each before the delta that covers it;
- a number has one outcome; an ack stands in the journal for ever, a reject never gets a row;
- the token it read last brings it back for as long as its session lives.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from contracts.codes import CloseCode, RejectCode
from contracts.message import Tree
from server.core.colyseus.frames import Opcode
from server.core.colyseus.primitives import decode_string
from server.core.journal import Entry
from server.core.state import apply_in_place
from tests.simulation.postgres import Postgres

#: What a client does of itself after a link that ended so; anything else is final.
DIALS_AGAIN = frozenset({1006, int(CloseCode.MAY_RECONNECT)})
_JOIN_BYTE = bytes((Opcode.JOIN_ROOM,))
_LEAVE = bytes((Opcode.LEAVE_ROOM,))


def read(frame: bytes) -> tuple[str, Any]:
    """A frame of the server: its type and body."""
    if frame[0] == Opcode.JOIN_ROOM:
        return "JOIN_ROOM", frame[2 : 2 + frame[1]].decode()
    if frame[0] == Opcode.ERROR:
        return "ERROR", frame[1:]
    if frame[0] == Opcode.PING:
        return "PONG", None
    message_type, offset = decode_string(frame, 1)
    return message_type, msgspec.msgpack.decode(frame[offset:])


class Client:
    """One session; `transmit` puts a frame on its open link."""

    def __init__(self, session_id: str, player_id: str, resumes: bool, room_id: str, postgres: Postgres) -> None:
        self.session_id = session_id
        self.player_id = player_id
        self.resumes = resumes
        self.token: str | None = None
        self.transmit: Callable[[bytes], None] = lambda frame: None
        #: Why its session is over, as far as it knows.
        self.ended: int | None = None
        self.is_away = False
        self.dials = 0
        #: Of its link: whether JOIN_ROOM, and then the handshake, has come.
        self.is_confirmed = False
        self.is_greeted = False
        self.awaits_resume = False
        #: Whether it asked for a resume without a gap: what was on the way then leads past where the answer begins.
        self.may_overlap = False
        self.is_lying = False
        self.state: Tree | None = None
        self.room_seq = 0
        self.epoch = 0
        #: By number: what it asked, and its outcome.
        self.asked: dict[int, dict[str, Any]] = {}
        self.outcomes: dict[int, tuple[str, object]] = {}
        #: The newest event heard, and all of them; of those after its last snapshot none may be missing.
        self._newest = (0, -1)
        self._events: list[tuple[int, int]] = []
        self._complete_after = 0
        self._room_id = room_id
        self._postgres = postgres

    @property
    def unanswered(self) -> list[int]:
        return [seq for seq in sorted(self.asked) if seq not in self.outcomes]

    @property
    def journal(self) -> list[Entry]:
        return self._postgres.actions.get(self._room_id, [])

    # -- what it does ---------------------------------------------------------------------------------------------

    def ask(self, body: dict[str, Any]) -> None:
        """Its next intent."""
        seq = max(self.asked, default=0) + 1
        self.asked[seq] = body
        self._send(seq)

    def ask_again(self, count: int) -> None:
        """The last numbers once more, answered or not."""
        for seq in sorted(self.asked)[-count:]:
            self._send(seq)

    def resume(self) -> None:
        self.awaits_resume = True
        seq = max(self.outcomes, default=0)
        self._say("session.resume", {"roomSeq": self.room_seq, "epoch": self.epoch, "seq": seq})

    def leave(self) -> None:
        self.transmit(_LEAVE)

    def log_out(self) -> None:
        self._say("session.logout", {})

    def _send(self, seq: int) -> None:
        body = self.asked[seq]
        self._say("intent.chat" if "text" in body else "intent.add", {"seq": seq, **body})

    def resume_without_a_gap(self) -> None:
        if not self.awaits_resume:
            self.may_overlap = True
            self.resume()

    def resume_falsely(self, room_seq: int, epoch: int) -> None:
        """From where it does not stand, nor anybody: it must get a snapshot."""
        if not (self.awaits_resume or self.may_overlap):
            self.may_overlap = self.is_lying = True
            self.awaits_resume = True
            self._say("session.resume", {"roomSeq": self.room_seq + room_seq, "epoch": self.epoch + epoch})

    def _say(self, message_type: str, body: dict[str, Any]) -> None:
        name = message_type.encode()
        self.transmit(bytes((Opcode.ROOM_DATA, 0xA0 + len(name))) + name + msgspec.msgpack.encode(body))

    # -- what happens to it ---------------------------------------------------------------------------------------

    def connected(self, transmit: Callable[[bytes], None]) -> None:
        self.transmit = transmit
        self.is_confirmed = self.is_greeted = self.awaits_resume = self.may_overlap = self.is_lying = False

    def disconnected(self, code: int) -> None:
        self.transmit = lambda frame: None
        self.is_confirmed = self.is_greeted = False
        if code not in DIALS_AGAIN:
            self.ended = code

    def heard(self, frame: bytes) -> None:
        kind, body = read(frame)
        match kind, body.get("kind") if isinstance(body, dict) else None:
            case "JOIN_ROOM", _:
                self._confirmed(body)
            case "event.ack", "handshake":
                self._greeted(body)
            case "event.ack", "resume":
                assert not (self.is_lying and body["recovered"]), "P6: recovered from where nobody stood"
                self.awaits_resume = self.is_lying = False
            case "event.ack", "intent":
                self._settle(body["seq"], ("applied", body["roomSeq"]))
            case "event.reject", _:
                if body["code"] != RejectCode.GAP and body["seq"] is not None:
                    self._settle(body["seq"], ("rejected", body["code"]))
            case "event.state_delta", "snapshot":
                self._stands_at(body)
            case "event.state_delta", "delta":
                self._advanced(body)
            case (("event.chat" | "yard.hello"), _):
                self._told(body["roomSeq"], body["n"])

    def _confirmed(self, token: str) -> None:
        self.is_return = self.token is not None
        self.token = token
        self.is_confirmed = True
        self.transmit(_JOIN_BYTE)

    def _greeted(self, body: dict[str, Any]) -> None:
        assert not self.is_greeted, "greeted once"
        assert body["sessionId"] == self.session_id
        self.is_greeted = True
        last_seq = body["lastSeq"]
        forgotten = [outcome for seq, outcome in self.outcomes.items() if seq > last_seq]
        assert not [outcome for outcome in forgotten if outcome[0] == "applied"], "P1: acked, and not there"
        if self.is_return and self.resumes:
            self.resume()
        else:
            # It has nothing of before, or does not say so: it numbers on from what the server says.
            for kept in (self.outcomes, self.asked):
                for seq in [seq for seq in kept if seq > last_seq]:
                    del kept[seq]
            for seq in range(1, last_seq + 1):
                self.asked.setdefault(seq, {"amount": 1})
        for seq in self.unanswered:
            self._send(seq)

    def _stands_at(self, body: dict[str, Any]) -> None:
        self.state, self.room_seq, self.epoch = body["state"], body["roomSeq"], body["epoch"]
        self._complete_after = self.room_seq

    def _advanced(self, body: dict[str, Any]) -> None:
        assert self.state is not None, "a snapshot comes first"
        if self.room_seq != body["baseSeq"]:
            assert self.may_overlap, f"a delta from {body['baseSeq']} to who stands at {self.room_seq}"
            self.resume_without_a_gap()
            return
        for patch in body["patches"]:
            apply_in_place(self.state, patch)
        self.room_seq, self.epoch = body["roomSeq"], body["epoch"]
        assert self._postgres.states[self._room_id][self.room_seq] == self.state, "P5: the delta leads elsewhere"
        told = [at for at in self._events if self._complete_after < at[0] <= self.room_seq]
        assert self._entitled_to(self.room_seq) == told, "an event goes before the delta that covers it"

    def _entitled_to(self, room_seq: int) -> list[tuple[int, int]]:
        return [
            (entry.room_seq, n)
            for entry in self.journal[self._complete_after : room_seq]
            for n, event in enumerate(msgspec.json.decode(entry.events or b"[]"))
            if event["to"] is None or self.session_id in event["to"]
        ]

    def _told(self, room_seq: int, n: int) -> None:
        if (room_seq, n) > self._newest:
            self._newest = (room_seq, n)
            self._events.append((room_seq, n))

    def _settle(self, seq: int, outcome: tuple[str, object]) -> None:
        assert seq in self.asked, "an answer to what was not asked"
        known = self.outcomes.setdefault(seq, outcome)
        assert known[0] == outcome[0], f"P3: {seq} is {outcome}, and was {known}"
        assert known == outcome or RejectCode.NOT_DURABLE in (known[1], outcome[1]), f"P3: {seq} {known} {outcome}"

    # -- what holds at any time -----------------------------------------------------------------------------------

    def check_outcomes(self) -> None:
        """Each ack stands in the journal; no reject does."""
        numbers = self._postgres.numbers
        for seq, (kind, value) in self.outcomes.items():
            row = numbers.get((self._room_id, self.session_id, seq))
            expected = value if kind == "applied" else None
            assert expected == row, f"P3: {self.session_id} heard {kind} {value} of {seq}, and its row is {row}"

    def check_whole(self) -> None:
        """At quiescence: nothing is missing."""
        states = self._postgres.states[self._room_id]
        assert self.is_greeted, f"{self.session_id} is not back"
        assert len(self.journal) == self.room_seq, f"{self.session_id} stands at {self.room_seq} of {len(self.journal)}"
        assert states[-1] == self.state
        assert [] == self.unanswered, f"{self.session_id}: {self.unanswered} have no outcome"
