"""
Link: one connection as its room sees it.

    OPENED --join byte--> JOINED --caught up--> LIVE --choked--> LAGGING      any --> CLOSED
                             ^--session.resume--'                    |
                             `---------------- drained --------------'

A LIVE link gets every delta; a JOINED one is still owed its snapshot, or what it missed. A LAGGING one
has too much waiting in its socket already: it gets its answers only, and is caught up when it has read.
One that the room has ended is CLOSED before its socket is.
The edge gives `send` and `close` a socket and measures what waits in it; the core only decides who is sent what.
"""

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec
from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from server.core.seats import Seat


class Stage(IntEnum):
    OPENED = 1
    JOINED = 2
    LIVE = 3
    LAGGING = 4
    CLOSED = 5


class Asked(msgspec.Struct, frozen=True):
    """A `session.resume`: from where, and whether it is the first of a connection that returned."""

    room_seq: int
    epoch: int | None
    is_return: bool


class Lag(msgspec.Struct, frozen=True):
    """Where a lagging link stands, as far as it was sent things."""

    #: The roomSeq its last delta or snapshot led to.
    told_seq: int
    #: The roomSeq whose events it has.
    heard_seq: int


@mypyc_attr(allow_interpreted_subclasses=True)
class Link(ABC):
    __slots__ = (
        "asked",
        "connected_seq",
        "drain_by_ms",
        "drain_to_bytes",
        "is_greeted",
        "is_resuming",
        "is_return",
        "lag",
        "owed",
        "resume_by_ms",
        "seat",
        "stage",
    )

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
        #: The resume that waits to be answered: it lags, or its room reads its journal.
        self.asked: Asked | None = None
        #: What brings it to live once it is out of the gate; the newest counts.
        self.owed: object = None
        #: Where it stands while it is LAGGING.
        self.lag: Lag | None = None
        #: While too much waits in its socket, else None: when it is looked at again ...
        self.drain_by_ms: int | None = None
        #: ... and how much may still wait by then.
        self.drain_to_bytes = 0

    @property
    def is_joined(self) -> bool:
        """Whether its join byte has come, and the room has not ended it."""
        return Stage.OPENED < self.stage < Stage.CLOSED

    @abstractmethod
    def send(self, frame: bytes) -> None:
        """Queue one frame; never blocks, never raises."""

    @abstractmethod
    def waiting_bytes(self) -> int:
        """What waits in its socket to be read."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; never blocks, never raises."""
