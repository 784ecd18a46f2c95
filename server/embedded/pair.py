"""
The pair: both databases of one data folder, as one thing to start, to find and to stop.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from server.embedded import postgres, valkey
from server.embedded.account import Account, EmbeddedFailed, choose_account
from server.embedded.database import Database
from server.embedded.folder import DataFolder, Urls, read_urls

#: With the kill after it, both databases are gone within two seconds.
_PATIENCE_S = 1.8


class Homes(msgspec.Struct, frozen=True):
    """Where in a data folder each database lives, and as whom."""

    postgres: Path
    valkey: Path
    account: Account

    async def end(self, patience_s: float) -> bool:
        """End what works in them; True if there was any."""
        ended = await asyncio.gather(
            postgres.end(self.postgres, self.account, patience_s),
            valkey.end(self.valkey, self.account, patience_s),
        )
        return any(ended)


def homes_in(data_dir: Path) -> Homes:
    homes = (data_dir / "postgres", data_dir / "valkey")
    programs = (postgres.programs_folder() / "bin", valkey.program().parent)
    return Homes(*homes, choose_account((*homes, data_dir), programs))


class Embedded:
    """The running databases of a data folder that this process holds."""

    def __init__(self, folder: DataFolder, homes: Homes, say: Callable[[str], None], *, is_durable: bool) -> None:
        """Nothing is started; `start_embedded` does that."""
        self.folder = folder
        self._homes, account = homes, homes.account
        self.postgres = Database(
            "PostgreSQL",
            partial(postgres.start, homes.postgres, account, say, is_durable=is_durable),
            partial(postgres.end, homes.postgres, account),
        )
        self.valkey = Database(
            "Valkey",
            partial(valkey.start, homes.valkey, account, secrets.token_urlsafe(24), is_durable=is_durable),
            partial(valkey.end, homes.valkey, account),
        )
        self._both = (self.postgres, self.valkey)

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    def alive(self) -> bool:
        """Whether both databases run."""
        return all(database.is_alive() for database in self._both)

    async def start(self, say: Callable[[str], None]) -> None:
        """End what a killed server left, and start both side by side. Raises EmbeddedFailed; then `stop` it."""
        self.folder.forget_urls()
        if await self._homes.end(_PATIENCE_S):
            say("ended the databases that a killed server had left running")
        # Waits for both also when one fails or all is cancelled, so that none is still starting at the stop.
        outcomes = await asyncio.gather(*(database.start() for database in self._both), return_exceptions=True)
        for problem in filter(None, outcomes):
            raise problem
        self.folder.write_urls(Urls(self.database_url, self.redis_url))

    async def watch(self) -> None:
        """Start again whichever dies, on its port. Runs until cancelled, which must come before `stop`."""
        await asyncio.gather(*(database.watch() for database in self._both))

    async def stop(self, patience_s: float = _PATIENCE_S) -> None:
        """Stop both and let go of the folder; a tenth of a second as a rule. Idempotent.

        A database that hasn't stopped after `patience_s` is killed: everything acked is on disk all the same, and the
        next start replays it."""
        if not self.folder.is_held:
            return  # by now the folder, and what works in it, may be somebody else's
        self.folder.forget_urls()
        await asyncio.gather(*(database.end(patience_s) for database in self._both))
        self.folder.close()


async def start_embedded(data_dir: Path, say: Callable[[str], None], *, is_durable: bool = True) -> Embedded:
    """Hold the data folder and start its databases, whatever state an earlier server left them in.

    `say` gets a few words for a person at each step that takes time. `is_durable=False` is for tests: faster, and lost
    with the machine. Raises DataFolderInUse, EmbeddedFailed; nothing is left running then."""
    folder = DataFolder(data_dir)
    try:
        homes = homes_in(folder.path)
    except EmbeddedFailed:
        folder.close()
        raise
    embedded = Embedded(folder, homes, say, is_durable=is_durable)
    try:
        await embedded.start(say)
    except BaseException:
        await embedded.stop()
        raise
    return embedded


def read_running(data_dir: Path) -> Urls | None:
    """The databases that run for this folder now, or None. A killed server's count too: they answer.

    Raises EmbeddedFailed if the folder is another user's."""
    path = data_dir.resolve()
    urls = read_urls(path)
    if urls is None:
        return None
    homes = homes_in(path)
    return urls if postgres.workplace(homes.postgres, homes.account).at_work() else None


@asynccontextmanager
async def borrow_databases(data_dir: Path, say: Callable[[str], None]) -> AsyncIterator[Urls]:
    """The databases of a folder for a short while: the running ones, else started here and stopped at the end."""
    running = read_running(data_dir)
    if running is not None:
        yield running
        return
    embedded = await start_embedded(data_dir, say)
    try:
        yield Urls(embedded.database_url, embedded.redis_url)
    finally:
        await embedded.stop()
