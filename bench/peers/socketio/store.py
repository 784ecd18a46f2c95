"""
What the variant `batched` keeps in PostgreSQL: every action, and now and then a snapshot to start from.

The actions of all rooms that come while one INSERT is in flight go with the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg
import orjson
from state import Tree, fresh_state, merge

BATCH_ROWS_MAX = 1_000

_TABLES = """
CREATE TABLE IF NOT EXISTS actions (
    room_id text COLLATE "C", room_seq bigint, session_id text, seq bigint,
    kind text NOT NULL, intent json, patch json NOT NULL, PRIMARY KEY (room_id, room_seq));
CREATE TABLE IF NOT EXISTS snapshots (
    room_id text COLLATE "C" PRIMARY KEY, room_seq bigint NOT NULL, state json NOT NULL)
"""
_INSERT = """
INSERT INTO actions SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::json[], $7::json[])
"""
_SNAPSHOT = """
INSERT INTO snapshots VALUES ($1, $2, $3)
ON CONFLICT (room_id) DO UPDATE SET room_seq = excluded.room_seq, state = excluded.state
"""


class Action(NamedTuple):
    """A row of `actions`, in the order of its columns."""

    room_id: str
    room_seq: int
    session_id: str
    seq: int | None
    kind: str
    intent: str | None
    patch: str


class Store:
    """`append` calls back, in order, once the action is committed."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._waiting: list[tuple[Action, Callable[[], Awaitable[None]]]] = []
        self._has_some = asyncio.Event()

    @classmethod
    async def open(cls, url: str) -> "Store":
        pool = await asyncpg.create_pool(url, min_size=2, max_size=4)
        await pool.execute(_TABLES)
        return cls(pool)

    def append(self, action: Action, committed: Callable[[], Awaitable[None]]) -> None:
        self._waiting.append((action, committed))
        self._has_some.set()

    async def write(self) -> None:
        """For ever. What raises here ends the process: memory shows what is not kept."""
        while True:
            await self._has_some.wait()
            batch, self._waiting = self._waiting[:BATCH_ROWS_MAX], self._waiting[BATCH_ROWS_MAX:]
            if not self._waiting:
                self._has_some.clear()
            await self._pool.execute(_INSERT, *zip(*(action for action, _ in batch), strict=True))
            for _, committed in batch:
                await committed()

    async def save_snapshot(self, room_id: str, room_seq: int, state: str) -> None:
        await self._pool.execute(_SNAPSHOT, room_id, room_seq, state)

    async def restore(self, room_id: str) -> tuple[Tree, int]:
        """A room's state and last roomSeq, from its last snapshot and the actions since; or fresh."""
        found = await self._pool.fetchrow("SELECT room_seq, state FROM snapshots WHERE room_id = $1", room_id)
        room_seq, state = (found["room_seq"], orjson.loads(found["state"])) if found else (0, fresh_state())
        after = "SELECT room_seq, patch FROM actions WHERE room_id = $1 AND room_seq > $2 ORDER BY room_seq"
        for row in await self._pool.fetch(after, room_id, room_seq):
            merge(state, orjson.loads(row["patch"]))
            room_seq = row["room_seq"]
        return state, room_seq
