"""
Databases: one PostgreSQL and one Valkey for a whole comparison, the very ones that `make serve` brings along, fsync on.

Every server gets an empty database in it, so ours and its peers stand on the same processes, settings, disk and cores.
"""

import asyncio
import secrets
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import psutil
import redis.asyncio

from bench.places import Cores, at
from server.embedded import Embedded, Urls, start_embedded


class Databases(AbstractContextManager["Databases"]):
    """They run from `with` to its end, with data in a temporary folder. Raises EmbeddedFailed."""

    def __init__(self, cores: Cores) -> None:
        self._cores = cores
        self._folder = tempfile.TemporaryDirectory(prefix="holdfast-bench-data-", ignore_cleanup_errors=True)
        self._pair: Embedded | None = None

    def __enter__(self) -> Self:
        try:
            with at(self._cores):
                self._pair = asyncio.run(start_embedded(Path(self._folder.name), lambda words: None))
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run(self._running.stop())
        self._folder.cleanup()

    @property
    def postgres_pids(self) -> list[int]:
        return self._pids("postgres")

    @property
    def valkey_pids(self) -> list[int]:
        return self._pids("valkey-server")

    def fresh(self) -> Urls:
        """An empty database, an emptied Valkey, and nothing left to be written of what was before."""
        name = f"bench_{secrets.token_hex(6)}"
        self._execute(f"CREATE DATABASE {name}", "CHECKPOINT")
        asyncio.run(self._empty_valkey())
        return Urls(self._running.database_url.replace("/holdfast?", f"/{name}?"), self._running.redis_url)

    def drop(self, urls: Urls) -> None:
        """A database that `fresh` gave, whoever is still connected."""
        name = urls.database_url.rpartition("/")[2].partition("?")[0]
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _running(self) -> Embedded:
        assert self._pair is not None
        return self._pair

    def _pids(self, name: str) -> list[int]:
        return [child.pid for child in psutil.Process().children() if child.name().startswith(name)]

    def _execute(self, *statements: str) -> None:
        asyncio.run(execute(self._running.database_url, *statements))

    async def _empty_valkey(self) -> None:
        async with redis.asyncio.Redis.from_url(self._running.redis_url) as client:
            await client.flushall()


async def execute(database_url: str, *statements: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(database_url: str, query: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()
