"""
Secrets: one for all nodes, whoever asks first.
"""

import asyncio

from server.storage.database import Database
from server.storage.secrets import jwt_secret, relay_secret


async def test_all_nodes_get_the_same_secret_though_they_start_at_once(database: Database) -> None:
    found = await asyncio.gather(*(jwt_secret(database) for _ in range(10)))
    assert 1 == len(set(found))
    assert 32 == len(found[0])


async def test_the_secret_stays(database: Database) -> None:
    assert await jwt_secret(database) == await jwt_secret(database)


async def test_each_secret_is_another(database: Database) -> None:
    assert await jwt_secret(database) != await relay_secret(database)
