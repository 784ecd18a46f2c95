"""Listings show what their owners say, as long as the owners' leases last."""

import asyncio

import pytest

from contracts import limits
from server.presence import Directory, Listing, Store
from tests.presence.samples import listing, until
from tests.presence.valkey import Valkey

NODE = "node-1"


@pytest.fixture
def directory(store: Store) -> Directory:
    return Directory(store, ["game", "battle"])


@pytest.fixture
def brief(store: Store) -> Directory:
    """A directory of a node with a lease that ends at once."""
    return Directory(store, ["game"], lease_s=0.03)


async def test_a_listing_comes_back_as_it_was_published(directory: Directory) -> None:
    room = listing(
        "room-1",
        public_address="n1.example:443",
        clients=2,
        locked=True,
        private=True,
        metadata={"title": "Ödland", "rules": {"fog": [1, 2.5, None]}},
        filters={"mode": "duel", "level": 3},
    )
    await directory.refresh(NODE)
    await directory.publish(room)
    assert await directory.get("room-1") == room
    assert await directory.listings("game") == [room]
    assert await directory.get("room-2") is None


async def test_a_later_publication_replaces_the_whole_listing(directory: Directory) -> None:
    await directory.refresh(NODE)
    await directory.publish(listing(clients=5, filters={"mode": "duel"}))
    await directory.publish(listing(clients=2))
    assert await directory.listings() == [listing(clients=2)]


async def test_rooms_are_listed_by_name_and_age(directory: Directory) -> None:
    young, old, battle = listing("young", created_at=9), listing("old", created_at=1), listing("b", name="battle")
    await directory.refresh(NODE)
    for room in (young, battle, old):
        await directory.publish(room)
    assert await directory.listings("game") == [old, young]
    assert await directory.listings("battle") == [battle]
    assert await directory.listings() == [old, young, battle]
    assert await directory.listings("unheard-of") == []


async def test_a_removed_room_is_listed_no_more(directory: Directory) -> None:
    await directory.refresh(NODE)
    await directory.publish(listing("room-1"))
    await directory.publish(listing("room-2"))
    await directory.remove("game", "room-1", 1)
    await directory.remove("game", "room-1", 1)
    assert await directory.listings() == [listing("room-2")]


async def test_a_former_owner_neither_relists_nor_removes_a_room_taken_over(directory: Directory) -> None:
    theirs = listing("room-1", node_id="node-2", epoch=2)
    await directory.refresh(NODE)
    await directory.refresh("node-2")
    await directory.publish(listing("room-1", epoch=1))
    await directory.publish(theirs)
    await directory.publish(listing("room-1", epoch=1))
    await directory.remove("game", "room-1", 1)
    assert await directory.listings() == [theirs]


async def test_listings_end_with_the_lease_of_their_node(directory: Directory, brief: Directory) -> None:
    await brief.refresh("node-2")
    await directory.refresh(NODE)
    await directory.publish(listing("room-1"))
    await brief.publish(listing("room-2", node_id="node-2"))

    async def is_one() -> bool:
        return await directory.get("room-2") is None

    await until(is_one)
    assert await directory.listings() == [listing("room-1")]


async def test_a_refreshed_node_s_listings_stay(brief: Directory) -> None:
    await brief.refresh(NODE)
    await brief.publish(listing("room-1"))
    longer = Directory(brief._store, ["game"], lease_s=60)
    await longer.refresh(NODE)

    async def is_past_the_first_lease() -> bool:
        [left_ms] = await brief._store.read(("PTTL", "holdfast:{game}:lease:node-1"))
        return bool(left_ms < 59_900)

    await until(is_past_the_first_lease)
    assert await brief.listings() == [listing("room-1")]


async def test_a_dead_node_s_listings_leave_nothing_behind(valkey: Valkey, brief: Directory) -> None:
    await brief.refresh(NODE)
    for i in range(10):
        await brief.publish(listing(f"room-{i}"))

    async def is_empty() -> bool:
        await brief.listings("game")
        return bool(valkey.run("DBSIZE") == 0)

    await until(is_empty)


async def test_a_refresh_says_whether_redis_still_knew_the_last_one(valkey: Valkey, directory: Directory) -> None:
    assert not await directory.refresh(NODE)
    assert await directory.refresh(NODE)
    valkey.run("FLUSHALL")
    assert not await directory.refresh(NODE)
    assert await directory.refresh(NODE)


async def test_a_refresh_notices_a_redis_restored_from_an_older_dump(valkey: Valkey, directory: Directory) -> None:
    await directory.refresh(NODE)
    dump = valkey.run("DUMP", "holdfast:{game}:lease:node-1")
    await directory.refresh(NODE)
    valkey.run("RESTORE", "holdfast:{game}:lease:node-1", 60_000, dump, "REPLACE")
    assert not await directory.refresh(NODE)


async def test_a_new_identity_of_a_node_has_no_listings_yet(directory: Directory) -> None:
    await directory.refresh(NODE)
    assert not await directory.refresh("node-1b")


async def test_an_emptied_redis_is_restored_by_publishing_again(valkey: Valkey, directory: Directory) -> None:
    rooms = [listing(f"room-{i}", created_at=i) for i in range(20)]

    async def beat() -> None:
        if not await directory.refresh(NODE):
            await asyncio.gather(*(directory.publish(room) for room in rooms))

    await beat()
    valkey.run("FLUSHALL")
    assert await directory.listings() == []
    await beat()
    assert await directory.listings() == rooms


async def test_a_listing_has_a_bound(directory: Directory) -> None:
    await directory.refresh(NODE)
    rooms: list[Listing] = [listing(f"room-{i:04}", created_at=i) for i in range(limits.LISTING_ROOMS_MAX + 1)]
    await asyncio.gather(*(directory.publish(room) for room in rooms))
    assert await directory.listings("game") == rooms[: limits.LISTING_ROOMS_MAX]
    assert await directory.listings() == rooms[: limits.LISTING_ROOMS_MAX]
