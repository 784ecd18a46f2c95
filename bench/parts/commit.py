"""
Commit: the ack at low load, beside what nobody can go below: one row, inserted and committed alone in the same
PostgreSQL.

The bare loop sits on the server's core and does its INSERT at the same pace as the intents come, because a machine
that sleeps in between answers more slowly than one that is kept busy; how fast it is without pauses is shown too. A
commit is timed from when it is sent, so the ack is too: the bots' schedule looks at the clock once in a millisecond,
and what an intent waits for that (their own `late`) is told, and taken off. Both medians are of the same intents.
"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median

import asyncpg
import msgspec
import uvloop

from bench.generator import Load
from bench.parts.base import START_S, Stage, Step
from bench.places import at
from bench.subjects import OURS

#: 20 actions a second: each alone in its flush.
LOAD = Load(clients=4, rooms=1, rate_hz=5, seconds=6, warmup_s=1)
BUSY_COMMITS = 500
#: About what an entry of the journal takes.
ROW_BYTES = 150

_TABLE = "CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entry bytea NOT NULL)"


class Commit(msgspec.Struct, frozen=True, rename="camel"):
    """One pair: medians in ms."""

    #: From when an intent was due; and of that, until it was sent.
    ack_ms: float
    late_ms: float
    #: Of the bare commits, at the same pace and without pauses.
    paced_ms: float
    busy_ms: float

    @property
    def sent_to_ack_ms(self) -> float:
        return self.ack_ms - self.late_ms


class CommitPart:
    def __init__(self, stage: Stage, found: list[Commit]) -> None:
        self.found = found
        self._stage = stage
        self._bare = (0.0, 0.0)

    def steps(self) -> Iterator[Step]:
        runs = self._stage.options.runs
        for number in range(runs):
            yield Step(f"bare commits, {number + 1} of {runs}", LOAD.seconds + 2, self._commit)
            yield Step(f"{LOAD}, {number + 1} of {runs}", LOAD.takes_s + START_S, self._ack)

    def _commit(self) -> str:
        databases = self._stage.databases
        urls = databases.fresh()
        try:
            with at(self._stage.places.server), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                self._bare = runner.run(_commits(urls.database_url))
        finally:
            databases.drop(urls)
        paced_ms, busy_ms = self._bare
        return f"p50 {paced_ms:.2f} ms at that pace, {busy_ms:.2f} ms without pauses"

    def _ack(self) -> str:
        figures = self._stage.play(OURS, LOAD)
        found = Commit(figures.ack_ms.p50, figures.late_ms.p50, *self._bare)
        self.found.append(found)
        return f"ack p50 {found.ack_ms:.2f} ms, {found.sent_to_ack_ms:.2f} ms from when it was sent"


async def _commits(database_url: str) -> tuple[float, float]:
    """Medians in ms: of commits at the pace of the load, and without pauses."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_TABLE)
        insert = await connection.prepare("INSERT INTO bare (entry) VALUES ($1)")
        pause_s = 1 / (LOAD.clients * LOAD.rate_hz)
        paced = [await _took_ms(insert, pause_s) for _ in range(round(LOAD.seconds / pause_s))]
        busy = [await _took_ms(insert, 0) for _ in range(BUSY_COMMITS)]
    finally:
        await connection.close()
    return median(paced), median(busy)


async def _took_ms(insert: asyncpg.prepared_stmt.PreparedStatement, pause_s: float) -> float:
    if pause_s:
        await asyncio.sleep(pause_s)
    begun = time.perf_counter()
    await insert.fetch(bytes(ROW_BYTES))
    return (time.perf_counter() - begun) * 1000
