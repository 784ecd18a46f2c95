"""
Backoff: how long to wait before the next try of what just failed.

Doubling with jitter, so that many who lost the same database do not return to it in step; capped low, because play is
to go on within seconds of its healing.
"""

import random

FIRST_S = 0.05
CAP_S = 0.5


class Backoff:
    def __init__(self, first_s: float = FIRST_S, cap_s: float = CAP_S) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Seconds until the next try: each time up to twice as many."""
        bound, self._next_s = self._next_s, min(self._cap_s, 2 * self._next_s)
        return bound * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The last try succeeded."""
        self._next_s = self._first_s
