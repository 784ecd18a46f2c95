"""Seats are promised in one step, counted exactly, and redeemed once."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from server.presence import Directory, FilterValue, Listing, Placed, Refusal, Reservations, Store
from tests.presence.samples import listing, reservation, until
from tests.presence.valkey import Valkey

LONG_MS = 60_000
NODE = "node-1"
Filters = dict[str, FilterValue]


@pytest.fixture
async def directory(store: Store) -> Directory:
    directory = Directory(store, ["game", "battle"])
    await directory.refresh(NODE)
    return directory


@pytest.fixture
def reservations(store: Store) -> Reservations:
    return Reservations(store)


async def test_a_player_is_placed_in_the_oldest_open_room(directory: Directory, reservations: Reservations) -> None:
    await directory.publish(listing("young", created_at=3))
    await directory.publish(listing("open", created_at=2, public_address="n1.example:443"))
    await directory.publish(listing("other-game", created_at=1, name="battle"))
    await directory.publish(listing("full", created_at=1, clients=10))
    await directory.publish(listing("locked", created_at=1, locked=True))
    await directory.publish(listing("private", created_at=1, private=True))
    assert await reservations.place("game", None, {}, reservation(), LONG_MS) == Placed("open", NODE, "n1.example:443")


async def test_a_hundred_players_at_once_get_the_ten_seats_of_a_room(
    directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1", max_clients=10))
    outcomes = await asyncio.gather(
        *(reservations.place("game", "room-1", {}, reservation(f"session-{i}"), LONG_MS) for i in range(100))
    )
    assert Counter(outcomes) == {Placed("room-1", NODE, None): 10, Refusal.FULL: 90}


async def test_a_hundred_players_at_once_fill_room_after_room(directory: Directory, reservations: Reservations) -> None:
    for i in range(3):
        await directory.publish(listing(f"room-{i}", max_clients=10, clients=i, created_at=i))
    outcomes = await asyncio.gather(
        *(reservations.place("game", None, {}, reservation(f"session-{i}"), LONG_MS) for i in range(100))
    )
    counts = Counter(outcome.room_id if isinstance(outcome, Placed) else outcome for outcome in outcomes)
    assert counts == {"room-0": 10, "room-1": 9, "room-2": 8, Refusal.NO_ROOM: 73}


async def test_of_a_hundred_redeemers_at_once_one_gets_the_seat(
    directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1", clients=3, max_clients=5))
    promised = reservation(options='{"skin":"ü"}'.encode(), protocol_version="1", resume=True)
    await reservations.place("game", "room-1", {}, promised, LONG_MS)
    redeemed = await asyncio.gather(*(reservations.redeem("game", "room-1", "session-1") for _ in range(100)))
    assert [one for one in redeemed if one is not None] == [promised]
    room = await directory.get("room-1")
    assert room is not None
    assert room.clients == 4
    outcome = await reservations.place("game", "room-1", {}, reservation("session-2"), LONG_MS)
    assert isinstance(outcome, Placed), "a client's seat is reserved no more"


async def test_a_seat_stays_taken_when_it_is_redeemed(directory: Directory, reservations: Reservations) -> None:
    await directory.publish(listing("room-1", max_clients=1))
    await reservations.place("game", "room-1", {}, reservation("session-1"), LONG_MS)
    await reservations.redeem("game", "room-1", "session-1")
    assert await reservations.place("game", "room-1", {}, reservation("session-2"), LONG_MS) is Refusal.FULL


async def test_a_deadline_that_passed_frees_the_seat_by_itself(
    directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1", max_clients=2))
    await reservations.place("game", "room-1", {}, reservation("other"), LONG_MS)
    await reservations.place("game", "room-1", {}, reservation("session-1"), 30)
    assert await reservations.place("game", "room-1", {}, reservation("session-2"), LONG_MS) is Refusal.FULL

    async def is_free() -> bool:
        outcome = await reservations.place("game", "room-1", {}, reservation("session-2"), LONG_MS)
        return isinstance(outcome, Placed)

    await until(is_free)
    assert await reservations.redeem("game", "room-1", "session-1") is None


async def test_an_expired_reservation_is_not_redeemed_though_nobody_has_counted_since(
    valkey: Valkey, directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1"))
    await directory.publish(listing("room-2", max_clients=1))
    await reservations.place("game", "room-1", {}, reservation("session-2"), LONG_MS)
    await reservations.place("game", "room-1", {}, reservation("session-1"), 30)
    await reservations.place("game", "room-2", {}, reservation("later"), 30)

    async def is_past() -> bool:
        outcome = await reservations.place("game", "room-2", {}, reservation("still-later"), LONG_MS)
        return isinstance(outcome, Placed)

    await until(is_past)
    assert valkey.run("EXISTS", "holdfast:{game}:reservation:room-1:session-1"), "the deadline decides, not the key"
    assert await reservations.redeem("game", "room-1", "session-1") is None
    assert await reservations.redeem("game", "room-1", "session-2") == reservation("session-2")


async def test_the_same_session_is_counted_once(directory: Directory, reservations: Reservations) -> None:
    await directory.publish(listing("room-1", max_clients=2))
    for session_id in ("session-1", "session-1", "session-2"):
        outcome = await reservations.place("game", "room-1", {}, reservation(session_id), LONG_MS)
        assert outcome == Placed("room-1", NODE, None)
    assert await reservations.place("game", "room-1", {}, reservation("session-3"), LONG_MS) is Refusal.FULL


async def test_a_reservation_counts_for_its_room_only(directory: Directory, reservations: Reservations) -> None:
    await directory.publish(listing("room-1"))
    await directory.publish(listing("room-2"))
    await reservations.place("game", "room-1", {}, reservation("session-1"), LONG_MS)
    assert await reservations.redeem("game", "room-2", "session-1") is None
    assert await reservations.redeem("game", "room-1", "session-2") is None


@pytest.mark.parametrize(
    ("room", "outcome"),
    [
        (listing("room-1", private=True), Placed("room-1", NODE, None)),
        (listing("room-1", locked=True), Refusal.LOCKED),
        (listing("room-1", clients=10), Refusal.FULL),
        (listing("another"), Refusal.NOT_FOUND),
        (listing("room-1", name="battle"), Refusal.NOT_FOUND),
    ],
)
async def test_a_room_asked_for_by_its_id_may_be_private_but_not_locked_or_full(
    directory: Directory, reservations: Reservations, room: Listing, outcome: Placed | Refusal
) -> None:
    await directory.publish(room)
    assert await reservations.place("game", "room-1", {"mode": "duel"}, reservation(), LONG_MS) == outcome


@pytest.mark.parametrize(
    ("listed", "wanted", "is_match"),
    [
        ({"mode": "duel", "map": "ice"}, {"mode": "duel"}, True),
        ({"mode": "duel", "map": "ice"}, {"map": "ice", "mode": "duel"}, True),
        ({"mode": "duel"}, {"mode": "team"}, False),
        ({"mode": "duel"}, {"mode": "duel", "map": "ice"}, False),
        ({}, {"clients": 0}, False),
        ({"level": 1}, {"level": 1.0}, True),
        ({"level": 1}, {"level": "1"}, False),
        ({"level": 1}, {"level": True}, False),
        ({"level": None}, {"level": None}, True),
        ({"rated": True}, {"rated": True}, True),
        ({"city": "Zürich"}, {"city": "Zürich"}, True),
    ],
)
async def test_a_room_matches_if_it_has_every_filter_asked_for(
    directory: Directory,
    reservations: Reservations,
    listed: Filters,
    wanted: Filters,
    is_match: bool,
) -> None:
    await directory.publish(listing("room-1", filters=listed))
    outcome = await reservations.place("game", None, wanted, reservation(), LONG_MS)
    assert outcome == (Placed("room-1", NODE, None) if is_match else Refusal.NO_ROOM)


@pytest.mark.parametrize(("room_id", "refusal"), [("room-1", Refusal.NOT_FOUND), (None, Refusal.NO_ROOM)])
async def test_a_room_is_no_longer_found_when_its_node_s_lease_has_ended(
    store: Store, reservations: Reservations, room_id: str | None, refusal: Refusal
) -> None:
    directory = Directory(store, ["game"], lease_s=0.03)
    await directory.refresh(NODE)
    await directory.publish(listing("room-1"))

    async def is_gone() -> bool:
        return await reservations.place("game", room_id, {}, reservation(), LONG_MS) is refusal

    await until(is_gone)


@pytest.mark.parametrize("change", [{"locked": True}, {"private": True}, {"clients": 10}, {"filters": {}}])
async def test_a_room_is_no_longer_found_when_its_owner_lists_it_otherwise(
    directory: Directory, reservations: Reservations, change: dict[str, Any]
) -> None:
    await directory.publish(listing("room-1", filters={"mode": "duel"}))
    await directory.publish(listing("room-1", **{"filters": {"mode": "duel"}, **change}))
    assert await reservations.place("game", None, {"mode": "duel"}, reservation(), LONG_MS) is Refusal.NO_ROOM


async def test_a_room_is_found_again_when_its_owner_lists_it_as_open(
    directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1", locked=True))
    await directory.publish(listing("room-1"))
    assert await reservations.place("game", None, {}, reservation(), LONG_MS) == Placed("room-1", NODE, None)


async def test_a_removed_room_takes_its_reservations_with_it(directory: Directory, reservations: Reservations) -> None:
    await directory.publish(listing("room-1", epoch=1, max_clients=1))
    await reservations.place("game", "room-1", {}, reservation(), LONG_MS)
    await directory.remove("game", "room-1", 1)
    await directory.publish(listing("room-1", epoch=2, max_clients=1))
    assert await reservations.redeem("game", "room-1", "session-1") is None
    outcome = await reservations.place("game", "room-1", {}, reservation("session-2"), LONG_MS)
    assert outcome == Placed("room-1", NODE, None), "nor does it count"


async def test_redeeming_in_a_room_no_longer_listed_lists_nothing(
    valkey: Valkey, directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1"))
    await reservations.place("game", "room-1", {}, reservation(), LONG_MS)
    valkey.run("DEL", "holdfast:{game}:listing:room-1")
    assert await reservations.redeem("game", "room-1", "session-1") == reservation()
    assert valkey.run("EXISTS", "holdfast:{game}:listing:room-1") == 0


async def test_scripts_that_redis_has_forgotten_run_all_the_same(
    valkey: Valkey, directory: Directory, reservations: Reservations
) -> None:
    await directory.publish(listing("room-1"))
    valkey.run("SCRIPT", "FLUSH")
    await directory.publish(listing("room-1"))
    valkey.run("SCRIPT", "FLUSH")
    assert isinstance(await reservations.place("game", None, {}, reservation(), LONG_MS), Placed)
    valkey.run("SCRIPT", "FLUSH")
    assert await reservations.redeem("game", "room-1", "session-1") == reservation()
    valkey.run("SCRIPT", "FLUSH")
    assert [room.clients for room in await directory.listings("game")] == [1]
