"""
Rooms: one owner at a time, an epoch for each claim, and found again after a restart.
"""

import asyncio
from typing import Any, Literal

import asyncpg
import pytest

from server.core.faults import Poisoned, Unavailable
from server.storage.nodes import Nodes
from server.storage.rooms import OwnedBy, RoomRow, Rooms
from tests.storage.parts import LEASE_S, ME, OTHER, backend, count, let_have_renewed_long, let_lease_lapse, room

FORMER = "node-former"
OTHERS = OwnedBy(OTHER, "127.0.0.1:2")


async def test_a_room_comes_back_as_it_was_made(rooms: Rooms) -> None:
    made = await rooms.create(
        ME,
        room(
            options=b'{"a":"\\u0000"}', metadata=b"\x00", filters={"mode": "x", "level": 3, "hard": True}, locked=True
        ),
    )
    assert made == await rooms.get("room-a")
    assert (ME, 1, "active", True) == (made.owner, made.epoch, made.status, made.locked)
    assert {"mode": "x", "level": 3, "hard": True} == made.filters
    assert 0 < made.created_at <= made.updated_at


async def test_a_rooms_id_is_used_once(rooms: Rooms, operator: asyncpg.Connection) -> None:
    await rooms.create(ME, room())
    with pytest.raises(Poisoned):
        await rooms.create(OTHER, room())
    assert 1 == await count(operator, "rooms")


async def test_a_dormant_room_is_claimed_with_the_next_epoch(rooms: Rooms) -> None:
    await rooms.create(OTHER, room())
    await rooms.release(OTHER, "room-a", 1)
    claimed = await rooms.claim(ME, "room-a")
    assert isinstance(claimed, RoomRow)
    assert (ME, 2, "active") == (claimed.owner, claimed.epoch, claimed.status)


async def test_a_room_of_a_living_node_is_its_own(rooms: Rooms) -> None:
    await rooms.create(OTHER, room())
    assert OTHERS == await rooms.claim(ME, "room-a")


async def test_a_room_of_a_fenced_node_is_claimed(rooms: Rooms, nodes: Nodes) -> None:
    await rooms.create(OTHER, room())
    await nodes.fence(OTHER)
    claimed = await rooms.claim(ME, "room-a")
    assert isinstance(claimed, RoomRow)
    assert (ME, 2) == (claimed.owner, claimed.epoch)


async def test_claiming_a_room_of_a_lapsed_node_fences_that_node(
    rooms: Rooms, nodes: Nodes, operator: asyncpg.Connection
) -> None:
    await rooms.create(OTHER, room())
    await let_lease_lapse(operator, OTHER)
    await let_have_renewed_long(operator, ME)
    assert isinstance(await rooms.claim(ME, "room-a"), RoomRow)
    assert await operator.fetchval("SELECT fenced FROM nodes WHERE node_id = $1", OTHER)


async def test_a_node_that_is_new_itself_takes_nothing_from_a_lapsed_one(
    rooms: Rooms, operator: asyncpg.Connection
) -> None:
    await rooms.create(OTHER, room())
    await let_lease_lapse(operator, OTHER)
    assert OTHERS == await rooms.claim(ME, "room-a")


async def test_there_is_no_claim_to_a_room_that_is_not_or_is_over(rooms: Rooms) -> None:
    await rooms.create(ME, room())
    await rooms.release(ME, "room-a", 1, "ended")
    assert (None, None) == (await rooms.claim(ME, "room-a"), await rooms.claim(ME, "room-unheard-of"))


@pytest.mark.parametrize("ending", ["dormant", "fenced", "lapsed"])
async def test_of_twenty_claims_at_once_one_wins_and_the_others_learn_who(
    rooms: Rooms, nodes: Nodes, operator: asyncpg.Connection, ending: str
) -> None:
    await rooms.create(OTHER, room())
    claimants = [f"claimant-{n}" for n in range(20)]
    for claimant in claimants:
        await nodes.register(claimant, None, f"at {claimant}", LEASE_S)
        await let_have_renewed_long(operator, claimant)
    if ending == "dormant":
        await rooms.release(OTHER, "room-a", 1)
    elif ending == "fenced":
        await nodes.fence(OTHER)
    else:
        await let_lease_lapse(operator, OTHER)
    answers = await asyncio.gather(*(rooms.claim(claimant, "room-a") for claimant in claimants))
    won = [answer for answer in answers if isinstance(answer, RoomRow)]
    assert 1 == len(won)
    assert won == [await rooms.get("room-a")]
    assert 2 == won[0].epoch
    assert [OwnedBy(str(won[0].owner), f"at {won[0].owner}")] * 19 == [a for a in answers if not isinstance(a, RoomRow)]


async def test_a_claim_that_waited_for_that_of_a_node_newer_than_itself_loses(
    rooms: Rooms, operator: asyncpg.Connection, holder: asyncpg.Connection
) -> None:
    await rooms.create(OTHER, room())
    await rooms.release(OTHER, "room-a", 1)
    async with holder.transaction():
        await holder.fetch("SELECT FROM rooms FOR UPDATE")
        claim = asyncio.create_task(rooms.claim(ME, "room-a"))
        await backend(operator, application_name=ME, wait_event_type="Lock")
        await holder.execute("INSERT INTO nodes (node_id, address) VALUES ('node-newer', 'there')")
        await holder.execute("UPDATE rooms SET owner = 'node-newer', status = 'active', epoch = 2")
    assert OwnedBy("node-newer", "there") == await claim


async def test_a_locked_row_makes_only_its_own_room_wait_and_not_for_long(
    rooms: Rooms, holder: asyncpg.Connection
) -> None:
    await rooms.create(ME, room("room-a"))
    await rooms.create(ME, room("room-b"))
    async with holder.transaction():
        await holder.fetch("SELECT FROM rooms WHERE room_id = 'room-a' FOR UPDATE")
        await rooms.release(ME, "room-b", 1)
        with pytest.raises(Unavailable) as caught:
            await rooms.release(ME, "room-a", 1)
    assert "timeout" == caught.value.reason


async def test_a_listing_has_the_rooms_that_have_not_ended_those_used_last_first(rooms: Rooms) -> None:
    for room_id, name in (("room-a", "game"), ("room-b", "game"), ("room-c", "other"), ("room-d", "game")):
        await rooms.create(ME, room(room_id, name))
    await rooms.release(ME, "room-a", 1)
    await rooms.release(ME, "room-d", 1, "ended")
    assert ["room-a", "room-c", "room-b"] == [found.room_id for found in await rooms.listing()]
    assert ["room-a", "room-b"] == [found.room_id for found in await rooms.listing("game")]
    assert ["room-a"] == [found.room_id for found in await rooms.listing("game", limit=1)]


async def test_of_the_dormant_rooms_the_one_used_last_is_found(rooms: Rooms) -> None:
    for room_id in ("room-a", "room-b", "room-c"):
        await rooms.create(ME, room(room_id))
    assert await rooms.find_claimable("game", {}) is None
    await rooms.release(ME, "room-b", 1)
    await rooms.release(ME, "room-a", 1)
    assert "room-a" == await rooms.find_claimable("game", {})
    assert await rooms.find_claimable("other", {}) is None


async def test_rooms_whose_node_died_are_found_too(rooms: Rooms, nodes: Nodes, operator: asyncpg.Connection) -> None:
    await rooms.create(OTHER, room())
    await let_lease_lapse(operator, OTHER)
    assert "room-a" == await rooms.find_claimable("game", {})
    await nodes.renew(OTHER, LEASE_S)
    assert await rooms.find_claimable("game", {}) is None
    await nodes.fence(OTHER)
    assert "room-a" == await rooms.find_claimable("game", {})


@pytest.mark.parametrize("closed", ["locked", "private"])
async def test_a_room_that_is_not_open_to_all_is_not_found(rooms: Rooms, closed: str) -> None:
    await rooms.create(ME, room(**{closed: True}))
    await rooms.release(ME, "room-a", 1)
    assert await rooms.find_claimable("game", {}) is None


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, True),
        ({"mode": "x"}, True),
        ({"mode": "x", "level": 1, "hard": True}, True),
        ({"mode": "y"}, False),
        ({"mode": "x", "other": 1}, False),
        ({"level": True}, False),
        ({"level": "1"}, False),
        ({"hard": 1}, False),
        ({'mode":"x"}': "\x00"}, False),
    ],
    ids=str,
)
async def test_a_room_is_found_if_it_has_the_values_asked_for(
    rooms: Rooms, filters: dict[str, Any], fits: bool
) -> None:
    await rooms.create(ME, room(filters={"mode": "x", "level": 1, "hard": True}))
    await rooms.release(ME, "room-a", 1)
    assert fits == (await rooms.find_claimable("game", filters) == "room-a")


async def test_a_room_that_is_the_nodes_own_can_be_claimed_again(rooms: Rooms) -> None:
    """As when the reply to a claim, or to a release, was lost."""
    await rooms.create(ME, room())
    claimed = await rooms.claim(ME, "room-a")
    assert isinstance(claimed, RoomRow)
    assert (ME, 2, "active") == (claimed.owner, claimed.epoch, claimed.status)


async def test_a_release_may_be_repeated_and_is_the_owners(rooms: Rooms) -> None:
    await rooms.create(ME, room())
    await rooms.release(OTHER, "room-a", 1)
    assert ME == await owner(rooms)
    await rooms.release(ME, "room-a", 1)
    await rooms.release(ME, "room-a", 1)
    assert isinstance(await rooms.claim(OTHER, "room-a"), RoomRow)
    await rooms.release(ME, "room-a", 1)
    assert OTHER == await owner(rooms)


@pytest.mark.parametrize("status", ["dormant", "ended"])
async def test_a_release_that_lands_after_the_room_was_claimed_again_changes_nothing(
    rooms: Rooms, operator: asyncpg.Connection, holder: asyncpg.Connection, status: Literal["dormant", "ended"]
) -> None:
    """It was sent, its outcome was unknown, and its own node claimed the room meanwhile."""
    await rooms.create(ME, room())
    async with holder.transaction():
        await holder.execute("UPDATE rooms SET epoch = epoch + 1 WHERE room_id = 'room-a'")
        late = asyncio.create_task(rooms.release(ME, "room-a", 1, status))
        await backend(operator, application_name=ME, wait_event_type="Lock")
    await late
    found = await rooms.get("room-a")
    assert found is not None
    assert (ME, 2, "active") == (found.owner, found.epoch, found.status)


@pytest.fixture
async def former(rooms: Rooms, nodes: Nodes) -> Nodes:
    """ME goes on for FORMER, which is fenced; of what FORMER had, OTHER has claimed room-lost in between."""
    await nodes.register(FORMER, None, "", LEASE_S)
    for room_id in ("room-a", "room-b", "room-lost", "room-left"):
        await rooms.create(FORMER, room(room_id))
    await rooms.create(OTHER, room("room-other"))
    await rooms.release(FORMER, "room-left", 1)
    await nodes.fence(FORMER)
    assert isinstance(await rooms.claim(OTHER, "room-lost"), RoomRow)
    return nodes


@pytest.mark.usefixtures("former")
async def test_a_node_gets_those_rooms_of_its_former_self_that_nobody_has_claimed(rooms: Rooms) -> None:
    asked = ["room-a", "room-lost", "room-left", "room-other", "room-unheard-of"]
    assert {"room-a": 2} == await rooms.reclaim(ME, [FORMER], asked)
    assert (ME, OTHER, None, OTHER) == tuple([await owner(rooms, room_id) for room_id in asked[:4]])
    assert FORMER == await owner(rooms, "room-b"), "not asked for"


@pytest.mark.usefixtures("former")
async def test_a_reclaim_may_be_repeated(rooms: Rooms) -> None:
    asked = ["room-a", "room-b", "room-lost"]
    assert {"room-a": 2, "room-b": 2} == await rooms.reclaim(ME, [FORMER], asked)
    assert {"room-a": 2, "room-b": 2} == await rooms.reclaim(ME, [FORMER], asked)


@pytest.mark.usefixtures("former")
async def test_a_reclaim_under_yet_another_id_takes_what_the_one_before_had(rooms: Rooms, nodes: Nodes) -> None:
    await rooms.reclaim(ME, [FORMER], ["room-a"])
    await nodes.register("node-next", None, "", LEASE_S)
    await nodes.fence(ME)
    assert {"room-a": 3, "room-b": 2} == await rooms.reclaim("node-next", [FORMER, ME], ["room-a", "room-b"])


@pytest.mark.usefixtures("former")
async def test_a_reclaim_leaves_a_room_that_changes_hands_and_waits_for_nobody(
    rooms: Rooms, holder: asyncpg.Connection
) -> None:
    async with holder.transaction():
        await holder.execute("UPDATE rooms SET owner = $1 WHERE room_id = 'room-a'", OTHER)
        async with asyncio.timeout(0.9):  # less than a lock is waited for
            assert {"room-b": 2} == await rooms.reclaim(ME, [FORMER], ["room-a", "room-b"])
    assert {"room-b": 2} == await rooms.reclaim(ME, [FORMER], ["room-a", "room-b"])
    assert [OTHER, ME] == [await owner(rooms, room_id) for room_id in ("room-a", "room-b")]


async def owner(rooms: Rooms, room_id: str = "room-a") -> str | None:
    found = await rooms.get(room_id)
    assert found is not None
    return found.owner
