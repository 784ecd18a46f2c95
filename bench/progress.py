"""
Progress: what is being done, what it found, and how long it still takes.
"""

import sys
import time


class Progress:
    """Lines on stderr, for people. The estimate is what was planned, by the pace at which it went so far."""

    def __init__(self, steps: int, takes_s: float) -> None:
        self._steps = steps
        self._takes_s = takes_s
        self._begun = time.monotonic()
        self._done = 0
        self._done_s = 0.0

    def begin(self, text: str) -> None:
        left_s = remaining_s(self._takes_s, self._done_s, time.monotonic() - self._begun)
        self._write(f"· {self._done + 1:>3}/{self._steps}  {minutes(left_s)} left  {text} ... ")

    def end(self, found: str, takes_s: float) -> None:
        self._done += 1
        self._done_s += takes_s
        self._write(f"{found}\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def remaining_s(takes_s: float, done_s: float, elapsed_s: float) -> float:
    """Of steps planned to take `takes_s`, of which those planned with `done_s` are done, after `elapsed_s`."""
    # The pace of one or two steps says little.
    pace = elapsed_s / done_s if done_s > 0.05 * takes_s else 1.0
    return (takes_s - done_s) * pace


def minutes(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 90 else f"{round(seconds / 60)} min"
