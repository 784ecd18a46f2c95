"""
Link: one connection as its room sees it.

    OPENED --join byte--> JOINED --caught up--> LIVE --> CLOSED
                             ^--session.resume--'

A LIVE link gets every delta; a JOINED one is still owed its snapshot, or what it missed. One that
the room has ended is CLOSED before its socket is.
The edge gives `send` and `close` a socket; the core only decides who is sent what.
"""

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.core.seats import Seat


class Stage(IntEnum):
    OPENED = 1
    JOINED = 2
    LIVE = 3
    CLOSED = 4


class Link(ABC):
    def __init__(self) -> None:
        self.stage = Stage.OPENED
        #: The seat it was given; None until it has one.
        self.seat: Seat | None = None
        #: The roomSeq of the entry that made it its session's connection.
        self.connected_seq = 0
        #: Whether its handshake is out.
        self.is_greeted = False
        #: Whether an answer to its `session.resume` is on the way.
        self.is_resuming = False
        #: Whether it came with a reconnection token, and has not said `session.resume`.
        self.is_return = False
        #: Until when a client that resumes has to say from where; None if it need not.
        self.resume_by_ms: int | None = None

    @abstractmethod
    def send(self, frame: bytes) -> None:
        """Queue one frame; never blocks, never raises."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; never blocks, never raises."""
