"""
Reconnection tokens of one session, rotated at each connect in two steps.

JOIN_ROOM carries the new token and may be lost, and so may the join byte that answers it. So the
token that a connection came with dies only when that byte arrives:

    SETTLED --dial--> OFFERED --join byte--> SETTLED     only the token given counts
                         |
                         `--socket died, or time is up--> SETTLED     both count, until one is used

While a token is offered nobody else may dial with either (4010: try again). Only SHA-256 hashes
are known here.
"""

from enum import Enum


class Dial(Enum):
    ACCEPTED = 1
    #: Another connection has come with a token and not yet answered.
    BUSY = 2
    #: Used, or never issued.
    UNKNOWN = 3


class Tokens:
    __slots__ = ("_came_with", "_counting", "is_offered")

    def __init__(self, *counting: bytes) -> None:
        self._counting = counting
        self._came_with: bytes | None = None
        self.is_offered = False

    @classmethod
    def issued(cls, token_hash: bytes) -> "Tokens":
        """Those of a session that has just joined, its first JOIN_ROOM on the way."""
        tokens = cls(token_hash)
        tokens.is_offered = True
        return tokens

    def dial(self, came_with: bytes, given: bytes) -> Dial:
        """A connection comes with a token and would be given another."""
        if came_with not in self._counting:
            return Dial.UNKNOWN
        if self.is_offered:
            return Dial.BUSY
        # Whoever comes with the older of two has not got the newer one, which is dropped.
        self._counting = (came_with, given)
        self._came_with = came_with
        self.is_offered = True
        return Dial.ACCEPTED

    def confirm(self) -> None:
        """The join byte arrived: only the token given counts."""
        if self._came_with is not None:
            self._counting = tuple(token for token in self._counting if token != self._came_with)
        self._came_with = None
        self.is_offered = False

    def lapse(self) -> None:
        """The connection ended without its join byte: both count."""
        self._came_with = None
        self.is_offered = False

    @property
    def counting(self) -> tuple[bytes, ...]:
        """The hashes that count now."""
        return self._counting
