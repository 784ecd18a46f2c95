"""A room on a table: real seats, output and rules, with links that keep what they are sent."""

from random import Random
from typing import Any

import msgspec

from contracts.message import Tree
from server.core.colyseus.frames import Message, parse
from server.core.effects import Close, Send
from server.core.history import History
from server.core.journal import Entry
from server.core.link import Link
from server.core.membership import Membership, Player
from server.core.permissions import PLAYER
from server.core.room import Room, RoomLimits
from server.core.seats import Seat
from server.core.state import apply, clear, load, plain
from server.rooms import base

LIMITS = RoomLimits(intent_rate=1e9, intent_burst=10**9, hold_ms=60_000, idle_ms=600_000)
TOKEN = bytes(32)


class Recorded(Link):
    """A connection without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[str, Any]] = []
        self.closed: int | None = None

    def send(self, frame: bytes) -> None:
        message = parse(frame)
        if isinstance(message, Message):
            self.got.append((str(message.type), msgspec.msgpack.decode(message.payload)))

    def waiting_bytes(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        self.closed = code


class Table:
    """One room, whose every entry is durable as soon as it is made; `tree` is its journal, folded."""

    def __init__(self, room: Room, seed: int = 1) -> None:
        self.room = room
        self.random = Random(seed)
        self.tree: Tree = plain(room.rules.state)
        self.entries: list[Entry] = []

    @property
    def state(self) -> Any:
        return self.room.rules.state

    def settle(self) -> None:
        """What the runtime does after each step, with a journal that never fails."""
        for entry in self.room.take_entries():
            self.entries.append(entry)
            if entry.patch is not None:
                self.tree = apply(self.tree, msgspec.json.decode(entry.patch))
        self.room.commit(self.room.room_seq)
        for effect in [*self.room.take_effects(0), *self.room.tick(0)]:
            if isinstance(effect, Send):
                for link in effect.links:
                    link.send(effect.frame)
            elif isinstance(effect, Close):
                effect.link.close(effect.code, effect.reason)
        if self.room.bug is not None:
            raise self.room.bug

    def create(self, **options: Any) -> "Table":
        self.room.create(options, 0, self.random)
        self.settle()
        return self

    def join(self, session_id: str, name: str = "Ada", rest: Tree | None = None, role: str = PLAYER) -> "Sitting":
        link = Recorded()
        member = Membership(session_id, Player(f"player of {session_id}", name, role))
        refused = self.room.join(link, member, {}, rest, TOKEN, b"\x0a", 0, self.random)
        assert refused is None
        self.room.joined(link, 0)
        self.settle()
        return Sitting(self, session_id, link)


class Sitting:
    """A session at the table."""

    def __init__(self, table: Table, session_id: str, link: Recorded) -> None:
        self.table = table
        self.session_id = session_id
        self.link = link
        self.seq = 0

    @property
    def own(self) -> Any:
        return self.table.state.players[self.session_id]

    @property
    def seat(self) -> Seat:
        seat = self.table.room.seats.get(self.session_id)
        assert seat is not None
        return seat

    def stand(self, x: int, y: int, facing: str = "down") -> "Sitting":
        """Put the character somewhere without walking."""
        self.own.x, self.own.y, self.own.facing = x, y, facing
        clear(self.table.state)
        self.table.tree = plain(self.table.state)
        return self

    def ask(self, message_type: str, **body: Any) -> Any:
        """Send the next intent; None when it was applied, else the reject."""
        self.seq += 1
        self.link.got.clear()
        self.table.room.receive(self.link, message_type, {"seq": self.seq, **body}, 0, self.table.random)
        self.table.settle()
        answers = [body for kind, body in self.link.got if kind in ("event.ack", "event.reject")]
        assert [self.seq] == [answer["seq"] for answer in answers]
        return None if answers[0].get("status") == "applied" else answers[0]

    def move(self, dx: int, dy: int) -> Any:
        return self.ask("intent.move", dx=dx, dy=dy)

    def act(self, action: str, target: str | None = None) -> Any:
        return self.ask("intent.action", action=action, target=target)

    def drop(self) -> None:
        self.table.room.drop(self.link, 0, self.table.random)
        self.table.settle()

    def reconnect(self) -> None:
        self.link = Recorded()
        self.table.room.reconnect(self.link, self.session_id, b"\x0a", 0, self.table.random)
        self.table.room.joined(self.link, 0)
        self.table.settle()

    def leave(self) -> Any:
        """The character as it goes to rest, or None if the room takes none."""
        self.table.room.leave(self.seat, 4000, "left", 0, self.table.random)
        self.table.settle()
        move = self.table.entries[-1].character
        return None if move is None or move.profile is None else msgspec.json.decode(move.profile)


def set_table(rules: base.Room, state: Tree | None = None, seed: int = 1) -> Table:
    """A table with a room that is still to be created, or one that goes on from `state`."""
    if state is not None:
        rules.state = load(type(rules.state), state)
    return Table(Room("r1", 1, rules, History(0, 1, 2048, 2**21), LIMITS), seed)
