"""
What `bench.storage` says of PostgreSQL and Redis can be had, and is of the right size.

PostgreSQL logs whole pages after a checkpoint: what such a moment spoils is measured again.
"""

from bench import presence, storage
from server.embedded import Urls
from server.storage import migrations

TRIES = 3


def is_of_the_right_size(found: storage.Postgres) -> bool:
    disk = found.disk
    return (
        all(group.actions_a_second > group.rows for group in found.groups)
        and 300 < disk.wal < 1_000
        and 200 < disk.table + disk.primary_key + disk.once < 1_000
        and 1_000 < found.snapshot_row_bytes < found.snapshot_wal_bytes < 100_000
        and 500 < found.session_wal_bytes < 10_000
    )


async def test_an_action_leaves_some_hundred_bytes_in_postgresql(databases: Urls) -> None:
    for _ in range(TRIES):
        found = await storage.postgres(databases.database_url, 0.1, actions=5_000)
        assert [group.rows for group in found.groups] == [1, 6, 20, 100, 1, 20]
        assert 0 < found.patch_bytes < 100
        if is_of_the_right_size(found):
            return
    raise AssertionError(f"{TRIES} times of another size, the last time {found}")


async def test_who_comes_and_goes_is_told_to_redis_and_who_stays_hardly(databases: Urls) -> None:
    await migrations.up(databases.database_url)
    found = await presence.measure(databases, sessions=8, idle_s=1.0)
    assert found.join.commands > found.leave.commands > 1
    assert found.join.bytes_in > found.leave.bytes_in > 0
    assert found.idle_minute.commands > 0
    assert 500 < found.memory_bytes_a_session < 5_000
