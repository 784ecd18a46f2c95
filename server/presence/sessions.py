"""Sessions (signatures; being written)."""
from collections.abc import Collection

import msgspec

from contracts import limits
from server.presence.store import Store


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    session_id: str
    room_id: str
    room_name: str
    player_id: str
    name: str
    role: str
    node_id: str
    connected: bool
    protocol_version: str | None
    resume: bool
    #: SHA-256 of the reconnection tokens that count, 32 bytes each.
    token_hashes: tuple[bytes, ...]
    #: When this was so; milliseconds since the Unix epoch.
    at: int


class Sessions:
    def __init__(self, store: Store, *, hold_s: float = limits.HOLD_S) -> None: ...

    async def put(self, records: Collection[SessionRecord]) -> None:
        """Write whole records, each living for the hold time and some slack from now: a live session's owner puts it
        again within the hold time (that is the refresh), a dropped one's does not. Idempotent."""

    async def remove(self, records: Collection[SessionRecord]) -> None: ...

    async def get(self, session_id: str) -> SessionRecord | None: ...

    async def of_player(self, player_id: str) -> list[SessionRecord]:
        raise NotImplementedError

    async def of_room(self, room_id: str) -> list[SessionRecord]:
        raise NotImplementedError
