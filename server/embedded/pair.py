"""
The pair: both databases of one data folder, as one thing to start, to find and to stop.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from server.embedded import postgres, valkey
from server.embedded.account import Account, EmbeddedFailed, choose_account
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

    def __init__(self, folder: DataFolder, homes: Homes, urls: Urls, children: list[subprocess.Popen[bytes]]) -> None:
        self.folder = folder
        self.database_url = urls.database_url
        self.redis_url = urls.redis_url
        self._homes = homes
        self._children = children

    def alive(self) -> bool:
        """Whether both databases run; one that died stays dead until the next start."""
        return all(child.poll() is None for child in self._children)

    async def stop(self, patience_s: float = _PATIENCE_S) -> None:
        """Stop both and let go of the folder; a tenth of a second as a rule. Idempotent.

        A database that hasn't stopped after `patience_s` is killed: everything acked is on disk all the same, and the
        next start replays it."""
        if not self.folder.is_held:
            return  # by now the folder, and what works in it, may be somebody else's
        await _stop(self.folder, self._homes, self._children, patience_s)


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
    children: list[subprocess.Popen[bytes]] = []
    try:
        folder.forget_urls()
        if await homes.end(_PATIENCE_S):
            say("ended the databases that a killed server had left running")
        child, database_url = await postgres.start(homes.postgres, homes.account, say, is_durable=is_durable)
        children.append(child)
        child, redis_url = await valkey.start(homes.valkey, homes.account, is_durable=is_durable)
        children.append(child)
        urls = Urls(database_url, redis_url)
        folder.write_urls(urls)
    except BaseException:
        await _stop(folder, homes, children, _PATIENCE_S)
        raise
    return Embedded(folder, homes, urls, children)


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


async def _stop(folder: DataFolder, homes: Homes, children: list[subprocess.Popen[bytes]], patience_s: float) -> None:
    folder.forget_urls()
    await homes.end(patience_s)
    for child in children:
        child.wait()
    folder.close()
