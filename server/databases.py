"""Databases: what a server stands on. An operator's own, or those of its data folder, started for it."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from contracts import limits
from server.embedded import Embedded, start_embedded
from server.settings import Settings
from server.storage import migrations


class Databases(msgspec.Struct, frozen=True):
    database_url: str
    redis_url: str
    #: Those of the data folder, to be watched; None where the databases are an operator's.
    embedded: Embedded | None = None

    @property
    def home(self) -> str | None:
        """The data folder's id, if there is one."""
        return None if self.embedded is None else self.embedded.folder.home_id


async def open_databases(settings: Settings, ends: AsyncExitStack, say: Callable[[str], None]) -> Databases:
    """
    Both databases, their schema the one this code needs; what was started ends with `ends`.

    Embedded ones are migrated, others are refused where they don't fit. Raises EmbeddedFailed, SchemaRefused, a Fault.
    """
    if settings.database_url and settings.redis_url:
        await migrations.check(settings.database_url)
        return Databases(settings.database_url, settings.redis_url)
    embedded = await start_embedded(Path(settings.data_dir), say)
    ends.push_async_callback(embedded.stop, limits.STOP_DATABASES_S)
    await migrations.up(embedded.database_url)
    return Databases(embedded.database_url, embedded.redis_url, embedded)
