"""
Fencing: once a fence has returned, nothing of that node's lands, whatever was under way.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from server.core.faults import Fenced
from server.core.recovery import RoomSnapshot
from server.storage.characters import Characters
from server.storage.database import Database
from server.storage.journal import End, Journal
from server.storage.nodes import Nodes
from server.storage.rooms import Rooms
from server.storage.snapshots import Snapshots
from tests.storage.parts import LEASE_S, ME, OTHER, TABLES, backend, count, end_of, entry, room, take

UNDER_WAY = "SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE"
WRITES: dict[str, Callable[[Database], Awaitable[object]]] = {
    "flush": lambda database: Journal(database).flush(ME, [entry(1)]),
    "flush with a move": lambda database: Journal(database).flush(ME, [take(1, "room-a", "session-1")]),
    "snapshot": lambda database: Snapshots(database).write(ME, RoomSnapshot("room-a", 1, 1, b"", b"", 0)),
    "renew": lambda database: Nodes(database).renew(ME, LEASE_S),
    "fence_lapsed": lambda database: Nodes(database).fence_lapsed(ME, OTHER),
    "create": lambda database: Rooms(database, Nodes(database)).create(ME, room("room-new")),
    "claim": lambda database: Rooms(database, Nodes(database)).claim(ME, "room-dormant"),
    "release": lambda database: Rooms(database, Nodes(database)).release(ME, "room-mine", 1),
    "reclaim": lambda database: Rooms(database, Nodes(database)).reclaim(ME, ["node-former"], ["room-former"]),
    "character": lambda database: Characters(database).get_or_create(ME, "player-new", "name", b"{}"),
    "orphan": lambda database: Characters(database).give_back_orphan(ME, "player-1", "room-x", "session-x", b"new"),
}


async def _everything(connection: asyncpg.Connection) -> list[list[asyncpg.Record]]:
    return [sorted(await connection.fetch(f"TABLE {table}")) for table in TABLES]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_no_write_of_a_fenced_node_has_an_effect(
    database: Database,
    nodes: Nodes,
    rooms: Rooms,
    operator: asyncpg.Connection,
    write: Callable[[Database], Awaitable[object]],
) -> None:
    await rooms.create(ME, room("room-mine"))
    await rooms.create(OTHER, room("room-dormant"))
    await rooms.release(OTHER, "room-dormant", 1)
    await nodes.register("node-former", None, "", LEASE_S)
    await rooms.create("node-former", room("room-former"))
    await operator.execute("INSERT INTO characters VALUES ('player-1', 'name', '', 'room-x', 'session-x', 1)")
    await nodes.fence(ME)
    before = await _everything(operator)
    with pytest.raises(Fenced) as caught:
        await write(database)
    assert ME == caught.value.node_id
    assert before == await _everything(operator)


async def test_a_fence_waits_for_the_write_under_way_which_lands(
    nodes: Nodes, journal: Journal, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.fetch(UNDER_WAY, ME)
        await holder.execute("INSERT INTO actions (room_id, room_seq, epoch, kind, at) VALUES ('room-a', 1, 1, '', 0)")
        fence = asyncio.create_task(nodes.fence(ME))
        await backend(operator, application_name=ME, wait_event_type="Lock")
    await fence
    assert End(1, 1) == await end_of(journal)


async def test_a_flush_that_waits_for_the_fence_under_way_writes_nothing(
    journal: Journal, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.execute("UPDATE nodes SET fenced = true WHERE node_id = $1", ME)
        flush = asyncio.create_task(journal.flush(ME, [entry(1)]))
        await backend(operator, application_name=ME, wait_event_type="Lock")
    with pytest.raises(Fenced):
        await flush
    assert 0 == await count(operator, "actions")


async def test_writes_of_one_node_do_not_wait_for_each_other(
    nodes: Nodes, journal: Journal, holder: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.fetch(UNDER_WAY, ME)
        await journal.flush(ME, [entry(1)])
        await nodes.renew(ME, LEASE_S)


async def test_a_fence_ends_the_backends_of_a_node_that_is_frozen_in_the_middle_of_a_write(
    url: str, nodes: Nodes, operator: asyncpg.Connection
) -> None:
    frozen = await asyncpg.connect(url, server_settings={"application_name": OTHER})
    await frozen.execute("BEGIN")
    await frozen.fetch(UNDER_WAY, OTHER)
    await frozen.execute("INSERT INTO actions (room_id, room_seq, epoch, kind, at) VALUES ('room-a', 1, 1, '', 0)")
    await nodes.fence(OTHER)
    frozen.terminate()
    assert 0 == await count(operator, "actions")


async def test_a_fence_is_for_ever_and_may_be_repeated(nodes: Nodes) -> None:
    await nodes.fence(OTHER)
    await nodes.fence(OTHER)
    with pytest.raises(Fenced):
        await nodes.renew(OTHER, LEASE_S)
