"""
Stage: a room (of `game`, as a rule) with its players as a node has it, without a network and a database; its journal.

Everything is the server's own: the room, its rules, its sequences, gate and history. What a runner does with a room is
done here by hand, and PostgreSQL is taken at its word.
"""

from collections.abc import Mapping, Sequence
from random import Random

import msgspec

from contracts.codes import CloseCode
from contracts.intents import Move
from contracts.limits import HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX
from server.core.colyseus.frames import header
from server.core.effects import Effect
from server.core.history import History
from server.core.identifiers import new_id
from server.core.journal import Entry
from server.core.link import Link
from server.core.membership import Membership, Player
from server.core.room import Room, RoomLimits
from server.rooms.base import Room as Rules
from server.rooms.game import Game

#: None of its bytes, as msgpack writes it, looks like the mark of a 64-bit integer (see `pack`).
NOW_MS = 1_750_000_000_000
UNPACED = RoomLimits(intent_rate=1e9, intent_burst=10**9, hold_ms=60_000, idle_ms=600_000)
_THERE_AND_BACK = ((1, 0), (-1, 0))


def frame(move: Mapping[str, int]) -> bytes:
    """A move as the SDKs send it: msgpackr makes a record of an object, its keys apart from its values."""
    keys = b"".join(msgspec.msgpack.encode(key) for key in move)
    values = b"".join(msgspec.msgpack.encode(value) for value in move.values())
    return header(Move.TYPE) + b"\xd4\x72\x40" + bytes((0x90 | len(move),)) + keys + values


class Deaf(Link):
    """A connection whose socket takes everything."""

    def send(self, frame: bytes) -> None:
        pass

    def waiting_bytes(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        pass


class Stage:
    """A room whose `players` are live, with everything durable and shown."""

    def __init__(self, players: int, game: type[Rules] = Game) -> None:
        self.random = Random(7)
        self.journal: list[Entry] = []
        self.links: list[Deaf] = []
        self._asked: list[int] = [0] * players
        self._turn = 0
        history = History(0, 1, HISTORY_ENTRIES_MAX, HISTORY_BYTES_MAX)
        self.room = Room(new_id(self.random), 1, game(), history, UNPACED)
        self.room.create({"seed": 1}, NOW_MS, self.random)
        for _ in range(players):
            self.join()
        self.settle()

    def join(self) -> "Deaf":
        """A new session, all of it durable, whose join byte has come."""
        session_id, link = new_id(self.random), Deaf()
        member = Membership(session_id, Player(new_id(self.random), f"Guest {len(self.links)}", "player"), "1")
        refused = self.room.join(link, member, {}, None, session_id.encode().ljust(32), b"\x0a", NOW_MS, self.random)
        assert refused is None, refused
        self.settle()
        self.room.joined(link, NOW_MS)
        self.links.append(link)
        return link

    def leave(self, link: Link) -> None:
        """The session ends."""
        assert link.seat is not None
        self.room.leave(link.seat, CloseCode.CONSENTED, "consented", NOW_MS, self.random)

    def bodies(self, count: int) -> list[tuple[Deaf, dict[str, int]]]:
        """The next moves, of one player after the other, each legal: a step aside, and back at its next turn."""
        moves: list[tuple[Deaf, dict[str, int]]] = []
        for _ in range(count):
            place = self._turn % len(self.links)
            self._turn += 1
            seq = self._asked[place] = self._asked[place] + 1
            dx, dy = _THERE_AND_BACK[(seq - 1) % 2]
            moves.append((self.links[place], {"seq": seq, "dx": dx, "dy": dy}))
        return moves

    def receive(self, moves: Sequence[tuple[Deaf, object]]) -> None:
        """Each becomes an action; nothing is durable yet."""
        room, random = self.room, self.random
        for link, body in moves:
            outcome = room.receive(link, Move.TYPE, body, NOW_MS, random)
            assert outcome == "applied", outcome

    def take(self) -> list[Entry]:
        """What is to be journaled."""
        entries = self.room.take_entries()
        self.journal += entries
        return entries

    def commit(self) -> list[Effect]:
        """All of it is durable; what the gate lets out."""
        self.room.commit(self.room.room_seq)
        return self.room.take_effects(NOW_MS)

    def settle(self) -> None:
        """To the end of a tick."""
        self.take()
        self.commit()
        self.room.tick(NOW_MS)
