"""
Rooms: which rooms there are, who owns each, and in which epoch.

    create --> active --release--> dormant --claim--> active (epoch + 1)
                 |  `---- claim, once the owner is fenced ----> active (epoch + 1)
                 `--release(ended)--> ended

Every change but a claim is the owner's. This is the truth about ownership; what Redis says is a hint.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from contracts import limits
from server.core.faults import Unavailable
from server.storage.database import Database, Record
from server.storage.nodes import Nodes

_CLAIM_ATTEMPTS_MAX = 3

Status = Literal["active", "dormant", "ended"]
FilterValue = str | int | bool


class RoomRow(msgspec.Struct, frozen=True, kw_only=True):
    """A room. `options` and `metadata` are JSON; what has a default is not asked for at its creation."""

    room_id: str
    name: str
    #: The node that has it; None unless active.
    owner: str | None = None
    epoch: int = 1
    status: Status = "active"
    options: bytes
    metadata: bytes
    #: What `find_claimable` compares.
    filters: Mapping[str, FilterValue]
    #: 0: unbounded.
    max_clients: int
    locked: bool = False
    private: bool = False
    #: Milliseconds since the Unix epoch, by the database's clock.
    created_at: int = 0
    #: When it was last created, claimed or released.
    updated_at: int = 0


class OwnedBy(msgspec.Struct, frozen=True):
    """The living node that has the room."""

    node_id: str
    address: str


class Rooms:
    """The table of rooms."""

    def __init__(self, database: Database, nodes: Nodes) -> None:
        self._database = database
        self._nodes = nodes

    async def create(self, node_id: str, room: RoomRow) -> RoomRow:
        """Make the room, owned by this node in epoch 1; returns it as it is now.

        Raises Fenced, Unavailable, OutcomeUnknown, Poisoned (the id is taken)."""
        return _room(
            await self._database.write(
                "room_create",
                node_id,
                room.room_id,
                room.name,
                room.options,
                room.metadata,
                _terms(room.filters),
                room.max_clients,
                room.locked,
                room.private,
            )
        )

    async def claim(self, node_id: str, room_id: str) -> RoomRow | OwnedBy | None:
        """Make this node the room's owner, with the next epoch: if it is dormant or this node's already, if its owner
        is fenced, or if its owner's lease has run out, which is then fenced first (`Nodes.fence_lapsed`). Of many nodes
        at once one succeeds.

        Returns the room, else who has it, else None: no such room, or ended. Raises Fenced, Unavailable (a lock was not
        to be had; try again), OutcomeUnknown (repeat it)."""
        owner: OwnedBy | None = None
        for _ in range(_CLAIM_ATTEMPTS_MAX):
            claimed = await self._database.write("room_claim", node_id, room_id)
            if claimed["room_id"] is not None:
                return _room(claimed)
            rows = await self._database.read("room_owner", room_id)
            if not rows:
                return None
            if rows[0]["node_id"] is None or rows[0]["fenced"]:
                continue  # released or fenced just now
            owner = OwnedBy(rows[0]["node_id"], rows[0]["address"])
            if not rows[0]["lapsed"] or not await self._nodes.fence_lapsed(node_id, owner.node_id):
                return owner
        if owner is None:
            raise Unavailable("the room keeps changing hands")
        return owner

    async def reclaim(self, node_id: str, former_ids: Sequence[str], room_ids: Sequence[str]) -> dict[str, int]:
        """Make this node the owner of those rooms that its former identities own; returns the epochs of those it has.

        One whose row another session locks just now is not among them.

        Raises Fenced, Unavailable, OutcomeUnknown (repeat it)."""
        await self._database.write("rooms_reclaim", node_id, former_ids, room_ids)
        rows = await self._database.read("rooms_owned", node_id, room_ids)
        return {row["room_id"]: row["epoch"] for row in rows}

    async def release(
        self, node_id: str, room_id: str, epoch: int, status: Literal["dormant", "ended"] = "dormant"
    ) -> None:
        """Give up a room that this node claimed in this epoch and in which nothing of it is in flight. Idempotent.

        Changes nothing if the node has claimed it again since, so a late one does no harm. Raises Fenced, Unavailable,
        OutcomeUnknown (it may still be this node's: others are told so, and it can be claimed again)."""
        await self._database.write("room_release", node_id, room_id, status, epoch)

    async def find_claimable(self, name: str, filters: Mapping[str, FilterValue]) -> str | None:
        """The id of the room of that name that was used last, is open to all, has these values among its filters, and
        is dormant or has an owner that is fenced or whose lease has run out; None without one. Raises Unavailable."""
        rows = await self._database.read("room_find_claimable", name, _terms(filters))
        return rows[0]["room_id"] if rows else None

    async def listing(self, name: str | None = None, limit: int = limits.LISTING_ROOMS_MAX) -> list[RoomRow]:
        """Rooms that have not ended, of one name or all, those used last first. Raises Unavailable."""
        return [_room(row) for row in await self._database.read("room_listing", name, limit)]

    async def get(self, room_id: str) -> RoomRow | None:
        """The room, ended or not, or None. Raises Unavailable."""
        rows = await self._database.read("room_get", room_id)
        return _room(rows[0]) if rows else None


def _room(row: Record) -> RoomRow:
    members = b",".join(row["filters"])
    filters = msgspec.json.decode(b"{" + members + b"}", type=dict[str, FilterValue])
    return RoomRow(**{**row, "filters": filters})


def _terms(filters: Mapping[str, FilterValue]) -> list[bytes]:
    """Each filter as a member of a JSON object: equal bytes if and only if equal, as `true` and 1 are not."""
    encode = msgspec.json.encode
    return [encode(key) + b":" + encode(value) for key, value in filters.items()]
