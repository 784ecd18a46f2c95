"""
Parts of the tests of storage: entries and rooms to write, waits for PostgreSQL, and a link that a test may hurt.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

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


class Proxy:
    """A TCP link to PostgreSQL. Requests pass while `ups` is set, replies while `downs` is; what doesn't pass waits."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.ups, self.downs = asyncio.Event(), asyncio.Event()
        self._is_held = asyncio.Event()
        self._streams: list[asyncio.StreamWriter] = []
        self.thaw()

    def freeze(self) -> None:
        self.ups.clear()
        self.downs.clear()

    def thaw(self) -> None:
        self.ups.set()
        self.downs.set()

    def cut(self) -> None:
        """Reset every connection; what waits is lost."""
        for stream in self._streams:
            stream.transport.abort()
        self._streams.clear()

    async def hold(self) -> None:
        """Wait until something waits."""
        self._is_held.clear()
        await self._is_held.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        self._streams += [writer, server_writer]
        await asyncio.gather(
            self._pump(reader, server_writer, self.ups),
            self._pump(server_reader, writer, self.downs),
            return_exceptions=True,
        )

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: asyncio.Event) -> None:
        try:
            while chunk := await reader.read(65536):
                if not may_pass.is_set():
                    self._is_held.set()
                await may_pass.wait()
                writer.write(chunk)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in front of the database of `url`, and the URL that goes through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    serving: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await proxy.serve(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, url.replace(f":{parts.port}/", f":{port}/")
    finally:
        server.close()
        proxy.cut()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
