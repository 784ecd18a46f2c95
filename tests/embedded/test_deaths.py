"""
A database that dies while its server lives is back within seconds, at the same address, and nobody else is disturbed.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio
from structlog.testing import capture_logs

from server.embedded import Embedded
from server.embedded.account import EmbeddedFailed
from server.embedded.database import Database, Started
from tests.embedded.conftest import connected, databases_in, gone, leader_of, read, running, write
from tests.runtime.virtual_time import in_virtual_time

BACK_S = 20.0


@asynccontextmanager
async def watched(embedded: Embedded) -> AsyncIterator[None]:
    """Watched as the server does it: the watch ends before the databases are stopped."""
    watch = asyncio.create_task(embedded.watch())
    yield
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


async def kill(folder: Path, program: str) -> None:
    leader = leader_of(folder, program)
    leader.kill()
    await gone(leader)
    # A zombie whose threads are still ending can't be waited for, and so is not seen to be dead.
    await comes_true(lambda: len([*Path(f"/proc/{leader.pid}/task").glob("*")]) <= 1)


async def comes_true(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(BACK_S):
        while not what():
            await asyncio.sleep(0.01)


async def answers(url: str) -> bool:
    try:
        async with connected(url):
            return True
    except (OSError, asyncpg.PostgresError):
        return False


async def pong(url: str) -> bool:
    async with redis.asyncio.Redis.from_url(url, retry=None) as client:
        return bool(await client.ping())


async def test_a_killed_postmaster_is_back_at_its_address_with_its_data(embedded: Embedded, folder: Path) -> None:
    await write(embedded.database_url, "kept")
    url = embedded.database_url
    async with watched(embedded):
        with capture_logs() as logs:
            await kill(folder, "postgres")
            await comes_true(embedded.alive)
    assert (["kept"], url) == (await read(url), embedded.database_url)
    assert ["database.died", "database.started_again"] == [entry["event"] for entry in logs]
    assert -9 == logs[0]["status"]


async def test_its_orphaned_backends_are_ended_first(embedded: Embedded, folder: Path) -> None:
    """A busy backend outlives its postmaster, and PostgreSQL refuses to start beside it."""
    async with watched(embedded):
        connection = await asyncpg.connect(embedded.database_url)
        busy = asyncio.create_task(connection.execute("SELECT sum(n) FROM generate_series(1, 1000000000000) AS n"))
        backend = psutil.Process(connection.get_server_pid())
        await kill(folder, "postgres")
        await comes_true(embedded.alive)
        await gone(backend)
        with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
            await busy


async def test_a_killed_backend_is_no_death(embedded: Embedded, folder: Path) -> None:
    """PostgreSQL restarts its own processes then; the postmaster stays who it is."""
    leader = leader_of(folder, "postgres")
    async with watched(embedded):
        with capture_logs() as logs:
            connection = await asyncpg.connect(embedded.database_url)
            psutil.Process(connection.get_server_pid()).kill()
            await comes_true(connection.is_closed)
            while not await answers(embedded.database_url):
                await asyncio.sleep(0.01)
    assert (leader, []) == (leader_of(folder, "postgres"), logs)


async def test_a_killed_valkey_is_back_at_its_address(embedded: Embedded, folder: Path) -> None:
    url = embedded.redis_url
    async with watched(embedded):
        await kill(folder, "valkey-server")
        await comes_true(embedded.alive)
    assert (True, url) == (await pong(url), embedded.redis_url)


async def test_both_may_die_at_once_and_more_than_once(embedded: Embedded, folder: Path) -> None:
    async with watched(embedded):
        for _ in range(2):
            for program in ("postgres", "valkey-server"):
                await kill(folder, program)
            await comes_true(embedded.alive)
            assert await answers(embedded.database_url)
            assert await pong(embedded.redis_url)


async def test_one_that_cannot_start_is_tried_again_until_it_can(embedded: Embedded, folder: Path) -> None:
    """The tries have pauses between them, and go on."""
    unreadable = folder / "valkey" / "dump.rdb"
    unreadable.write_bytes(b"no dump at all")
    with capture_logs() as logs:
        async with watched(embedded):
            await kill(folder, "valkey-server")
            await comes_true(lambda: 3 == sum(entry["event"] == "database.not_started" for entry in logs))
            unreadable.unlink()
            await comes_true(embedded.alive)
    assert await pong(embedded.redis_url)
    pauses_s = [entry["pause_s"] for entry in logs if entry["event"] == "database.not_started"][:3]
    assert [0.0, 0.25, 0.5] == pauses_s


@in_virtual_time
async def test_one_that_cannot_start_for_hours_is_tried_again_all_the_same() -> None:
    """As on a disk that is full until somebody comes to work. A try of its own takes no time here."""
    starts = [None, *[EmbeddedFailed("No space left on device")] * 5_000, None]
    lives = iter((["true"], ["sleep", "600"]))
    processes: list[subprocess.Popen[bytes]] = []

    async def start(port: int | None) -> Started:
        problem = starts.pop(0)
        if problem is not None:
            raise problem
        processes.append(subprocess.Popen(next(lives)))
        return Started(processes[-1], 1, "url")

    async def end(patience_s: float) -> bool:
        return False

    database = Database("PostgreSQL", start, end)
    await database.start()
    processes[0].wait()
    watch = asyncio.create_task(database.watch())
    with capture_logs() as logs:
        while starts and not watch.done():
            await asyncio.sleep(1)
    watch.cancel()
    for process in processes:
        process.kill()
        process.wait()
    assert [] == starts
    assert 2.0 == logs[-2]["pause_s"]


def names(folder: Path) -> set[str]:
    return {process.name() for process in databases_in(folder)}


async def test_a_stop_in_the_middle_of_a_return_leaves_nothing_running(folder: Path) -> None:
    async with running(folder) as pair, watched(pair):
        await kill(folder, "postgres")
        await comes_true(lambda: "postgres" not in names(folder))
        await comes_true(lambda: "postgres" in names(folder))
    assert [] == databases_in(folder)
