"""Reservations (signatures; being written)."""
from collections.abc import Mapping
from enum import Enum

import msgspec

from server.presence.directory import FilterValue
from server.presence.store import Store


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Who a seat is promised to. The room and the deadline are where it is kept; it never holds an access token."""

    session_id: str
    player_id: str
    name: str
    role: str
    #: The join options that are the room's, JSON.
    options: bytes = b"{}"
    protocol_version: str | None = None
    resume: bool = False


class Placed(msgspec.Struct, frozen=True):
    room_id: str
    node_id: str
    public_address: str | None


class Refusal(Enum):
    #: No room of that name is open to the player.
    NO_ROOM = "no_room"
    #: The room asked for is not listed.
    NOT_FOUND = "not_found"
    LOCKED = "locked"
    FULL = "full"


class Reservations:
    def __init__(self, store: Store) -> None: ...

    async def place(
        self, name: str, room_id: str | None, filters: Mapping[str, FilterValue], reservation: Reservation, ttl_ms: int
    ) -> Placed | Refusal:
        """Time is Redis' own clock, so the deadline is the same for all nodes."""
        raise NotImplementedError

    async def redeem(self, name: str, room_id: str, session_id: str) -> Reservation | None:
        """None: used, expired or never made."""
        raise NotImplementedError

    async def reserved_count(self, name: str, room_id: str) -> int:
        raise NotImplementedError
