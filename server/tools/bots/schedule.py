"""
Schedule: when each bot's next intent is due, fixed before the run and whatever the server does.

Every bot has one turn in each period, the bots evenly apart in an order of their own. So the n-th turn of all is due at
`start + n * period / bots`: thousands of bots need no timer each, and who is late is late by a number.
"""

from collections.abc import Iterator

import msgspec


class Turn(msgspec.Struct, frozen=True, gc=False):
    """The bot at `place` has an intent due at `due`, in the seconds of the schedule's clock."""

    place: int
    due: float


class Schedule:
    def __init__(self, start: float, end: float, bots: int, rate_hz: float) -> None:
        """Each of `bots` at `rate_hz`, in [start, end); with a rate of 0 nothing is ever due."""
        self._start = start
        self._end = end
        self._bots = bots
        self._step = 1 / (rate_hz * bots) if rate_hz and bots else float("inf")
        self._taken = 0

    @property
    def next_due(self) -> float:
        """When the next turn is; infinity after the last."""
        due = self._due_of(self._taken)
        return due if due < self._end else float("inf")

    def take(self, now: float) -> Iterator[Turn]:
        """What has come due by `now`, in order, each once and never early."""
        while (due := self._due_of(self._taken)) < self._end and due <= now:
            place = self._taken % self._bots
            self._taken += 1
            yield Turn(place, due)

    def _due_of(self, turn: int) -> float:
        # Half a step in: the first is not at the very beginning, the last not at the end.
        return self._start + (turn + 0.5) * self._step
