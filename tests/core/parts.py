"""
A room on a bench: its journal a list, its links tapes, its commits when a test says so.

`Yard` is a small game with a durable and a volatile field, a character to carry, and one way each to be
refused and to fail.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec

from contracts.intents import Add, Chat, Resume
from contracts.limits import HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX
from contracts.message import Tree
from server.core.colyseus.frames import Opcode, header
from server.core.effects import Close, Conflated, Effect, LookUp, Recall, Returned, Send
from server.core.history import History
from server.core.journal import Entry
from server.core.link import Link
from server.core.membership import Membership, Player
from server.core.permissions import CHAT
from server.core.recovery import Recovery, RoomSnapshot, change_of
from server.core.reject import Reject, illegal
from server.core.room import Room, RoomLimits
from server.core.seats import Seat
from server.core.state import Map, State, Volatile, apply_in_place
from server.core.step import Step
from server.core.tokens import Dial
from server.rooms.base import Room as Game
from server.rooms.base import handles

LIMITS = RoomLimits(intent_rate=20.0, intent_burst=40, hold_ms=60_000, idle_ms=600_000)
#: No rate is ever reached.
UNPACED = RoomLimits(intent_rate=1e9, intent_burst=10**9, hold_ms=60_000, idle_ms=600_000)

#: Amounts that the yard has its own ideas about.
REFUSED, FAILING, UNWRITABLE = 13, 66, 77


class Person(State):
    name: str
    coins: int = 0
    connected: bool = True
    typing: Volatile[bool] = False


class Ground(State):
    total: int = 0
    people: Map[Person]


class Yard(Game):
    name = "yard"
    max_clients = 3
    state: Ground

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None:
        self.state.total = options.get("total", 0)

    def on_join(self, step: Step, options: Mapping[str, Any]) -> Reject | None:
        if options.get("password") == "wrong":
            return illegal("The gate stays shut.")
        rest = step.character or {}
        self.state.people[step.session_id] = Person(name=step.player.name, coins=rest.get("coins", 0))
        step.emit("yard.hello", {"to": step.player.name}, (step.session_id,))
        return None

    def on_drop(self, step: Step) -> None:
        person = self.state.people[step.session_id]
        assert person.connected, "dropped once"
        person.connected = False
        person.typing = False

    def on_reconnect(self, step: Step) -> None:
        self.state.people[step.session_id].connected = True

    def on_leave(self, step: Step) -> None:
        person = self.state.people.pop(step.session_id)
        step.character = {"coins": person.coins}

    @handles(Add)
    def add(self, step: Step, intent: Add) -> Reject | None:
        if intent.amount == REFUSED:
            return illegal("Unlucky.")
        person = self.state.people[step.session_id]
        self.state.total += intent.amount
        person.coins += intent.amount
        person.typing = intent.amount % 2 == 0
        if intent.amount == FAILING:
            raise RuntimeError("the rules are wrong")
        if intent.amount == UNWRITABLE:
            step.emit("yard.odd", {"what": object()})
        return None

    @handles(Chat, CHAT)
    def chat(self, step: Step, intent: Chat) -> None:
        step.chat(intent.text)


class CharacterYard(Yard):
    takes_characters = True


class Tape(Link):
    """A connection that keeps what it is sent: (type, body), JOIN_ROOM as ("JOIN_ROOM", its token)."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, Any]] = []
        self.closed: int | None = None
        #: As a test says.
        self.waiting = 300_000

    def send(self, frame: bytes) -> None:
        assert self.closed is None, "a room sends nothing behind a close"
        self.heard.append(_read(frame))

    def waiting_bytes(self) -> int:
        return self.waiting

    def close(self, code: int, reason: str) -> None:
        assert self.closed is None, "a room closes once"
        self.closed = code

    def take(self) -> list[tuple[str, Any]]:
        heard, self.heard = self.heard, []
        return heard

    def kinds(self) -> list[str]:
        """What was heard since it was last asked, a word each."""
        return [body.get("kind", kind) if isinstance(body, dict) else kind for kind, body in self.take()]


def _read(frame: bytes) -> tuple[str, Any]:
    if frame[0] == Opcode.JOIN_ROOM:
        return "JOIN_ROOM", frame[1:]
    if frame[0] == Opcode.ERROR:
        return "ERROR", frame[1:]
    if frame[0] == Opcode.ROOM_RESPONSE:
        # Small request ids alone are used here: one byte each for the id and the status.
        return "response", (frame[1], frame[2], msgspec.msgpack.decode(frame[3:]))
    length = frame[1] - 0xA0
    message_type = frame[2 : 2 + length].decode()
    assert frame.startswith(header(message_type))
    return message_type, msgspec.msgpack.decode(frame[2 + length :])


def token(name: str) -> bytes:
    return name.encode().ljust(32, b".")


class Bench:
    """What the runtime does, step by step and by hand."""

    def __init__(
        self,
        rules: Game | None = None,
        room_limits: RoomLimits = LIMITS,
        history_entries_max: int = HISTORY_ENTRIES_MAX,
        **options: Any,
    ) -> None:
        self.limits = room_limits
        self.now_ms = 1_000_000
        self.random = Random(7)
        self.journal: list[Entry] = []
        self.look_ups: list[LookUp] = []
        self.recalls: list[Recall] = []
        self.returns: list[Returned] = []
        self.conflations = 0
        history = History(0, 1, history_entries_max, HISTORY_BYTES_MAX)
        self.room = Room("r1", 1, rules or Yard(), history, room_limits)
        self.room.create(options, self.now_ms, self.random)
        self.commit()

    # -- the runtime's part -------------------------------------------------------------------------------------

    def settle(self) -> None:
        self.journal += self.room.take_entries()
        self.perform(self.room.take_effects(self.now_ms))

    def commit(self, room_seq: int | None = None) -> None:
        """The journal is durable up to `room_seq`, or all of it."""
        self.settle()
        self.room.commit(self.room.room_seq if room_seq is None else room_seq)
        self.perform(self.room.take_effects(self.now_ms))

    def tick(self) -> None:
        self.perform(self.room.tick(self.now_ms))

    def sweep(self) -> None:
        self.room.sweep(self.now_ms, self.random)
        self.settle()

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                for link in effect.links:
                    link.send(effect.frame)
            elif isinstance(effect, Close):
                effect.link.close(effect.code, effect.reason)
            elif isinstance(effect, LookUp):
                self.look_ups.append(effect)
            elif isinstance(effect, Recall):
                self.recalls.append(effect)
            elif isinstance(effect, Conflated):
                self.conflations += 1
            else:
                self.returns.append(effect)

    def recall(self, question: Recall | None = None) -> None:
        """The journal answers the oldest question, or this one."""
        question = question or self.recalls.pop(0)
        base_seq = self.room.output.history.base_seq
        entries = self.journal[question.from_seq - 1 : base_seq]
        self.room.recalled(question, [change_of(entry) for entry in entries], self.now_ms)
        self.settle()

    def stand_still(self) -> None:
        """What is not durable never will be."""
        durable_seq = self.room.output.durable_seq
        del self.journal[durable_seq:]
        self.room.roll_back(durable_seq)
        self.settle()

    def go_on(self) -> None:
        """The room that stood still is rebuilt from its journal."""
        old, rules = self.room, type(self.room.rules)()
        self.room = Recovery("r1", old.epoch + 1, rules, self.limits, None, self.now_ms).fold(self.journal).room()
        self.room.adopt(old, self.now_ms, self.random)
        self.commit()

    def choke(self, tape: Tape) -> None:
        self.room.choked(tape, self.now_ms)
        self.settle()

    def drain(self, tape: Tape) -> None:
        self.room.drained(tape, self.now_ms)
        self.settle()

    def take_over(self, snapshot: RoomSnapshot | None = None, rules: Game | None = None) -> "Bench":
        """Another node's room, rebuilt from the journal as far as it is durable."""
        after = snapshot.room_seq if snapshot is not None else 0
        entries = [entry for entry in self.journal if after < entry.room_seq <= self.room.output.durable_seq]
        taken = object.__new__(Bench)
        taken.__dict__.update(self.__dict__)
        taken.journal = [entry for entry in self.journal if entry.room_seq <= self.room.output.durable_seq]
        rules = rules or type(self.room.rules)()
        taken.room = Recovery("r1", self.room.epoch + 1, rules, self.limits, snapshot, self.now_ms).fold(entries).room()
        return taken

    # -- the clients' part --------------------------------------------------------------------------------------

    def arrive(self, session_id: str = "ada", resumes: bool = False, role: str = "player", **options: Any) -> Tape:
        """A first connection whose join byte has not come."""
        tape = Tape()
        member = Membership(session_id, Player(f"player-{session_id}", session_id.title(), role), "1", resumes)
        character = {"coins": 5} if self.room.rules.takes_characters else None
        first = token(f"{session_id} 0")
        confirmation = bytes((Opcode.JOIN_ROOM,)) + first
        refused = self.room.join(tape, member, options, character, first, confirmation, self.now_ms, self.random)
        assert refused is None
        self.settle()
        return tape

    def answer(self, tape: Tape) -> None:
        """The join byte."""
        self.room.joined(tape, self.now_ms)
        self.settle()

    def join(self, session_id: str = "ada", **how: Any) -> Tape:
        """A session that is live, with everything durable and told."""
        tape = self.arrive(session_id, **how)
        self.commit()
        self.answer(tape)
        self.commit()
        self.tick()
        return tape

    def dial(self, session_id: str, came_with: bytes, given: bytes) -> Tape | Dial:
        outcome = self.room.dial(session_id, came_with, given)
        if outcome is not Dial.ACCEPTED:
            return outcome
        tape = Tape()
        confirmation = bytes((Opcode.JOIN_ROOM,)) + given
        self.room.reconnect(tape, session_id, confirmation, self.now_ms, self.random)
        self.settle()
        return tape

    def come_back(self, session_id: str, came_with: str, given: str) -> Tape:
        """A return that has been answered with the join byte."""
        tape = self.dial(session_id, token(came_with), token(given))
        assert isinstance(tape, Tape)
        self.commit()
        self.answer(tape)
        return tape

    def drop(self, tape: Tape) -> None:
        self.room.drop(tape, self.now_ms, self.random)
        self.settle()

    def resume(self, tape: Tape, room_seq: int, epoch: int | None = None, seq: int | None = None) -> None:
        self.room.resume(tape, Resume(room_seq=room_seq, epoch=epoch, seq=seq), self.now_ms)
        self.settle()

    def ask(self, tape: Tape, message_type: str, body: object, request_id: int | None = None) -> str:
        outcome = self.room.receive(tape, message_type, body, self.now_ms, self.random, request_id)
        self.settle()
        return outcome

    def add(self, tape: Tape, seq: int, amount: int = 1, request_id: int | None = None) -> str:
        return self.ask(tape, "intent.add", {"seq": seq, "amount": amount}, request_id)

    def say(self, tape: Tape, seq: int, text: str) -> str:
        return self.ask(tape, "intent.chat", {"seq": seq, "text": text})

    def seat(self, session_id: str) -> Seat:
        seat = self.room.seats.get(session_id)
        assert seat is not None
        return seat

    def leave(self, session_id: str) -> None:
        self.room.leave(self.seat(session_id), 4000, "consented", self.now_ms, self.random)
        self.settle()


def folded(entries: list[Entry], up_to: int | None = None) -> Tree:
    """The state that a journal leads to."""
    tree: Tree = {}
    for entry in entries:
        if entry.patch is not None and (up_to is None or entry.room_seq <= up_to):
            apply_in_place(tree, msgspec.json.decode(entry.patch))
    return tree
