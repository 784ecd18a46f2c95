"""A process as a node: its lease, and the new id that settles what was in doubt. On a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from server.core.faults import Fault, Fenced
from server.embedded import Urls
from server.runtime.identity import Identity
from server.storage.database import Database
from server.storage.nodes import Nodes
from server.tools.chaos.proxy import proxy_before, through
from tests.runtime.parts import until

FIRST = "node-0"


class Process:
    """An identity, and whoever fenced it."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self.names: list[str] = []
        self.fences: list[Fenced] = []
        self.nodes = Nodes(database)
        self._database = database
        self._made = 0
        self.identity = Identity(FIRST, self.nodes, self._rename, self._new_id, lease_s, lease_s / 50)

    def _new_id(self) -> str:
        self._made += 1
        return f"node-{self._made}"

    async def _rename(self, node_id: str) -> None:
        self.names.append(node_id)
        await self._database.rename(node_id)

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """While its lease is kept."""
        keeping = asyncio.create_task(self.identity.keep(self.fences.append))
        yield
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
async def process(urls: Urls) -> AsyncIterator[Process]:
    async with Database(urls.database_url, FIRST) as database:
        process = Process(database, 10.0)
        await process.identity.begin(None, "here")
        yield process


async def is_fenced(operator: asyncpg.Connection, node_id: str) -> bool | None:
    """None: no such node."""
    found: bool | None = await operator.fetchval("SELECT fenced FROM nodes WHERE node_id = $1", node_id)
    return found


async def test_a_node_that_begins_on_a_dead_ones_folder_fences_it(
    process: Process, operator: asyncpg.Connection
) -> None:
    await process.nodes.register("dead", "folder", "", 10.0)
    assert process.identity.is_lease_held
    await process.identity.begin("folder", "here")
    assert (await is_fenced(operator, "dead"), await is_fenced(operator, FIRST)) == (True, False)


async def test_a_lease_lapses_on_a_frozen_link_and_is_held_again_once_it_thaws(urls: Urls) -> None:
    url = urls.database_url
    async with proxy_before(url) as link, Database(through(url, link), FIRST) as database:
        process = Process(database, 0.5)
        await process.identity.begin(None, "here")
        async with process.keeping():
            assert process.identity.is_lease_held
            link.stall()
            await until(lambda: not process.identity.is_lease_held)
            link.let_go()
            await until(lambda: process.identity.is_lease_held)
        assert (process.identity.node_id, process.fences) == (FIRST, [])


async def test_a_node_that_another_has_fenced_is_told_once(process: Process) -> None:
    async with process.keeping():
        await process.nodes.fence(FIRST)
        await until(lambda: bool(process.fences))
        assert [fault.node_id for fault in process.fences] == [FIRST]
        assert process.identity.is_own(process.fences[0])


async def test_a_new_id_is_in_force_once_the_old_one_is_fenced(process: Process, operator: asyncpg.Connection) -> None:
    identity = process.identity
    async with process.keeping():
        await identity.replace()
        assert (identity.node_id, identity.former_ids, process.names) == ("node-1", [FIRST], ["node-1"])
        assert (await is_fenced(operator, FIRST), await is_fenced(operator, "node-1")) == (True, False)
        assert identity.is_lease_held
        await identity.replace()
        assert (identity.node_id, identity.former_ids) == ("node-2", [FIRST, "node-1"])
    assert process.fences == [], "it was its own doing"
    assert not identity.is_own(Fenced(FIRST))


async def test_a_replacement_that_failed_goes_on_where_it_was_and_until_then_the_old_id_is_renewed(
    process: Process, operator: asyncpg.Connection
) -> None:
    """An id that is not registered yet counts as fenced: renewed too early, it would end the process."""
    identity = process.identity
    async with process.keeping():
        async with operator.transaction():
            await operator.execute("LOCK TABLE nodes IN SHARE MODE")
            with pytest.raises(Fault):
                await identity.replace()
            assert (identity.node_id, identity.is_lease_held, process.names) == (FIRST, True, ["node-1"])
        await identity.replace()
        assert (identity.node_id, process.names) == ("node-1", ["node-1"])
    assert process.fences == []


async def test_a_fence_that_failed_is_repeated_before_the_replacement_is_done(
    process: Process, operator: asyncpg.Connection
) -> None:
    identity = process.identity
    async with operator.transaction():
        await operator.execute("SELECT FROM nodes WHERE node_id = $1 FOR UPDATE", FIRST)
        with pytest.raises(Fault):
            await identity.replace()
        assert (identity.node_id, identity.is_own(Fenced(FIRST))) == (FIRST, False)
    await identity.replace()
    assert (await is_fenced(operator, FIRST), identity.node_id) == (True, "node-1")


async def test_a_new_id_that_lapsed_before_its_registration_was_known_of_is_given_up(
    process: Process, operator: asyncpg.Connection
) -> None:
    await operator.execute("INSERT INTO nodes (node_id, address, fenced) VALUES ('node-1', '', true)")
    with pytest.raises(Fenced) as caught:
        await process.identity.replace()
    assert not process.identity.is_own(caught.value)
    await process.identity.replace()
    assert (process.identity.node_id, process.identity.former_ids) == ("node-2", [FIRST])


async def test_a_retired_node_is_nobodys_to_fence(process: Process, operator: asyncpg.Connection) -> None:
    async with process.keeping():
        await process.identity.retire()
        assert await is_fenced(operator, FIRST)
    assert (process.fences, process.identity.is_own(Fenced(FIRST))) == ([], False)
