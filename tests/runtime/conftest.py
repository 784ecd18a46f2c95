"""What the tests of the runtime share: databases with the tables, and a connection that is no node's."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.embedded import Urls
from server.storage import migrations


@pytest.fixture
async def urls(databases: Urls) -> Urls:
    await migrations.up(databases.database_url)
    return databases


@pytest.fixture
async def operator(urls: Urls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(urls.database_url)
    yield connection
    await connection.close()
