"""
The databases that other tests get (`tests/databases.py`) are fresh and apart.
"""

import asyncpg
import pytest
import redis.asyncio

from server.embedded import Embedded
from tests.databases import empty_redis, fresh_database
from tests.embedded.conftest import read, write


async def test_two_fresh_databases_know_nothing_of_each_other(embedded: Embedded) -> None:
    async with fresh_database(embedded) as one, fresh_database(embedded) as other:
        await write(one, "one")
        await write(other, "other")
        assert (["one"], ["other"]) == (await read(one), await read(other))


async def test_a_fresh_database_is_dropped_whoever_is_connected(embedded: Embedded) -> None:
    async with fresh_database(embedded) as url:
        connection = await asyncpg.connect(url)
    connection.terminate()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


async def test_valkey_is_empty_for_each_test(embedded: Embedded) -> None:
    async with redis.asyncio.Redis.from_url(await empty_redis(embedded)) as client:
        await client.set("left", "over")
        await empty_redis(embedded)
        assert [] == await client.keys("*")
