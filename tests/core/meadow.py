"""
A game with an area of interest, in which anything may happen to what is located.

Chunks are small, so that a step often leads to another one. What is done is the amount of an `intent.add`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from contracts.intents import Add, Chat
from server.core.interest import Interest
from server.core.permissions import CHAT
from server.core.reject import Reject, illegal
from server.core.state import Map, State
from server.core.step import Step
from server.rooms.base import Room as Game
from server.rooms.base import handles
from tests.core.parts import REFUSED

CHUNK = 4


class Mark(State):
    ink: str = ""
    size: int = 1


class Walker(State):
    name: str
    pos_x: int = 0
    pos_y: int = 0
    coins: int = 0
    connected: bool = True
    marks: Map[Mark]


class Stone(State):
    pos_x: float
    pos_y: float
    moss: Map[int]


class Ground(State):
    total: int = 0
    walkers: Map[Walker]
    stones: Map[Stone]
    notes: Map[Mark]


class Meadow(Game):
    name = "meadow"
    max_clients = 5
    state: Ground
    interest = Interest("walkers", also=("stones",), x="pos_x", y="pos_y", chunk=CHUNK, reach=1)

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None:
        self.state.total = options.get("total", 0)

    def on_join(self, step: Step, options: Mapping[str, Any]) -> None:
        x, y = options.get("at", (step.random.randint(-6, 6), 0))
        self.state.walkers[step.session_id] = Walker(name=step.player.name, pos_x=x, pos_y=y)
        step.emit("yard.hello", {"to": step.player.name}, (step.session_id,))

    def on_drop(self, step: Step) -> None:
        if (own := self.state.walkers.get(step.session_id)) is not None:
            own.connected = False

    def on_reconnect(self, step: Step) -> None:
        if (own := self.state.walkers.get(step.session_id)) is not None:
            own.connected = True

    def on_leave(self, step: Step) -> None:
        self.state.walkers.pop(step.session_id, None)

    @handles(Chat, CHAT)
    def chat(self, step: Step, intent: Chat) -> None:
        step.chat(intent.text)

    @handles(Add)
    def add(self, step: Step, intent: Add) -> Reject | None:
        if intent.amount == REFUSED:
            return illegal("Unlucky.")
        own = self.state.walkers.get(step.session_id)
        if own is None:
            self.state.walkers[step.session_id] = Walker(name="again", pos_x=3 * intent.amount % 17)
        elif intent.amount in WAYS:
            dx, dy = WAYS[intent.amount]
            own.pos_x, own.pos_y = own.pos_x + dx, own.pos_y + dy
        else:
            DEEDS[intent.amount % len(DEEDS)](self.state, step.session_id, own, step.room_seq)
        return None


#: Steps and leaps.
WAYS = {1: (3, 0), 2: (-3, 0), 3: (0, 3), 4: (0, -3), 5: (1, 1), 6: (-1, -1), 7: (8, 0), 8: (-8, -8), 9: (40, 7)}


def _leap_home(ground: Ground, who: str, own: Walker, n: int) -> None:
    own.pos_x = own.pos_y = 0


def _vanish(ground: Ground, who: str, own: Walker, n: int) -> None:
    del ground.walkers[who]


def _be_another(ground: Ground, who: str, own: Walker, n: int) -> None:
    ground.walkers[who] = Walker(name="another", pos_x=own.pos_x + n % 5)


def _mark(ground: Ground, who: str, own: Walker, n: int) -> None:
    own.marks[f"m{n % 2}"] = Mark(ink=f"ink {n}")


def _wash(ground: Ground, who: str, own: Walker, n: int) -> None:
    own.marks.clear()


def _grow(ground: Ground, who: str, own: Walker, n: int) -> None:
    for mark in own.marks.values():
        mark.size += 1


def _put(ground: Ground, who: str, own: Walker, n: int) -> None:
    ground.stones[f"s{n % 3}"] = Stone(pos_x=own.pos_x + 0.5, pos_y=own.pos_y - 0.25)


def _take(ground: Ground, who: str, own: Walker, n: int) -> None:
    ground.stones.pop(f"s{n % 3}", None)


def _roll(ground: Ground, who: str, own: Walker, n: int) -> None:
    for stone in ground.stones.values():
        stone.pos_x += 1.5


def _moss(ground: Ground, who: str, own: Walker, n: int) -> None:
    for stone in ground.stones.values():
        stone.moss[f"moss{n % 2}"] = n


def _scrub(ground: Ground, who: str, own: Walker, n: int) -> None:
    for stone in ground.stones.values():
        stone.moss.clear()


def _other_stones(ground: Ground, who: str, own: Walker, n: int) -> None:
    ground.stones = Map({f"s{n % 3}": Stone(pos_x=float(n % 9), pos_y=0.0)})


def _chase(ground: Ground, who: str, own: Walker, n: int) -> None:
    """Everyone else is elsewhere, or gone."""
    for session_id in [session_id for session_id in ground.walkers if session_id != who]:
        if n % 2:
            del ground.walkers[session_id]
        else:
            ground.walkers[session_id].pos_y += CHUNK


def _count(ground: Ground, who: str, own: Walker, n: int) -> None:
    ground.total += n


def _note(ground: Ground, who: str, own: Walker, n: int) -> None:
    if "note" in ground.notes:
        del ground.notes["note"]
    else:
        ground.notes["note"] = Mark(ink=f"note {n}")


DEEDS: list[Callable[[Ground, str, Walker, int], None]] = [
    _leap_home,
    _vanish,
    _be_another,
    _mark,
    _wash,
    _grow,
    _put,
    _take,
    _roll,
    _moss,
    _scrub,
    _other_stones,
    _chase,
    _count,
    _note,
]
