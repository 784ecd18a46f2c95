"""
Flushes: entries of real rooms into a real PostgreSQL, by the journal's own statement.

A group's entries are those of one tick: as many moves of as many rooms as would meet in one flush.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from bench.stage import Stage
from server.core.journal import Entry
from server.storage import migrations
from server.storage.database import Database
from server.storage.journal import Journal
from server.storage.nodes import Nodes
from tests.micro.workloads import Work

#: Where our own code of a flush is; asyncpg's is not.
SERVER = Path(__file__).parents[2] / "server"
NODE = "micro"
#: Moves of one room in a group.
TOGETHER = 4


class FlushBench:
    """A journal on a fresh database; its own event loop, so that synchronous benchmarks can use it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._runner = asyncio.Runner()
        self._stage = Stage(TOGETHER)
        self._moves: list[Entry] = []
        self._room = 0

    def __enter__(self) -> Self:
        self._runner.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _open(self) -> None:
        await migrations.up(self._url)
        self._database = await Database(self._url, NODE).__aenter__()
        await Nodes(self._database).register(NODE, "home", "127.0.0.1:1", 3600.0)
        self._journal = Journal(self._database)
        self._operator = await asyncpg.connect(self._url)

    async def _close(self) -> None:
        await self._operator.close()
        await self._database.__aexit__(None, None, None)

    def group(self, rows: int) -> list[Entry]:
        """Entries that nobody has written yet, `TOGETHER` of a room."""
        if not self._moves:
            self._stage.settle()
            self._stage.receive(self._stage.bodies(TOGETHER))
            self._moves = self._stage.take()
        entries: list[Entry] = []
        while len(entries) < rows:
            self._room += 1
            room_id = f"{self._room:012}"
            entries += (Entry(room_id, *move.row()[1:]) for move in self._moves)
        return entries[:rows]

    def work(self, rows: int) -> Work:
        groups: list[list[Entry]] = []
        return Work(lambda: self.flush(groups.pop()), "entry", rows, lambda: groups.append(self.group(rows)))

    def flush(self, entries: Sequence[Entry]) -> None:
        """Returns when they are committed."""
        self._runner.run(self._journal.flush(NODE, entries))

    def wal_bytes(self, run: Callable[[], object]) -> int:
        """What PostgreSQL logs for it; the first write to a page after a checkpoint logs the whole page."""
        before = self._runner.run(self._operator.fetchval("SELECT pg_current_wal_insert_lsn()"))
        run()
        return int(self._runner.run(self._operator.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", before)))

    def transactions(self, run: Callable[[], object]) -> int:
        """How many transactions that write it is."""
        before = self._runner.run(
            self._operator.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        )
        run()
        after = self._runner.run(
            self._operator.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        )
        return int(after - before)
