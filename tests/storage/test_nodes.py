"""
Nodes: leases by the database's clock, and who may fence whom.
"""

import asyncio
import time

import asyncpg
import pytest

from server.core.faults import Fenced
from server.storage.nodes import Nodes
from tests.storage.parts import LEASE_S, ME, OTHER, backend, let_have_renewed_long, let_lease_lapse


async def test_a_lease_ends_its_length_after_its_renewal(nodes: Nodes) -> None:
    # The embedded database's clock is this machine's.
    until_s = await nodes.renew(ME, LEASE_S) / 1000
    assert LEASE_S - 1 < until_s - time.time() < LEASE_S + 1


async def test_a_lapsed_lease_that_nobody_used_is_renewed(nodes: Nodes, operator: asyncpg.Connection) -> None:
    await let_lease_lapse(operator, ME)
    await nodes.renew(ME, LEASE_S)
    await let_have_renewed_long(operator, OTHER)
    assert not await nodes.fence_lapsed(OTHER, ME)


async def test_a_lapsed_node_is_fenced_by_one_that_has_renewed_without_a_break(
    nodes: Nodes, operator: asyncpg.Connection
) -> None:
    await let_lease_lapse(operator, OTHER)
    await let_have_renewed_long(operator, ME)
    assert await nodes.fence_lapsed(ME, OTHER)
    with pytest.raises(Fenced):
        await nodes.renew(OTHER, LEASE_S)


async def test_a_node_with_a_lease_is_not_fenced_by_others(nodes: Nodes, operator: asyncpg.Connection) -> None:
    await let_have_renewed_long(operator, ME)
    assert not await nodes.fence_lapsed(ME, OTHER)


async def test_after_a_freeze_of_the_database_nobody_fences_anybody(nodes: Nodes, operator: asyncpg.Connection) -> None:
    await let_have_renewed_long(operator, ME)
    for node_id in (ME, OTHER):
        await let_lease_lapse(operator, node_id)
    assert not await nodes.fence_lapsed(ME, OTHER)
    await nodes.renew(ME, LEASE_S)
    assert not await nodes.fence_lapsed(ME, OTHER)
    await nodes.renew(OTHER, LEASE_S)


async def test_who_holds_a_data_folder_fences_all_who_had_it_before(nodes: Nodes) -> None:
    await nodes.register("node-older", "home-1", "", LEASE_S)
    await nodes.register("node-elsewhere", None, "", LEASE_S)
    assert ["node-older"] == await nodes.fence_home("home-1", except_node=ME)
    assert [] == await nodes.fence_home("home-1", except_node=ME)
    with pytest.raises(Fenced):
        await nodes.renew("node-older", LEASE_S)
    for node_id in (ME, OTHER, "node-elsewhere"):
        await nodes.renew(node_id, LEASE_S)


async def test_a_home_holds_the_homes_of_its_workers(nodes: Nodes) -> None:
    for node_id, home in (("node-0", "home/0"), ("node-1", "home/1"), ("node-10", "home/10"), ("node-far", "home2/0")):
        await nodes.register(node_id, home, "", LEASE_S)
    assert ["node-1"] == await nodes.fence_home("home/1")
    assert {"node-0", "node-10"} == set(await nodes.fence_home("home"))


async def test_a_retired_node_writes_no_more(nodes: Nodes) -> None:
    await nodes.retire(ME)
    with pytest.raises(Fenced):
        await nodes.renew(ME, LEASE_S)


async def test_a_registration_whose_reply_was_lost_is_repeated_and_renews_the_lease(
    nodes: Nodes, operator: asyncpg.Connection
) -> None:
    await let_lease_lapse(operator, ME)
    until_s = await nodes.register(ME, "home-1", "127.0.0.1:1", LEASE_S) / 1000
    assert LEASE_S - 1 < until_s - time.time() < LEASE_S + 1
    assert 1 == await operator.fetchval("SELECT count(*) FROM nodes WHERE node_id = $1", ME)
    await let_have_renewed_long(operator, OTHER)
    assert not await nodes.fence_lapsed(OTHER, ME)


async def test_a_registration_that_waits_for_its_own_earlier_one_succeeds(
    nodes: Nodes, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    """The first one's link was cut while the server was at it: not to be seen yet, and not fenced either."""
    async with holder.transaction():
        await holder.execute("INSERT INTO nodes (node_id, address) VALUES ('node-new', '')")
        register = asyncio.create_task(nodes.register("node-new", None, "", LEASE_S))
        await backend(operator, application_name=ME, wait_event_type="Lock")
    await register
    await nodes.renew("node-new", LEASE_S)


async def test_a_registration_repeated_too_late_leaves_the_node_fenced(
    nodes: Nodes, operator: asyncpg.Connection
) -> None:
    await nodes.fence(ME)
    await let_lease_lapse(operator, ME)
    with pytest.raises(Fenced) as caught:
        await nodes.register(ME, None, "", LEASE_S)
    assert ME == caught.value.node_id
    with pytest.raises(Fenced):
        await nodes.renew(ME, LEASE_S)
