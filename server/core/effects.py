"""Effects: what a room wants done, as values. The runtime performs them, in the order they are returned."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from server.core.link import Link


class Send:
    """One frame, encoded once, to each of `links`."""

    __slots__ = ("frame", "links")

    def __init__(self, links: Sequence[Link], frame: bytes) -> None:
        self.links = links
        self.frame = frame


class Close(msgspec.Struct, frozen=True):
    link: Link
    code: int
    reason: str


class LookUp(msgspec.Struct, frozen=True):
    """Ask the journal for the outcome of an old number, and tell `Room.looked_up`."""

    link: Link
    session_id: str
    seq: int
    request_id: int | None


class Recall(msgspec.Struct, frozen=True):
    """Read the room's journal from `from_seq` up to where its history begins by then, and tell `Room.recalled`."""

    from_seq: int


class Conflated(msgspec.Struct, frozen=True):
    """A link that lagged has been brought to where the room is; for whoever counts."""


class Returned(msgspec.Struct, frozen=True):
    """A reconnected session has been brought to where the room is; for whoever counts."""

    by: Literal["delta", "snapshot"]


Effect = Send | Close | LookUp | Recall | Conflated | Returned
