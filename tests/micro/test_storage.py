"""
What `bench.storage` says of PostgreSQL and Redis can be had, and is of the right size.

The log's sizes have wide bounds above: after a checkpoint it holds whole pages once more.
"""

from bench import presence, storage
from server.embedded import Urls
from server.storage import migrations


async def test_an_action_leaves_some_hundred_bytes_in_postgresql(databases: Urls) -> None:
    found = await storage.postgres(databases.database_url, 0.1, actions=5_000)
    assert [group.rows for group in found.groups] == [1, 6, 20, 100, 1, 20]
    assert all(group.actions_a_second > 0 for group in found.groups)
    assert 0 < found.patch_bytes < 100
    assert 300 < found.disk.wal < 20_000
    assert 200 < found.disk.table + found.disk.primary_key + found.disk.once < 1_000
    assert 1_000 < found.snapshot_row_bytes < found.snapshot_wal_bytes < 1_000_000
    assert 500 < found.session_wal_bytes < 200_000


async def test_who_comes_and_goes_is_told_to_redis_and_who_stays_hardly(databases: Urls) -> None:
    await migrations.up(databases.database_url)
    found = await presence.measure(databases, sessions=8, idle_s=1.0)
    assert found.join.commands > found.leave.commands > 1
    assert found.join.bytes_in > found.leave.bytes_in > 0
    assert found.idle_minute.commands > 0
