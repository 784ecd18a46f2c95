"""
Databases: how a verb reaches what a server uses, be it running or stopped.

    HOLDFAST_DATABASE_URL   that PostgreSQL; Redis too if its URL is given
    else the data folder    the running embedded databases; those of a stopped server are started for the while

A reader never makes a data folder: a mistyped one would come up empty, and look like a loss of everything.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from server.embedded import Urls, borrow_databases, read_running
from server.settings import Settings
from server.storage import migrations
from server.storage.database import Database

#: What the connections of verbs call themselves; no node has such an id.
READER = "holdfast-verb"


class NoData(Exception):
    """The data folder holds no databases."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder.resolve()} holds no databases of a server: name the right folder with --data-dir, "
            "or a PostgreSQL with HOLDFAST_DATABASE_URL"
        )


@asynccontextmanager
async def reach(settings: Settings, say: Callable[[str], None], *, makes_data: bool = False) -> AsyncIterator[Urls]:
    """The URLs of the databases; Redis' is empty if none is known.

    Raises NoData unless it `makes_data`, DataFolderInUse (a server starts or stops there just now), EmbeddedFailed."""
    if settings.database_url:
        yield Urls(settings.database_url, settings.redis_url)
        return
    folder = Path(settings.data_dir)
    if not (makes_data or has_data(folder)):
        raise NoData(folder)
    async with borrow_databases(folder, say) as urls:
        yield urls


@asynccontextmanager
async def open_to_read(settings: Settings, say: Callable[[str], None]) -> AsyncIterator[tuple[Database, Urls]]:
    """PostgreSQL with the tables that this version knows, and the URLs. Raises what `reach` does, SchemaRefused, and
    Unavailable."""
    async with reach(settings, say) as urls:
        await migrations.check(urls.database_url)
        async with Database(urls.database_url, READER) as database:
            yield database, urls


def find_running(settings: Settings) -> str | None:
    """PostgreSQL's URL if it is an operator's own or runs in the data folder now."""
    if settings.database_url:
        return settings.database_url
    running = read_running(Path(settings.data_dir))
    return None if running is None else running.database_url


def has_data(folder: Path) -> bool:
    """Whether a server has ever made its databases there."""
    return (folder / "postgres").is_dir()
