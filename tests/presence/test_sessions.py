"""Session records: whole, found by session, player and room, and gone when their seats are."""

import hashlib

import pytest

from server.presence import Directory, Reservations, Revocations, SessionRecord, Sessions, Store
from tests.presence.samples import listing, record, reservation, until
from tests.presence.valkey import Valkey


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store)


async def test_a_record_is_found_by_its_session_its_player_and_its_room(sessions: Sessions) -> None:
    ada, ben, other_room = record("a"), record("b", player_id="player-2"), record("c", room_id="room-2")
    await sessions.put([ada, ben, other_room])
    assert await sessions.get("a") == ada
    assert by_id(await sessions.of_player("player-1")) == [ada, other_room]
    assert by_id(await sessions.of_room("room-1")) == [ada, ben]
    assert await sessions.get("nobody") is None
    assert await sessions.of_player("nobody") == []
    assert await sessions.of_room("nowhere") == []


async def test_the_last_write_counts_whole(sessions: Sessions) -> None:
    hashes = (b"1" * 32, b"2" * 32)
    await sessions.put([record()])
    await sessions.put([record(connected=False, token_hashes=hashes)])
    assert await sessions.of_room("room-1") == [record(connected=False, token_hashes=hashes)]


async def test_a_removed_session_is_nowhere(valkey: Valkey, sessions: Sessions) -> None:
    await sessions.put([record("a"), record("b")])
    await sessions.remove([record("a")])
    assert await sessions.get("a") is None
    assert await sessions.of_player("player-1") == [record("b")]
    await sessions.remove([record("b"), record("b")])
    assert valkey.run("DBSIZE") == 0


async def test_a_record_ends_by_itself_some_time_after_the_hold(valkey: Valkey, sessions: Sessions) -> None:
    await sessions.put([record()])
    keys = ["holdfast:session:session-1", "holdfast:player:player-1:sessions", "holdfast:room:room-1:sessions"]
    assert sorted(keys) == sorted(key.decode() for key in valkey.run("KEYS", "*"))
    for key in keys:
        assert 60_000 < valkey.run("PTTL", key) <= 75_000


async def test_records_that_ended_are_not_found_through_those_that_live(store: Store, valkey: Valkey) -> None:
    sessions = Sessions(store)
    await sessions.put([record("a"), record("b")])
    valkey.run("PEXPIRE", "holdfast:session:a", 1)

    async def is_over() -> bool:
        return await sessions.get("a") is None

    await until(is_over)
    assert await sessions.of_room("room-1") == [record("b")]


async def test_an_emptied_redis_is_restored_by_putting_again(valkey: Valkey, sessions: Sessions) -> None:
    records = [record(f"session-{i:03}") for i in range(450)]
    await sessions.put(records)
    valkey.run("FLUSHALL")
    assert await sessions.of_room("room-1") == []
    await sessions.put(records)
    assert by_id(await sessions.of_room("room-1")) == records


async def test_nothing_to_write_is_no_trouble(sessions: Sessions) -> None:
    await sessions.put([])
    await sessions.remove([])


@pytest.mark.parametrize("token_hashes", [(b"a-token-itself",), (b"x" * 32,) * 3])
def test_a_record_holds_at_most_two_hashes_and_never_a_token(token_hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(AssertionError):
        record(token_hashes=token_hashes)


async def test_no_token_is_in_redis_in_the_clear(store: Store, valkey: Valkey, sessions: Sessions) -> None:
    token = b"canary-7f3a9c1e"
    directory, reservations = Directory(store, ["game"]), Reservations(store)
    await directory.refresh("node-1")
    await directory.publish(listing())
    await reservations.place("game", None, {}, reservation(), 60_000)
    await sessions.put([record(token_hashes=(hashlib.sha256(token).digest(),))])
    await Revocations(store).revoke("jti-1", 4_000_000_000)
    keys: list[bytes] = valkey.run("KEYS", "*")
    kept = b"".join(key + valkey.run("DUMP", key) for key in keys)
    assert hashlib.sha256(token).digest() in kept
    assert token not in kept


def by_id(records: list[SessionRecord]) -> list[SessionRecord]:
    return sorted(records, key=lambda one: one.session_id)
