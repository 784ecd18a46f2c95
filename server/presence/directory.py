"""
Directory: which rooms there are, and which node has them. A hint; PostgreSQL is the truth.

A listing counts while its node's lease lasts here. The lease is one key for each room name, so a node with a thousand
rooms refreshes a handful of keys; when it ends, all its listings end at once, and are cleared away by whoever next
looks. A lease also tells its node when Redis has forgotten: each refresh writes a new number, and finds the last one or
not.

    holdfast:{<name>}:rooms               room ids by creation time
    holdfast:{<name>}:open                those not locked, private or full, so that placing need not pass by the others
    holdfast:{<name>}:listing:<room id>   a hash: what placing looks at, and `record`, the whole listing
    holdfast:{<name>}:lease:<node id>     the number of the last refresh, with the lease as its life
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from contracts import limits
from server.presence.store import PREFIX, Store, script

_PUBLISH = script("publish")
_REMOVE = script("remove", flags="allow-oom")
_LISTINGS = script("live", "listings", flags="allow-oom")

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

    def __init__(self, store: Store, names: Sequence[str], *, lease_s: float = limits.LEASE_S) -> None:
        self._store = store
        self._names = names
        self._lease_ms = round(lease_s * 1000)
        self._refreshes = 0

    async def publish(self, listing: Listing) -> None:
        """List a room or replace its listing; with an older epoch than is listed it changes nothing. Idempotent.

        It shows once its node has been refreshed."""
        base = base_of(listing.name)
        fields: dict[str, str | bytes | int] = {
            "epoch": listing.epoch,
            "node_id": listing.node_id,
            "clients": listing.clients,
            "max_clients": listing.max_clients,
            "locked": int(listing.locked),
            "record": msgspec.msgpack.encode(listing),
            **filter_fields(listing.filters),
        }
        is_open = not listing.locked and not listing.private and listing.clients < listing.max_clients
        await self._store.run(
            _PUBLISH,
            [*indexes_of(listing.name), f"{base}listing:{listing.room_id}"],
            [listing.room_id, listing.created_at, int(is_open), *(part for field in fields.items() for part in field)],
        )

    async def refresh(self, node_id: str) -> bool:
        """Prolong the life of all listings of this node by a lease.

        False if Redis may have lost any since the last call, as at the first: then publish them all again."""
        last, self._refreshes = self._refreshes, self._refreshes + 1
        # The number comes back with each answer: an emptied Redis has none, one restored from a dump has an older one.
        found = await self._store.write(
            *(
                ("SET", f"{base_of(name)}lease:{node_id}", self._refreshes, "PX", self._lease_ms, "GET")
                for name in self._names
            )
        )
        return all(number is not None and int(number) == last for number in found)

    async def remove(self, name: str, room_id: str, epoch: int) -> None:
        """End the listing and its seat count, unless a newer epoch has listed the room. Idempotent."""
        base = base_of(name)
        keys = [*indexes_of(name), f"{base}listing:{room_id}", f"{base}seats:{room_id}"]
        await self._store.run(_REMOVE, keys, [room_id, epoch])

    async def get(self, room_id: str) -> Listing | None:
        """The listing of a room of any name known here."""
        found = await self._store.read(
            *(("HMGET", f"{base_of(name)}listing:{room_id}", "record", "clients") for name in self._names)
        )
        for listing in (_listing(*fields) for fields in found if None not in fields):
            [is_live] = await self._store.read(("EXISTS", f"{base_of(listing.name)}lease:{listing.node_id}"))
            if is_live:
                return listing
        return None

    async def listings(self, name: str | None = None) -> list[Listing]:
        """Rooms of a name (default: of all), private and locked ones too; at most `LISTING_ROOMS_MAX`, each name's
        oldest first."""
        found: list[Listing] = []
        for known in self._names if name is None else [name]:
            args: list[str | bytes | int] = [base_of(known), limits.LISTING_ROOMS_MAX - len(found)]
            found += [_listing(*fields) for fields in await self._store.run(_LISTINGS, indexes_of(known), args)]
        return found


def base_of(name: str) -> str:
    """What all keys of rooms of this name begin with; the braces keep them in one slot of a cluster."""
    return f"{PREFIX}{{{name}}}:"


def indexes_of(name: str) -> list[str]:
    """The two sets of a name's room ids: all, and the open ones."""
    return [f"{base_of(name)}rooms", f"{base_of(name)}open"]


def filter_fields(filters: Mapping[str, FilterValue]) -> dict[str, bytes]:
    """Filters as fields of a listing's hash: equal values as equal bytes, 1 and 1.0 being equal, 1 and "1" not."""
    return {
        f"filter:{field}": msgspec.json.encode(int(value) if isinstance(value, float) and value.is_integer() else value)
        for field, value in filters.items()
    }


def _listing(record: bytes, clients: bytes) -> Listing:
    """Redemptions count clients up before the owner publishes them, so the count beside the record is the newer."""
    return msgspec.structs.replace(msgspec.msgpack.decode(record, type=Listing), clients=int(clients))
