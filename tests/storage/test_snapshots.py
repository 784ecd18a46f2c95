"""
Snapshots: the newest at or before a roomSeq; few are kept.
"""

import asyncpg
import pytest

from server.core.recovery import RoomSnapshot
from server.storage.database import Database
from server.storage.nodes import Nodes
from server.storage.snapshots import Snapshots
from tests.storage.parts import ME, count


def snapshot(room_seq: int, room_id: str = "room-a", state: bytes = b"\x00{}") -> RoomSnapshot:
    return RoomSnapshot(room_id, room_seq, 1, state, b"\x00", 1_700_000_000_000)


@pytest.fixture
def snapshots(database: Database, nodes: Nodes) -> Snapshots:
    return Snapshots(database)


async def test_the_newest_at_or_before_is_found(snapshots: Snapshots) -> None:
    for room_seq in (500, 1000):
        await snapshots.write(ME, snapshot(room_seq))
    assert snapshot(1000) == await snapshots.latest("room-a")
    assert snapshot(500) == await snapshots.latest("room-a", at_most=999)
    assert await snapshots.latest("room-a", at_most=499) is None
    assert await snapshots.latest("room-b") is None


async def test_written_again_it_is_one(snapshots: Snapshots, operator: asyncpg.Connection) -> None:
    await snapshots.write(ME, snapshot(500))
    await snapshots.write(ME, snapshot(500, state=b"again"))
    assert (snapshot(500, state=b"again"), 1) == (await snapshots.latest("room-a"), await count(operator, "snapshots"))


async def test_the_newest_three_of_a_room_are_kept(snapshots: Snapshots, operator: asyncpg.Connection) -> None:
    await snapshots.write(ME, snapshot(1, "room-b"))
    for room_seq in (10, 20, 30, 40, 40, 50):
        await snapshots.write(ME, snapshot(room_seq))
    kept = await operator.fetch("SELECT room_id, room_seq FROM snapshots ORDER BY room_id, room_seq")
    assert [("room-a", 30), ("room-a", 40), ("room-a", 50), ("room-b", 1)] == [tuple(row) for row in kept]
