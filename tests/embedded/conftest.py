"""
What the tests of the embedded databases share: servers in processes of their own, and the promise that none is left.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
import psutil
import pytest

from server.embedded import Embedded, Urls, postgres, start_embedded, valkey
from server.embedded.pair import homes_in

ROOT = Path(__file__).parents[2]
#: Where a Python outside our environment finds what this one finds.
PACKAGES = os.pathsep.join([str(ROOT), *(folder for folder in sys.path if folder.endswith("site-packages"))])


class Holder:
    """A server process (`holder.py`) that holds the databases of a folder."""

    def __init__(self, folder: Path, *, python: str = sys.executable, uid: int | None = None) -> None:
        self.process = subprocess.Popen(
            [python, "-m", "tests.embedded.holder", str(folder)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT) if python == sys.executable else PACKAGES},
            user=uid,
            group=uid,
            extra_groups=None if uid is None else (),
        )

    def urls(self) -> Urls:
        """Where its databases listen, once they do."""
        assert self.process.stdout is not None
        return msgspec.json.decode(self.process.stdout.readline(), type=Urls)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder; afterwards nothing is at work in it."""
    folder = tmp_path / "data"
    yield folder
    left_over = databases_in(folder)
    for process in left_over:
        process.kill()
    assert left_over == []


@pytest.fixture
def hold(folder: Path) -> Iterator[Callable[[], Holder]]:
    """Starts server processes on the folder; those that live at the end are stopped."""
    holders: list[Holder] = []

    def start() -> Holder:
        holders.append(Holder(folder))
        return holders[-1]

    yield start
    for holder in holders:
        holder.stop()


@pytest.fixture
async def embedded(folder: Path) -> AsyncIterator[Embedded]:
    """A running pair in the folder, of this very process."""
    async with running(folder) as pair:
        yield pair


@asynccontextmanager
async def running(folder: Path, *, say: Callable[[str], None] = lambda _: None) -> AsyncIterator[Embedded]:
    pair = await start_embedded(folder, say, is_durable=False)
    try:
        yield pair
    finally:
        await pair.stop()


def databases_in(folder: Path) -> list[psutil.Process]:
    homes = homes_in(folder)
    workplaces = (postgres.workplace(homes.postgres, homes.account), valkey.workplace(homes.valkey, homes.account))
    return [process for workplace in workplaces for process in workplace.at_work()]


def leader_of(folder: Path, program: str) -> psutil.Process:
    """The postmaster, or Valkey."""
    return next(p for p in databases_in(folder) if p.name() == program and not p.cmdline()[0].startswith("postgres:"))


async def gone(process: psutil.Process) -> None:
    """Wait until a process that was killed is dead; a zombie is."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        await asyncio.sleep(0.01)


async def write(url: str, what: str) -> None:
    async with connected(url) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        await connection.execute("INSERT INTO words VALUES ($1)", what)


async def read(url: str) -> list[str]:
    async with connected(url) as connection:
        return [row["word"] for row in await connection.fetch("SELECT word FROM words ORDER BY word")]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
