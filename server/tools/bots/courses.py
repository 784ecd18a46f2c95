"""
Courses: what the bots ask for in a room they know, always legal, and what must be in the state for what was acked.

    game      a step to a random side and back: the eight tiles around a spawn tile are always open
    counter   a number to add
    plaza     eight steps one way, then eight another: over a field without walls, from chunk to chunk

A course keeps the sum of what was acked. Nobody else changes what it acts on, so the state must say the same at the
end: an acked intent without effect shows up, and one that took effect twice.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Protocol

from contracts.intents import Add, Move

Values = tuple[int, ...]


class Course(Protocol):
    """One bot's way. Intents are asked in order; each has one outcome."""

    # The message's type, and the keys of what `ask` gives; `seq` stands before them.
    @property
    def message_type(self) -> str: ...

    @property
    def keys(self) -> tuple[str, ...]: ...

    def begin(self, state: Mapping[str, Any], session_id: str) -> None:
        """The first state it sees, before it asks for anything."""

    def ask(self) -> Values:
        """The next intent."""

    def acked(self, values: Values) -> None: ...

    def rejected(self, values: Values) -> None: ...

    def missing(self, state: Mapping[str, Any], session_id: str) -> int:
        """At the end: how much of what was acked the state lacks, or has too much; 0 if it is right."""


class Walk:
    """
    It leaves its place by one tile and returns, and goes by where it will be once all it asked for is applied: after a
    reject it turns back as well, so no run of luck leads it into a wall.
    """

    message_type = Move.TYPE
    keys = ("dx", "dy")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._start = (0, 0)
        #: From the start: where it will be, and where what was acked has led.
        self._ahead = (0, 0)
        self._acked = (0, 0)

    def begin(self, state: Mapping[str, Any], session_id: str) -> None:
        own = state["players"][session_id]
        self._start = (own["x"], own["y"])

    def ask(self) -> Values:
        x, y = self._ahead
        step = _any_way(self._random) if x == y == 0 else (_toward_zero(x), _toward_zero(y))
        self._ahead = (x + step[0], y + step[1])
        return step

    def acked(self, values: Values) -> None:
        x, y = self._acked
        self._acked = (x + values[0], y + values[1])

    def rejected(self, values: Values) -> None:
        x, y = self._ahead
        self._ahead = (x - values[0], y - values[1])

    def missing(self, state: Mapping[str, Any], session_id: str) -> int:
        own = state["players"].get(session_id)
        if own is None:
            return 1
        x, y = self._start
        return _apart((own["x"], own["y"]), (x + self._acked[0], y + self._acked[1]))


class Wander:
    """A step over the field's edge ends on it."""

    message_type = Move.TYPE
    keys = ("dx", "dy")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._size = (0, 0)
        #: Where what was acked has led.
        self._at = (0, 0)
        self._way = (0, 0)
        self._steps = 0

    def begin(self, state: Mapping[str, Any], session_id: str) -> None:
        own = state["players"][session_id]
        self._size = (state["width"], state["height"])
        self._at = (own["x"], own["y"])

    def ask(self) -> Values:
        if self._steps % _ONE_WAY == 0:
            self._way = _any_way(self._random)
        self._steps += 1
        return self._way

    def acked(self, values: Values) -> None:
        x, y = (min(max(at + step, 0), size - 1) for at, step, size in zip(self._at, values, self._size, strict=True))
        self._at = (x, y)

    def rejected(self, values: Values) -> None:
        pass

    def missing(self, state: Mapping[str, Any], session_id: str) -> int:
        own = state["players"].get(session_id)
        return 1 if own is None else _apart((own["x"], own["y"]), self._at)


class Tally:
    message_type = Add.TYPE
    keys = ("amount",)

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sum = 0

    def begin(self, state: Mapping[str, Any], session_id: str) -> None:
        pass

    def ask(self) -> Values:
        return (self._random.randint(1, 9),)

    def acked(self, values: Values) -> None:
        self._sum += values[0]

    def rejected(self, values: Values) -> None:
        pass

    def missing(self, state: Mapping[str, Any], session_id: str) -> int:
        return abs(int(state["added"].get(session_id, 0)) - self._sum)


class Still:
    """Asks for nothing: of a bot that only looks."""

    message_type = "still"
    keys: tuple[str, ...] = ()

    def begin(self, state: Mapping[str, Any], session_id: str) -> None:
        pass

    def ask(self) -> Values:
        raise AssertionError("it has no turns")

    def acked(self, values: Values) -> None:
        pass

    def rejected(self, values: Values) -> None:
        pass

    def missing(self, state: Mapping[str, Any], session_id: str) -> int:
        return 0


#: By the room's name.
COURSES: Mapping[str, Callable[[Random], Course]] = {"game": Walk, "counter": Tally, "plaza": Wander}

_WAYS = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]


_ONE_WAY = 8


def _any_way(random: Random) -> tuple[int, int]:
    return _WAYS[int(random.random() * len(_WAYS))]


def _apart(here: tuple[int, int], there: tuple[int, int]) -> int:
    return max(abs(here[0] - there[0]), abs(here[1] - there[1]))


def _toward_zero(distance: int) -> int:
    return (distance < 0) - (distance > 0)
