"""
What the tests of storage share: a PostgreSQL database with the tables, and two living nodes in it.
"""

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
from tests.databases import embedded, fresh_database
from tests.storage.parts import LEASE_S, ME, OTHER

__all__ = ["embedded"]


@pytest.fixture
async def url(embedded: Embedded) -> AsyncIterator[str]:
    """A database of the test's own, with the tables."""
    async with fresh_database(embedded) as url:
        await migrations.up(url)
        yield url


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
