"""
Ratios: what several runs say together.

Two servers are compared within a pair, that is two runs one right after the other: a machine that is slower for a
minute slows both. The ratio of a pair is ours by theirs; of several pairs the median counts, with the lowest and the
highest.
"""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec


class Middle(msgspec.Struct, frozen=True):
    """A figure of several runs."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Middle | None":
        """None of no value at all."""
        known = sorted(values)
        return cls(median(known), known[0], known[-1], len(known)) if known else None


def ratios(pairs: Sequence[tuple[float, float]]) -> Middle | None:
    """Ours by theirs, pair by pair. A pair in which theirs is 0 says nothing; None if no pair says anything."""
    return Middle.of(ours / theirs for ours, theirs in pairs if theirs)


class Verdict(msgspec.Struct, frozen=True):
    """One line of the budget, and whether it was met."""

    text: str
    #: What was found; None where it was not measured.
    found: Middle | None
    #: What it may be at most.
    budget: float

    @property
    def is_met(self) -> bool | None:
        return None if self.found is None else self.found.median <= self.budget
