"""
Migrations: the steps from nothing to the tables this code needs; forward only.

    migrations/0002_what_it_does.sql             old code runs on the new tables
    migrations/0003_what_it_does.breaking.sql    code that doesn't know this step must not run any more

Each step is one transaction together with its row in `schema_migrations`, so a killed migration leaves whole steps, and
the next one goes on after them. An advisory lock lets one at a time through.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files

import asyncpg
import msgspec

from server.core.faults import OutcomeUnknown
from server.storage.classify import VendorError, classify
from server.storage.database import CONNECT_S

#: The advisory lock's number: "hold" in ASCII.
_LOCK = 0x686F6C64
#: How long a migration waits for another, or for a table in use.
_LOCK_WAIT = "60s"
_FILE = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)(?P<breaking>\.breaking)?\.sql")
_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        breaking boolean NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""
_APPLIED = """
    SELECT version, name, breaking, (extract(epoch FROM applied_at) * 1000)::bigint
    FROM schema_migrations
    ORDER BY version
"""


class SchemaRefused(Exception):
    """The database's tables and this code don't fit; the text is a sentence for the person who started it."""


class Migration(msgspec.Struct, frozen=True):
    """One step. `is_breaking`: code that doesn't know it can't work with the tables after it."""

    version: int
    name: str
    is_breaking: bool
    script: str


class Applied(msgspec.Struct, frozen=True):
    """A step that the database has behind it."""

    version: int
    name: str
    is_breaking: bool
    #: Milliseconds since the Unix epoch.
    applied_at: int


class Status(msgspec.Struct, frozen=True):
    """Where a database stands, as the asking code sees it; each list in order."""

    applied: list[Applied]
    #: Known to the code, missing in the database.
    pending: list[Migration]
    #: Not known to the code, and it can't work with them.
    breaking: list[Applied]


def load_migrations() -> list[Migration]:
    """The steps that this code knows, in order."""
    found = ((file, _FILE.fullmatch(file.name)) for file in files(__package__).joinpath("migrations").iterdir())
    return sorted(
        (
            Migration(int(match["version"]), match["name"], match["breaking"] is not None, file.read_text())
            for file, match in found
            if match is not None
        ),
        key=lambda migration: migration.version,
    )


async def up(url: str, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Take the steps that are left; returns them. Many may call it at once, and any number of times.

    Raises SchemaRefused if a step fails or the tables are too new for this code, Unavailable without PostgreSQL."""
    async with _connected(url) as connection:
        await connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_HISTORY)
        before = await _status(connection, migrations)
        _refuse_breaking(before)
        for migration in before.pending:
            await _apply(connection, migration)
        return before.pending


async def status(url: str, migrations: Sequence[Migration] | None = None) -> Status:
    """Where the database stands; changes nothing. Raises Unavailable."""
    async with _connected(url) as connection:
        return await _status(connection, migrations)


async def check(url: str, migrations: Sequence[Migration] | None = None) -> None:
    """Raises SchemaRefused if this code can't work with the database's tables, Unavailable without PostgreSQL."""
    found = await status(url, migrations)
    _refuse_breaking(found)
    if found.pending:
        raise SchemaRefused(
            f"the database's tables are older than this version needs (missing: {_names(found.pending)}): "
            "run `holdfast migrate up`"
        )


def _refuse_breaking(found: Status) -> None:
    if found.breaking:
        raise SchemaRefused(
            f"the database's tables are newer than this version can work with (since: {_names(found.breaking)}): "
            "run a newer version"
        )


def _names(steps: Sequence[Migration | Applied]) -> str:
    return ", ".join(f"{step.version:04}_{step.name}" for step in steps)


async def _status(connection: asyncpg.Connection, migrations: Sequence[Migration] | None) -> Status:
    known = load_migrations() if migrations is None else migrations
    is_new = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NULL")
    applied = [] if is_new else [Applied(*row) for row in await connection.fetch(_APPLIED)]
    applied_versions = {step.version for step in applied}
    known_versions = {step.version for step in known}
    return Status(
        applied=applied,
        pending=[step for step in known if step.version not in applied_versions],
        breaking=[step for step in applied if step.is_breaking and step.version not in known_versions],
    )


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.script)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, breaking) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.is_breaking,
            )
    except asyncpg.PostgresError as error:
        if isinstance(classify(error, sent=True), OutcomeUnknown):
            raise  # cut off: whether the step is done, the next run sees
        raise SchemaRefused(f"migration {_names([migration])} fails: {error}") from error


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S)
        try:
            yield connection
        finally:
            connection.terminate()
    except VendorError as error:
        raise classify(error, sent=False) from error
