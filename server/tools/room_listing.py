"""
Room listing: which rooms there are and where each runs, for operators: private ones too.
"""

from collections.abc import Sequence

import msgspec

from contracts import limits
from server.core.faults import Fault
from server.presence.directory import Directory
from server.presence.store import Store
from server.storage.rooms import RoomRow, Status
from server.storage.stores import Stores


class ListedRoom(msgspec.Struct, frozen=True, rename="camel"):
    """A room that has not ended. Times are milliseconds since the Unix epoch."""

    room_id: str
    name: str
    status: Status
    #: The node that has it; None unless active.
    node_id: str | None
    epoch: int
    #: Claimed and held seats, as Redis says; None if no Redis can be asked.
    clients: int | None
    max_clients: int
    locked: bool
    private: bool
    metadata: msgspec.Raw
    created_at: int
    updated_at: int


async def list_rooms(stores: Stores, redis_url: str) -> list[ListedRoom]:
    """Rooms that have not ended, those used last first, `LISTING_ROOMS_MAX` at most. Raises Unavailable."""
    rows = await stores.rooms.listing(limit=limits.LISTING_ROOMS_MAX)
    clients = await _clients_of(rows, redis_url)
    return [
        ListedRoom(
            room_id=row.room_id,
            name=row.name,
            status=row.status,
            node_id=row.owner,
            epoch=row.epoch,
            clients=None if clients is None else clients.get(row.room_id, 0),
            max_clients=row.max_clients,
            locked=row.locked,
            private=row.private,
            metadata=msgspec.Raw(row.metadata),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


async def _clients_of(rows: Sequence[RoomRow], redis_url: str) -> dict[str, int] | None:
    if not redis_url:
        return None
    store = Store(redis_url)
    try:
        listings = await Directory(store, sorted({row.name for row in rows})).listings()
    except Fault:
        # Who is here is a hint; which rooms there are is known all the same.
        return None
    finally:
        await store.aclose()
    return {listing.room_id: listing.clients for listing in listings}
