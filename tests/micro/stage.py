"""
Stage: a `game` room with its players, as a node has it, without a network and without a database.

Everything is the server's own: the room, its rules, its sequences, gate and history. What a runner does with a room is
done here by hand, and PostgreSQL is taken at its word.
"""

from collections.abc import Sequence
from random import Random

from contracts.intents import Move
from contracts.limits import HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX
from server.core.effects import Effect
from server.core.history import History
from server.core.journal import Entry
from server.core.link import Link
from server.core.room import Room, RoomLimits
from server.core.seats import Membership, Player
from server.rooms.game import Game

#: None of its bytes, as msgpack writes it, looks like the mark of a 64-bit integer (see `pack`).
NOW_MS = 1_750_000_000_000
UNPACED = RoomLimits(intent_rate=1e9, intent_burst=10**9, hold_ms=60_000, idle_ms=600_000)
_THERE_AND_BACK = ((1, 0), (-1, 0))


class Deaf(Link):
    """A connection whose socket takes everything."""

    def send(self, frame: bytes) -> None:
        pass

    def waiting_bytes(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nobody is closed on this stage")


class Stage:
    """A room whose `players` are live, with everything durable and shown."""

    def __init__(self, players: int) -> None:
        self.random = Random(7)
        self.journal: list[Entry] = []
        self.links: list[Deaf] = []
        self._asked: list[int] = [0] * players
        self._turn = 0
        history = History(0, 1, HISTORY_ENTRIES_MAX, HISTORY_BYTES_MAX)
        self.room = Room("bench0room", 1, Game(), history, UNPACED)
        self.room.create({"seed": 1}, NOW_MS, self.random)
        for number in range(players):
            self._join(f"session{number:03}")
        self.settle()

    def _join(self, session_id: str) -> None:
        link = Deaf()
        member = Membership(session_id, Player(f"player-{session_id}", f"Player {session_id}", "player"), "1")
        refused = self.room.join(link, member, {}, None, session_id.encode().ljust(32), b"\x0a", NOW_MS, self.random)
        assert refused is None, refused
        self.settle()
        self.room.joined(link, NOW_MS)
        self.links.append(link)

    def bodies(self, count: int) -> list[tuple[Deaf, dict[str, object]]]:
        """The next moves, of one player after the other, each legal: a step aside, and back at its next turn."""
        moves: list[tuple[Deaf, dict[str, object]]] = []
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
