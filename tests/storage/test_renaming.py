"""
Renaming: a node that goes on under another id is known to PostgreSQL by that one.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat

import asyncpg
import pytest

from server.core.faults import OutcomeUnknown
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.nodes import Nodes
from tests.storage.parts import LEASE_S, backend, end_of, entry

FIRST, NEXT = "node-first", "node-next"


@pytest.fixture
async def renamed(url: str, nodes: Nodes) -> AsyncIterator[Database]:
    """A database whose connections, of each kind one, were FIRST's; it is NEXT's by now."""
    await nodes.register(FIRST, None, "", LEASE_S)
    await nodes.register(NEXT, None, "", LEASE_S)
    async with Database(url, FIRST) as database:
        await use_all(database, FIRST, 1)
        await database.rename(NEXT)
        yield database


async def use_all(database: Database, node_id: str, room_seq: int) -> None:
    """Each connection once: of the lanes, the probe and the pool."""
    journal = Journal(database)
    await journal.flush(node_id, [entry(room_seq, "room-a")], lane=0)
    await journal.flush(node_id, [entry(room_seq, "room-b")], lane=1)
    assert await database.probe() is None
    await Nodes(database).renew(node_id, LEASE_S)


async def names(operator: asyncpg.Connection) -> list[str]:
    rows = await operator.fetch(
        "SELECT application_name AS name FROM pg_stat_activity WHERE datname = current_database()",
    )
    return sorted(row["name"] for row in rows if row["name"] in (FIRST, NEXT))


async def until_names_are(expected: list[str], operator: asyncpg.Connection) -> None:
    for pause_s in repeat(0.005):
        if expected == await names(operator):
            return
        await asyncio.sleep(pause_s)


async def test_connections_of_the_old_name_end_and_new_ones_carry_the_new_one(
    renamed: Database, operator: asyncpg.Connection
) -> None:
    await until_names_are([FIRST], operator)  # the pool's, until it is asked for a connection
    assert renamed.node_id == NEXT
    await use_all(renamed, NEXT, 2)
    await until_names_are([NEXT] * 4, operator)


async def test_a_node_that_froze_after_it_was_renamed_is_found_by_its_new_name(
    renamed: Database, nodes: Nodes, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    """Its row is held by its own write, which waits; the fence ends that."""
    patient = renamed.link(timeout_s=30.0, lock_wait_s=20.0)
    row = ("room-c", 1, 1, "kind", 0, None, None, None, None, None, None, None)
    async with holder.transaction():
        await holder.execute("INSERT INTO actions (room_id, room_seq, epoch, kind, at) VALUES ('room-c', 1, 1, '', 0)")
        flush = asyncio.create_task(patient.run("flush", NEXT, [row], writes=True))
        await backend(operator, application_name=NEXT, wait_event_type="Lock")
        await nodes.fence(NEXT)
        with pytest.raises(OutcomeUnknown):
            await flush
        await holder.execute("DELETE FROM actions WHERE room_id = 'room-c'")
    assert 0 == (await end_of(Journal(renamed), "room-c")).room_seq
