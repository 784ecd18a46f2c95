"""
Inbox: the frames of a room's connections that wait for the room's turn.

    put --> waiting --the next flush may begin, or another input of the room comes--> hand_out, in order

What is applied earlier would only wait for that flush. And taken together frames cost far less: from one to the next
the code and the room's state stay in the processor's caches, which a read of a socket sweeps.
"""

import time
from collections.abc import Callable
from typing import Protocol

from server.runtime.committer import Committer


class Sender(Protocol):
    def take(self, frame: bytes, now_ms: int) -> None:
        """The turn of this frame of its has come; it came at `now_ms`."""


class Inbox:
    def __init__(self, committer: Committer, turn: Callable[[], None]) -> None:
        """`turn` is called when it is time to hand out."""
        self._committer = committer
        self._turn = turn
        self._waiting: list[tuple[Sender, bytes, int, float]] = []
        #: When the frame came whose turn it is, by `time.perf_counter`.
        self.came_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, sender: Sender, frame: bytes, now_ms: int) -> None:
        if not self._waiting:
            self._committer.before_flush(self._turn)
        self._waiting.append((sender, frame, now_ms, time.perf_counter()))

    def hand_out(self) -> None:
        """Give each frame that waits by now to its sender."""
        waiting, self._waiting = self._waiting, []
        for sender, frame, now_ms, came_at in waiting:
            self.came_at = came_at
            sender.take(frame, now_ms)
