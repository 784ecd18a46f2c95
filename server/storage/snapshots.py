"""
Snapshots: the full state of a room at a roomSeq, so that an activation reads one row and few entries.

The newest three of a room are kept. Older states are folded from the journal, which keeps everything.
"""

import msgspec

from server.core.recovery import RoomSnapshot
from server.storage.database import Database

_KEPT = 3
_SEQ_MAX = 2**63 - 1


class Snapshots:
    """The table of snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, node_id: str, snapshot: RoomSnapshot) -> None:
        """Store it, in place of one of the same roomSeq. Idempotent.

        Raises Fenced, Unavailable, OutcomeUnknown (which here needs nothing: the journal is the room), Poisoned."""
        await self._database.write("snapshot_write", node_id, *msgspec.structs.astuple(snapshot), _KEPT)

    async def latest(self, room_id: str, at_most: int | None = None) -> RoomSnapshot | None:
        """The room's newest snapshot, or the newest at or before roomSeq `at_most`. Raises Unavailable."""
        rows = await self._database.read("snapshot_latest", room_id, _SEQ_MAX if at_most is None else at_most)
        return RoomSnapshot(*rows[0]) if rows else None
