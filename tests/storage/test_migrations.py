"""
The tables: made from nothing, once, in whole steps, and refused where they don't fit the code.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.core.faults import Unavailable
from server.embedded import Embedded
from server.storage import migrations
from server.storage.migrations import Migration, SchemaRefused
from server.storage.statements import load_statements
from tests.databases import fresh_database
from tests.storage.parts import backend

FIRST = Migration(1, "first", False, "CREATE TABLE first (id int)")
SECOND = Migration(2, "second", False, "CREATE TABLE second (id int)")
SLOW = Migration(2, "second", False, "CREATE TABLE second (id int); SELECT pg_sleep(60)")
BREAKING = Migration(2, "second", True, "CREATE TABLE second (id int)")


@pytest.fixture
async def empty_url(embedded: Embedded) -> AsyncIterator[str]:
    async with fresh_database(embedded) as url:
        yield url


@pytest.fixture
async def watcher(empty_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_url)
    yield connection
    await connection.close()


async def test_they_are_made_from_nothing_and_then_left_alone(empty_url: str) -> None:
    known = migrations.load_migrations()
    assert known == (await migrations.status(empty_url)).pending
    assert known == await migrations.up(empty_url)
    assert [] == await migrations.up(empty_url)
    found = await migrations.status(empty_url)
    assert [(step.version, step.name) for step in known] == [(step.version, step.name) for step in found.applied]
    await migrations.check(empty_url)


async def test_many_may_migrate_at_once_and_each_step_is_taken_once(empty_url: str) -> None:
    taken = await asyncio.gather(*(migrations.up(empty_url) for _ in range(5)))
    assert migrations.load_migrations() == [step for steps in taken for step in steps]


async def test_a_migration_killed_half_way_leaves_whole_steps_and_the_next_goes_on(
    empty_url: str, watcher: asyncpg.Connection
) -> None:
    task = asyncio.create_task(migrations.up(empty_url, [FIRST, SLOW]))
    await watcher.execute("SELECT pg_terminate_backend($1)", await backend(watcher, wait_event="PgSleep"))
    with pytest.raises(Unavailable):
        await task
    found = await migrations.status(empty_url, [FIRST, SECOND])
    assert ([1], [SECOND]) == ([step.version for step in found.applied], found.pending)
    assert [SECOND] == await migrations.up(empty_url, [FIRST, SECOND])


async def test_a_step_that_fails_leaves_nothing_of_itself_and_says_which_it_was(
    empty_url: str, watcher: asyncpg.Connection
) -> None:
    failing = Migration(2, "second", False, "CREATE TABLE second (id int); SELECT 1 / 0")
    with pytest.raises(SchemaRefused, match="0002_second"):
        await migrations.up(empty_url, [FIRST, failing])
    assert await watcher.fetchval("SELECT to_regclass('first') IS NOT NULL AND to_regclass('second') IS NULL")


async def test_tables_older_than_the_code_needs_are_refused_with_the_missing_step(empty_url: str) -> None:
    with pytest.raises(SchemaRefused, match="0001_first"):
        await migrations.check(empty_url, [FIRST])
    await migrations.up(empty_url, [FIRST])
    with pytest.raises(SchemaRefused, match=r"older.*0002_second"):
        await migrations.check(empty_url, [FIRST, SECOND])


async def test_newer_tables_are_fine_unless_marked_as_breaking(empty_url: str) -> None:
    await migrations.up(empty_url, [FIRST, SECOND])
    await migrations.check(empty_url, [FIRST])


async def test_newer_tables_marked_as_breaking_are_refused_with_the_step(empty_url: str) -> None:
    await migrations.up(empty_url, [FIRST, BREAKING])
    with pytest.raises(SchemaRefused, match=r"newer.*0002_second"):
        await migrations.check(empty_url, [FIRST])
    with pytest.raises(SchemaRefused, match=r"newer.*0002_second"):
        await migrations.up(empty_url, [FIRST])


async def test_without_postgresql_they_are_unavailable() -> None:
    with pytest.raises(Unavailable):
        await migrations.status("postgresql://nobody@127.0.0.1:9/nothing?sslmode=disable")


def test_steps_are_numbered_from_one_without_gaps() -> None:
    versions = [step.version for step in migrations.load_migrations()]
    assert list(range(1, len(versions) + 1)) == versions


async def test_postgresql_understands_every_statement(url: str, operator: asyncpg.Connection) -> None:
    for text in load_statements().values():
        await operator.prepare(text)
