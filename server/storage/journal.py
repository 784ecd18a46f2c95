"""
Journal: entries into PostgreSQL, and back.

A flush is one statement for the entries of many rooms, fenced, all or nothing, with the moves of characters that the
entries make. It has two lanes, each a connection of its own and one flush at a time; who calls it gathers the next one
meanwhile.
"""

from collections.abc import Sequence

import msgspec

from contracts import limits
from server.core.faults import Fenced
from server.core.journal import Entry
from server.storage.database import Database
from server.storage.moves import fold_moves

#: Until a flush has answered, by our clock.
FLUSH_S = 2.5
#: How long a flush waits for a row that another holds; none of ours does, so whoever waits is to wait apart.
LOCK_WAIT_S = 0.25
#: Connections for flushes: one for all rooms together, and one for rooms that hold up others.
FLUSHES_AT_ONCE = 2
_SEQ_MAX = 2**63 - 1
#: PostgreSQL's command tag where the node's row let nothing through.
_NOTHING_INSERTED = "INSERT 0 0"


class End(msgspec.Struct, frozen=True):
    """Where a room's journal ends: its last entry's roomSeq and epoch."""

    room_seq: int
    epoch: int


class Journal:
    """The durable log of all rooms."""

    def __init__(self, database: Database, flush_timeout_s: float = FLUSH_S) -> None:
        self._database = database
        self._links = [database.link(flush_timeout_s, LOCK_WAIT_S) for _ in range(FLUSHES_AT_ONCE)]

    async def flush(self, node_id: str, entries: Sequence[Entry], lane: int = 0) -> None:
        """Write the entries, which are one or more, durably, all or none. One call at a time in each of the two lanes.

        Returns once they are committed. Raises, besides Fenced (nothing was written, nor will be): Unavailable (nothing
        was; with TookTooLong fewer at a time may do), OutcomeUnknown (also when cancelled), Poisoned (nothing was,
        and an entry is to blame: it repeats a (room, roomSeq) or (room, session, seq), holds a text that PostgreSQL
        can't, or takes a character that another session has)."""
        moves, link = fold_moves(entries), self._links[lane]
        # Each a value of PostgreSQL's type `entry`, and not an array for each column: asyncpg asks of every element of
        # an array whether it is one itself.
        rows = [entry.row() for entry in entries]
        if moves:
            _, tag = await link.run("flush_with_moves", node_id, rows, moves, writes=True)
        else:
            _, tag = await link.run("flush", node_id, rows, writes=True)
        if tag == _NOTHING_INSERTED:
            raise Fenced(node_id)

    async def read(
        self, room_id: str, after: int = 0, up_to: int | None = None, limit: int = limits.JOURNAL_PAGE_ROWS_MAX
    ) -> list[Entry]:
        """The room's entries past `after`, up to and with `up_to`, the first `limit` of them, without their moves.

        `tokens` is for the room's owner alone. Raises Unavailable."""
        rows = await self._database.read("journal_read", room_id, after, _SEQ_MAX if up_to is None else up_to, limit)
        return [Entry(*row) for row in rows]

    async def ends(self, room_ids: Sequence[str]) -> dict[str, End]:
        """The end of each room's journal, at 0 for one without entries. Raises Unavailable."""
        rows = await self._database.read("journal_ends", room_ids)
        return {row["room_id"]: End(row["room_seq"], row["epoch"]) for row in rows}

    async def room_seq_of(self, room_id: str, session_id: str, seq: int) -> int | None:
        """The roomSeq at which the session's intent `seq` was applied, or None. Raises Unavailable."""
        rows = await self._database.read("journal_room_seq_of", room_id, session_id, seq)
        return rows[0]["room_seq"] if rows else None
