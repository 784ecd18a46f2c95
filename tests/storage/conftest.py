"""
What the tests of storage share: a PostgreSQL database with the tables, and two nodes that live.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.embedded import Embedded
from server.storage import migrations
from server.storage.characters import Characters
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.nodes import Nodes
from server.storage.rooms import Rooms
from tests.storage.parts import LEASE_S, ME, OTHER

EMPTY_ALL = """
    DELETE FROM actions;
    DELETE FROM snapshots;
    DELETE FROM node_heartbeats;
    DELETE FROM nodes;
    DELETE FROM rooms;
    DELETE FROM characters;
    DELETE FROM secrets;
"""


@pytest.fixture(scope="session")
def migrated_url(embedded: Embedded) -> str:
    """A database with the tables, for all tests: to empty it takes a tenth of making one. Ends with its PostgreSQL."""
    url = embedded.database_url.replace("/holdfast?", "/storage?")

    async def make() -> None:
        operator = await asyncpg.connect(embedded.database_url)
        await operator.execute("CREATE DATABASE storage")
        await operator.close()
        await migrations.up(url)

    asyncio.run(make())
    return url


@pytest.fixture
async def url(migrated_url: str) -> str:
    """The database with the tables, which are empty."""
    operator = await asyncpg.connect(migrated_url)
    await operator.execute(EMPTY_ALL)
    await operator.close()
    return migrated_url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The database as node ME uses it."""
    async with Database(url, ME) as database:
        yield database


@pytest.fixture
async def operator(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that is no node's."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def holder(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Another one, to hold locks: within a transaction, what `backend` asks doesn't change."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def nodes(database: Database) -> Nodes:
    """With ME and OTHER registered."""
    nodes = Nodes(database)
    await nodes.register(ME, "home-1", "127.0.0.1:1", LEASE_S)
    await nodes.register(OTHER, "home-2", "127.0.0.1:2", LEASE_S)
    return nodes


@pytest.fixture
def journal(database: Database, nodes: Nodes) -> Journal:
    return Journal(database)


@pytest.fixture
def rooms(database: Database, nodes: Nodes) -> Rooms:
    return Rooms(database, nodes)


@pytest.fixture
def characters(database: Database, nodes: Nodes) -> Characters:
    return Characters(database)
