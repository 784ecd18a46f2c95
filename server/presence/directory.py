"""
Directory: which rooms there are, and which node has them. A hint; PostgreSQL is the truth.

A listing counts while its node's lease lasts here. The lease is one key for each room name, so a node with a thousand
rooms refreshes a handful of keys; when it ends, all its listings end at once, and are cleared away by whoever next
looks. A lease also tells its node when Redis has forgotten: each refresh writes a new number, and finds the last one or
not.

    holdfast:{<name>}:rooms               room ids by creation time
    holdfast:{<name>}:listing:<room id>   a hash: what placing looks at, and `record`, the whole listing
    holdfast:{<name>}:lease:<node id>     the number of the last refresh, with the lease as its life
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from contracts import limits
from server.presence.store import PREFIX, Command, Store, script

FilterValue = str | int | float | bool | None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A room as its owner lists it."""

    room_id: str
    name: str
    node_id: str
    epoch: int
    #: Where other nodes reach the owner, `host:port`.
    address: str
    #: Where clients are to dial it; None: where they asked.
    public_address: str | None = None
    #: Sessions with a claimed or held seat; seat reservations are counted beside.
    clients: int
    max_clients: int
    locked: bool = False
    #: Found by its id only.
    private: bool = False
    metadata: dict[str, Any] = {}
    #: What `join` may ask for; a room that lacks a filter asked for does not match.
    filters: dict[str, FilterValue] = {}
    #: Milliseconds since the Unix epoch.
    created_at: int


class Directory:
    """The listings of all nodes. `names` are the rooms this server knows; others it neither lists nor finds."""

    def __init__(self, store: Store, names: Sequence[str], *, lease_s: float = limits.LEASE_S) -> None: ...

    async def publish(self, listing: Listing) -> None:
        """List a room or replace its listing; one of an older epoch than is listed changes nothing. Idempotent.

        It shows once this node has been refreshed."""

    async def refresh(self, node_id: str) -> bool:
        """Prolong the life of all listings of this node by a lease.

        False if Redis has lost any since the last call, as at the first: publish them all again."""
        raise NotImplementedError

    async def remove(self, name: str, room_id: str, epoch: int) -> None:
        """End the listing and its seat count, unless a newer epoch has listed the room. Idempotent."""

    async def get(self, room_id: str) -> Listing | None:
        raise NotImplementedError

    async def listings(self, name: str | None = None) -> list[Listing]:
        """Rooms of a name (default: of all), private and locked ones too, oldest first; at most `LISTING_ROOMS_MAX`."""
        raise NotImplementedError
