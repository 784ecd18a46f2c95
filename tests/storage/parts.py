"""
Parts of the tests of storage: entries and rooms to write, and waits for PostgreSQL.
"""

import asyncio
import json
from itertools import repeat
from typing import Any

import asyncpg

from server.core.journal import CharacterMove, Entry
from server.storage.journal import End, Journal
from server.storage.rooms import RoomRow

ME, OTHER = "node-me", "node-other"
LEASE_S = 10.0
TABLES = ("actions", "snapshots", "node_heartbeats", "nodes", "rooms", "characters")


def entry(room_seq: int, room_id: str = "room-a", seq: int | None = None, **changes: Any) -> Entry:
    facts: dict[str, Any] = {"epoch": 1, "kind": "intent.move", "at": 1_700_000_000_000, "session_id": "session-1"}
    return Entry(room_id=room_id, room_seq=room_seq, seq=seq, **{**facts, "player_id": "player-1", **changes})


def take(room_seq: int, room_id: str, session_id: str, player_id: str = "player-1") -> Entry:
    move = CharacterMove("take", player_id)
    return entry(room_seq, room_id, kind="session.join", session_id=session_id, character=move)


def give_back(room_seq: int, room_id: str, session_id: str, profile: bytes, player_id: str = "player-1") -> Entry:
    move = CharacterMove("give_back", player_id, profile)
    return entry(room_seq, room_id, kind="session.leave", session_id=session_id, character=move)


def room(room_id: str = "room-a", name: str = "game", **changes: Any) -> RoomRow:
    facts: dict[str, Any] = {"options": b"{}", "metadata": b"{}", "filters": {}, "max_clients": 8}
    return RoomRow(room_id=room_id, name=name, **{**facts, **changes})


async def end_of(journal: Journal, room_id: str = "room-a") -> End:
    """Where the room's journal ends."""
    return (await journal.ends([room_id]))[room_id]


async def count(connection: asyncpg.Connection, table: str) -> int:
    return len(await connection.fetch(f"TABLE {table}"))


async def backend(connection: asyncpg.Connection, **facts: str) -> int:
    """The process id of a backend of this database of which pg_stat_activity says these facts, once there is one."""
    query = "SELECT pid FROM pg_stat_activity AS found WHERE datname = current_database() AND to_jsonb(found) @> $1"
    for pause_s in repeat(0.005):
        if (pid := await connection.fetchval(query, json.dumps(facts))) is not None:
            return int(pid)
        await asyncio.sleep(pause_s)
    raise AssertionError


async def let_lease_lapse(connection: asyncpg.Connection, node_id: str) -> None:
    """As if the node had not renewed for long, by the database's clock."""
    await connection.execute(
        "UPDATE node_heartbeats SET lease_until = clock_timestamp() - interval '1 ms' WHERE node_id = $1", node_id
    )


async def let_have_renewed_long(connection: asyncpg.Connection, node_id: str) -> None:
    """As if the node had renewed without a break for an hour."""
    await connection.execute(
        "UPDATE node_heartbeats SET unbroken_since = clock_timestamp() - interval '1 hour' WHERE node_id = $1", node_id
    )
