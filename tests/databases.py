"""
Databases for tests: one embedded pair for a pytest process, and in it a fresh database and an empty Valkey for a test.

`embedded` and `databases` are fixtures; `tests/conftest.py` imports them for all. The pair is lossy (no fsync), so a
fresh database takes tens of milliseconds; tests about durability start a pair of their own.
"""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from server.embedded import Embedded, Urls, start_embedded
from tests.canaries import KNOWN, database_logs


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    """The pair of this pytest process. Not tied to an event loop."""
    # Not in pytest's own temporary folders: those of the last three runs stay, and a cluster has 40 MB.
    folder = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
    pair = asyncio.run(start_embedded(folder, print, is_durable=False))
    KNOWN.know_password_of(pair.database_url, pair.redis_url)
    yield pair
    asyncio.run(pair.stop())
    leaks = KNOWN.found_in_files(database_logs(folder))
    shutil.rmtree(folder)
    assert [] == leaks


@pytest.fixture
async def databases(embedded: Embedded) -> AsyncIterator[Urls]:
    """An empty PostgreSQL database and an empty Valkey, for one test."""
    async with fresh_database(embedded) as database_url:
        yield Urls(database_url, await empty_redis(embedded))


@asynccontextmanager
async def fresh_database(embedded: Embedded) -> AsyncIterator[str]:
    """The URL of a new, empty database, dropped at the end whoever is still connected. There may be many at once."""
    name = f"test_{secrets.token_hex(8)}"
    await _execute(embedded.database_url, f"CREATE DATABASE {name}")
    try:
        yield embedded.database_url.replace("/holdfast?", f"/{name}?")
    finally:
        await _execute(embedded.database_url, f"DROP DATABASE {name} WITH (FORCE)")


async def empty_redis(embedded: Embedded) -> str:
    """The URL of Valkey, emptied. There is one at a time: its channels know no logical databases."""
    async with redis.asyncio.Redis.from_url(embedded.redis_url) as client:
        await client.flushdb()
    return embedded.redis_url


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
