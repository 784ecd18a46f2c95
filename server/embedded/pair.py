"""
The pair: both databases of one data folder, as one thing to start, to find and to stop.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from server.embedded import postgres, valkey
from server.embedded.account import choose_account
from server.embedded.folder import DataFolder, Urls, read_urls

#: With the kill after it, both databases are gone within two seconds.
_PATIENCE_S = 1.8


class Embedded:
    """The running databases of a data folder that this process holds."""

    def __init__(self, folder: DataFolder, urls: Urls, children: list[subprocess.Popen[bytes]]) -> None:
        self.folder = folder
        self.database_url = urls.database_url
        self.redis_url = urls.redis_url
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
        await _stop(self.folder, self._children, patience_s)


async def start_embedded(data_dir: Path, say: Callable[[str], None], *, is_durable: bool = True) -> Embedded:
    """Hold the data folder and start its databases, whatever state an earlier server left them in.

    `say` gets a few words for a person at each step that takes time. `is_durable=False` is for tests: faster, and lost
    with the machine. Raises DataFolderInUse, EmbeddedFailed; nothing is left running then."""
    folder = DataFolder(data_dir)
    children: list[subprocess.Popen[bytes]] = []
    try:
        account = choose_account(folder.path, _postgres_home(folder.path))
        if await _end(folder, _PATIENCE_S):
            say("ended the databases that a killed server had left running")
        child, database_url = await postgres.start(_postgres_home(folder.path), account, say, is_durable=is_durable)
        children.append(child)
        child, redis_url = await valkey.start(_valkey_home(folder.path), account, is_durable=is_durable)
        children.append(child)
        urls = Urls(database_url, redis_url)
        folder.write_urls(urls)
    except BaseException:
        await _stop(folder, children, _PATIENCE_S)
        raise
    return Embedded(folder, urls, children)


def read_running(data_dir: Path) -> Urls | None:
    """The databases that run for this folder now, or None. A killed server's count too: they answer.

    Raises EmbeddedFailed if the folder is another user's."""
    path = data_dir.resolve()
    urls = read_urls(path)
    return urls if urls is not None and postgres.is_at_work(_postgres_home(path)) else None


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


async def _stop(folder: DataFolder, children: list[subprocess.Popen[bytes]], patience_s: float) -> None:
    await _end(folder, patience_s)
    for child in children:
        child.wait()
    folder.close()


async def _end(folder: DataFolder, patience_s: float) -> bool:
    folder.forget_urls()
    ended = await asyncio.gather(
        postgres.end(_postgres_home(folder.path), patience_s),
        valkey.end(_valkey_home(folder.path), patience_s),
    )
    return any(ended)


def _postgres_home(folder: Path) -> Path:
    return folder / "postgres"


def _valkey_home(folder: Path) -> Path:
    return folder / "valkey"
