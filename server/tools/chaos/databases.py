"""
Databases: PostgreSQL and Valkey of the harness' own, and everything that can be done to them.

Both are the embedded ones, in a temporary folder. What is killed is started again on its port and data folder, as an
operator's service manager would.
"""

import contextlib
import os
import secrets
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import redis.asyncio

from server.embedded import Embedded, postgres, start_embedded, valkey
from server.embedded.database import Database
from server.embedded.pair import Homes, homes_in
from server.storage import migrations
from server.tools.chaos.history import Row
from server.tools.chaos.waiting import poll

_AGAIN_S = 30.0
_READ_ALL = (
    "SELECT room_id, room_seq, epoch, session_id, seq, kind, patch, events FROM actions ORDER BY room_id, room_seq"
)


class _Processes(ABC):
    """A database as the processes it is."""

    @abstractmethod
    def _processes(self) -> list[psutil.Process]: ...

    def freeze(self) -> None:
        """SIGSTOP all of it."""
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            process.resume()


class Postgres(_Processes):
    """One PostgreSQL server; scenarios get a fresh database in it."""

    def __init__(self, embedded: Embedded, homes: Homes) -> None:
        self._root_url = embedded.database_url
        self._homes = homes
        self._embedded = embedded
        self._is_killed = False

    # -- a scenario's database ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def fresh(self, *, is_migrated: bool) -> AsyncIterator[str]:
        """The URL of a new database, dropped at the end whoever is still connected."""
        name = f"chaos_{secrets.token_hex(6)}"
        await self._execute(f"CREATE DATABASE {name}")
        url = self._root_url.replace("/holdfast?", f"/{name}?")
        try:
            if is_migrated:
                await migrations.up(url)
            yield url
        finally:
            await self.heal()
            await self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    # -- the levers -----------------------------------------------------------------------------------------------

    async def kill_backend(self, url: str) -> None:
        """SIGKILL the process of one connection of this database: PostgreSQL then restarts all of them."""
        pid = await self._fetchval(
            "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend' LIMIT 1",
            urlsplit(url).path[1:],
        )
        os.kill(pid, signal.SIGKILL)

    async def cancel_statements(self, url: str) -> int:
        """End what its connections run just now, with SQLSTATE 57014; how many did."""
        cancelled = await self._fetchval(
            "SELECT count(*) FROM (SELECT pg_cancel_backend(pid) AS done FROM pg_stat_activity "
            "WHERE datname = $1 AND state = 'active' AND pid <> pg_backend_pid()) AS asked WHERE done",
            urlsplit(url).path[1:],
        )
        return int(cancelled)

    async def kill(self) -> None:
        """SIGKILL the postmaster; its children follow by themselves."""
        self._postmaster().kill()
        self._is_killed = True

    async def start_again(self) -> None:
        """After `kill`: on its port and folder. Returns when it answers."""
        await poll(self._is_gone, _AGAIN_S)
        self._embedded.postgres.is_alive()  # takes note of its dead child, so that no zombie stays
        await self._embedded.postgres.start()
        self._is_killed = False

    async def start_if_ended(self) -> None:
        """If it gave up by itself, as with a full disk."""
        if not self._processes():
            await self.start_again()

    def pids(self) -> list[int]:
        """Of all its processes."""
        return [process.pid for process in self._processes()]

    async def turn_read_only(self, is_read_only: bool) -> None:
        """As a primary that was demoted: every transaction that begins from now on, in old sessions too."""
        await self._execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_read_only else 'off'}")
        await self._execute("SELECT pg_reload_conf()")

        async def is_known() -> bool:
            now: str = await self._fetchval("SHOW default_transaction_read_only")
            return now == ("on" if is_read_only else "off")

        await poll(is_known, _AGAIN_S)

    async def heal(self) -> None:
        """Whatever was done to it. Idempotent."""
        self.thaw()
        if self._is_killed:
            await self.start_again()
        await self.turn_read_only(False)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _processes(self) -> list[psutil.Process]:
        return postgres.workplace(self._homes.postgres, self._homes.account).at_work()

    def _postmaster(self) -> psutil.Process:
        processes = self._processes()
        pids = {process.pid for process in processes}
        return next(process for process in processes if process.ppid() not in pids)

    async def _is_gone(self) -> bool:
        return not self._processes()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._root_url, timeout=5)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _fetchval(self, statement: str, *args: object) -> Any:
        connection = await asyncpg.connect(self._root_url, timeout=5)
        try:
            return await connection.fetchval(statement, *args)
        finally:
            await connection.close()


class Valkey(_Processes):
    """One Valkey server, emptied for each scenario."""

    def __init__(self, database: Database, home: Path, homes: Homes) -> None:
        self.url = database.url
        self._database = database
        self._home = home
        self._account = homes.account
        self._is_killed = False

    async def empty(self) -> None:
        async with redis.asyncio.Redis.from_url(self.url) as client:
            await client.flushall()

    async def kill(self) -> None:
        """SIGKILL. What it held is lost: it writes no file that is young enough."""
        for process in self._processes():
            process.kill()
        self._is_killed = True

    async def start_again(self) -> None:
        """After `kill`: empty, on its port and with its password. Returns when it answers."""
        await poll(self._is_gone, _AGAIN_S)
        self._database.is_alive()  # takes note of its dead child, so that no zombie stays
        (self._home / "dump.rdb").unlink(missing_ok=True)
        await self._database.start()
        self._is_killed = False

    async def turn_read_only(self, is_read_only: bool) -> None:
        """A replica of nobody refuses writes with READONLY, as a demoted primary does."""
        await self._command("REPLICAOF", *(("127.0.0.1", "1") if is_read_only else ("NO", "ONE")))

    async def limit_memory(self, bytes_max: int) -> None:
        """Writes past it are refused with OOM; 0 is no limit."""
        await self._command("CONFIG", "SET", "maxmemory", bytes_max, "maxmemory-policy", "noeviction")

    async def heal(self) -> None:
        """Whatever was done to it. Idempotent."""
        self.thaw()
        if self._is_killed:
            await self.start_again()
        await self.turn_read_only(False)
        await self.limit_memory(0)

    async def end(self) -> None:
        """For one that is the caller's."""
        await self._database.end(1.0)

    async def _command(self, *words: object) -> None:
        async with redis.asyncio.Redis.from_url(self.url, socket_timeout=5) as client:
            await client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _is_gone(self) -> bool:
        return not self._processes()

    def _processes(self) -> list[psutil.Process]:
        return valkey.workplace(self._home, self._account).at_work()


class Databases:
    """Both, for one run of the harness."""

    def __init__(self, embedded: Embedded) -> None:
        homes = homes_in(embedded.folder.path)
        self.postgres = Postgres(embedded, homes)
        self.valkey = Valkey(embedded.valkey, homes.valkey, homes)
        self._homes = homes

    async def second_valkey(self, home: Path) -> Valkey:
        """Another one, whose end is the caller's."""
        account = self._homes.account
        database = Database(
            "Valkey",
            partial(valkey.start, home, account, secrets.token_urlsafe(24), is_durable=False),
            partial(valkey.end, home, account),
        )
        await database.start()
        return Valkey(database, home, self._homes)


@asynccontextmanager
async def databases_in(folder: Path, *, is_durable: bool = True) -> AsyncIterator[Databases]:
    """Both, until the end; made in `folder`, which should be new."""
    embedded = await start_embedded(folder, lambda words: None, is_durable=is_durable)
    databases = Databases(embedded)
    try:
        yield databases
    finally:
        with contextlib.suppress(psutil.Error):
            databases.postgres.thaw()
            databases.valkey.thaw()
        await embedded.stop()


async def read_rows(url: str) -> list[Row]:
    """All of `actions`, by room and roomSeq."""
    return [Row(**dict(row)) for row in await _fetch(url, _READ_ALL)]


async def ends_of(url: str) -> dict[str, int]:
    """The last roomSeq of each room."""
    rows = await _fetch(url, "SELECT room_id, max(room_seq) AS last FROM actions GROUP BY room_id")
    return {row["room_id"]: row["last"] for row in rows}


async def epoch_of(url: str, room_id: str) -> int:
    """How often a room has been claimed."""
    rows = await _fetch(url, "SELECT epoch FROM rooms WHERE room_id = $1", room_id)
    return int(rows[0]["epoch"])


async def _fetch(url: str, statement: str, *args: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return list(await connection.fetch(statement, *args))
    finally:
        await connection.close()
