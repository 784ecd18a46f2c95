"""
Storage: what PostgreSQL and Redis see of an action and of a player, on this machine.

    python -m bench.storage              all of it, about two minutes
    python -m bench.storage --seconds 1  more roughly

PostgreSQL is the embedded one with fsync on, written by the journal's own statement with the moves of `game` rooms; its
log is read from its own positions, and tables are measured as they lie on the disk. Redis is asked for its own counts
of commands, while a whole server has some players.
"""

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import asyncpg
import msgspec
import psutil

from bench import presence
from bench.presence import Presence
from bench.stage import NOW_MS, Stage
from contracts.limits import HISTORY_ENTRIES_MAX
from server.core.effects import Send
from server.core.identifiers import new_id
from server.core.journal import Entry
from server.core.recovery import snapshot_of
from server.embedded import Urls, start_embedded
from server.storage import migrations
from server.storage.database import Database
from server.storage.stores import Stores, stores_of

NODE = "bench-node-0"
#: No disk of ours does more: how many flushes are prepared.
FLUSHES_A_SECOND_MAX = 6_000
#: Nodes that flush at once, and rows of each flush.
GROUPS = ((1, 1), (1, 6), (1, 20), (1, 100), (8, 1), (8, 20))
#: Of 50 players at 2, 5 and 16 intents a second.
MOVES_A_TICK = (5, 12, 40)
#: Rooms of each kind that are made to see what one needs.
ROOMS_KEPT = 15
#: Rows of a flush where how many they are is not the question.
ROWS = 100
PLAYERS = 50
#: Rooms whose actions meet in a flush.
ROOMS = 200
#: Actions for what lies on the disk; enough that a page more or less is nothing.
ACTIONS = 100_000


class Group(msgspec.Struct, frozen=True):
    """Flushes of `rows` actions by so many nodes at once, each one flush after the other on a connection of its own."""

    nodes: int
    rows: int
    actions_a_second: float
    p50_ms: float
    p99_ms: float
    #: CPU of PostgreSQL, all of its processes.
    cpu_us_an_action: float
    #: Of PostgreSQL's log.
    wal_bytes_an_action: float


class Disk(msgspec.Struct, frozen=True):
    """Bytes an action on the disk, after so many of them in `ROOMS` rooms."""

    actions: int
    table: float
    primary_key: float
    once: float
    #: Log, with what a checkpoint before it adds.
    wal: float


class Postgres(msgspec.Struct, frozen=True):
    groups: list[Group]
    disk: Disk
    #: Bytes of an entry's intent and patch.
    intent_bytes: float
    patch_bytes: float
    #: Log of a join and a leave, both with their character; of a snapshot of a room with `PLAYERS`, and its row.
    session_wal_bytes: float
    snapshot_wal_bytes: float
    snapshot_row_bytes: float


class Moves:
    """Entries of moves that nobody has written yet, of `ROOMS` rooms in turn."""

    def __init__(self) -> None:
        random = Random(1)
        self._rooms = [(new_id(random), Stage(4)) for _ in range(ROOMS)]
        self._turn = 0

    def take(self, count: int) -> list[Entry]:
        entries: list[Entry] = []
        for _ in range(count):
            room_id, stage = self._rooms[self._turn % ROOMS]
            self._turn += 1
            stage.receive(stage.bodies(1))
            entries += (Entry(room_id, *entry.row()[1:]) for entry in stage.take())
            stage.commit()
            stage.journal.clear()
        return entries


async def postgres(url: str, seconds: float, actions: int = ACTIONS) -> Postgres:
    """`seconds` for each size of group, so many `actions` for what lies on the disk. The database must be empty."""
    await migrations.up(url)
    operator = await asyncpg.connect(url)
    async with Database(url, NODE) as database:
        stores = stores_of(database)
        await stores.nodes.register(NODE, None, "127.0.0.1:1", 3600.0)
        moves = Moves()
        groups = [await _group(url, operator, moves, nodes, rows, seconds) for nodes, rows in GROUPS]
        sample = moves.take(1000)
        disk = await _disk(stores, operator, moves, actions)
        found = Postgres(
            groups=groups,
            disk=disk,
            intent_bytes=statistics.mean(len(entry.intent or b"") for entry in sample),
            patch_bytes=statistics.mean(len(entry.patch or b"") for entry in sample),
            session_wal_bytes=await _sessions(stores, operator),
            **await _snapshot(stores, operator),
        )
    await operator.close()
    return found


async def _group(url: str, operator: asyncpg.Connection, moves: Moves, nodes: int, rows: int, seconds: float) -> Group:
    # Made beforehand: making moves is the rooms' work, and would slow the flushes of other nodes.
    groups = deque(moves.take(rows) for _ in range(round(seconds * FLUSHES_A_SECOND_MAX / (1 + rows / 20))))
    times: list[float] = []

    async def flush(node_id: str) -> None:
        async with Database(url, node_id) as database:
            stores = stores_of(database)
            await stores.nodes.register(node_id, None, "127.0.0.1:1", 3600.0)
            while groups and time.perf_counter() < end:
                entries = groups.popleft()
                started = time.perf_counter()
                await stores.journal.flush(node_id, entries)
                times.append(time.perf_counter() - started)

    before, cpu_before, began = await _wal(operator), _postgres_cpu_s(), time.perf_counter()
    end = began + seconds
    await asyncio.gather(*(flush(f"bench-node-{number}") for number in range(nodes)))
    took, cpu_s, wal = time.perf_counter() - began, _postgres_cpu_s() - cpu_before, await _wal(operator) - before
    actions, ranked = rows * len(times), sorted(times)
    return Group(
        nodes=nodes,
        rows=rows,
        actions_a_second=actions / took,
        p50_ms=ranked[len(ranked) // 2] * 1000,
        p99_ms=ranked[len(ranked) * 99 // 100] * 1000,
        cpu_us_an_action=cpu_s / actions * 1e6,
        wal_bytes_an_action=wal / actions,
    )


def _postgres_cpu_s() -> float:
    """Of the server with all its children, those that have ended included."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            if process.name().startswith("postgres"):
                spent += times.user + times.system + times.children_user + times.children_system
    return spent


async def _disk(stores: Stores, operator: asyncpg.Connection, moves: Moves, actions: int) -> Disk:
    await operator.execute("TRUNCATE actions")
    await operator.execute("CHECKPOINT")
    before = await _wal(operator)
    for _ in range(actions // ROWS):
        await stores.journal.flush(NODE, moves.take(ROWS))
    wal = await _wal(operator) - before
    sizes = await operator.fetch(
        """
        SELECT coalesce(up.relname, c.relname) AS name, sum(pg_relation_size(c.oid)) AS bytes
        FROM pg_class AS c LEFT JOIN pg_inherits ON inhrelid = c.oid LEFT JOIN pg_class AS up ON up.oid = inhparent
        WHERE c.relkind IN ('r', 'i') AND c.relname LIKE 'actions%' GROUP BY 1
        """
    )
    by_name = {row["name"]: float(row["bytes"]) / actions for row in sizes}
    return Disk(actions, by_name["actions"], by_name["actions_pkey"], by_name["actions_once"], wal / actions)


async def _sessions(stores: Stores, operator: asyncpg.Connection) -> float:
    """The log of a join and its leave, each in a flush of its own, as players come and go."""
    stage = Stage(0)
    stage.journal.clear()
    for _ in range(PLAYERS):
        stage.join()
    stage.settle()
    for entry in stage.journal:
        assert entry.player_id is not None
        await stores.characters.get_or_create(NODE, entry.player_id, "Guest", b'{"hp":10,"inventory":{}}')
    for link in stage.links:
        stage.leave(link)
    stage.settle()
    before = await _wal(operator)
    for entry in stage.journal:
        await stores.journal.flush(NODE, [entry])
    return (await _wal(operator) - before) / PLAYERS


async def _snapshot(stores: Stores, operator: asyncpg.Connection) -> dict[str, float]:
    snapshot = snapshot_of(Stage(PLAYERS).room, NOW_MS)
    before = await _wal(operator)
    for seq in range(1, 11):
        await stores.snapshots.write(NODE, msgspec.structs.replace(snapshot, room_seq=snapshot.room_seq + seq))
    wal = (await _wal(operator) - before) / 10
    row = await operator.fetchval("SELECT avg(pg_column_size(state) + pg_column_size(sessions)) FROM snapshots")
    return {"snapshot_wal_bytes": wal, "snapshot_row_bytes": float(row)}


async def _wal(operator: asyncpg.Connection) -> int:
    return int(await operator.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description="What PostgreSQL and Redis see.")
    parser.add_argument("--seconds", type=float, default=5, help="of each group size (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(argv)
    # First, while nothing has been freed that a room could use again.
    memory = _memory()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True) as folder:
        pair = asyncio.run(start_embedded(Path(folder), lambda words: None))
        try:
            written = asyncio.run(postgres(pair.database_url, given.seconds))
            shown = asyncio.run(presence.measure(Urls(pair.database_url, pair.redis_url)))
        finally:
            asyncio.run(pair.stop())
    if given.json:
        print(msgspec.json.encode({"postgres": written, "redis": shown}).decode())
    else:
        print(_told(written), _told_of(shown), _frames() + "\n" + memory, sep="\n\n")
    return 0


def _told(found: Postgres) -> str:
    disk = found.disk
    on_disk = disk.table + disk.primary_key + disk.once
    return "\n".join(
        (
            "PostgreSQL, fsync on; moves in `game` rooms; each node has one flush at a time",
            "nodes   rows a flush   flushes/s   actions/s   p50 ms   p99 ms   CPU us an action   log bytes an action",
            *(
                f"{group.nodes:5}   {group.rows:12}   {group.actions_a_second / group.rows:9,.0f}"
                f"   {group.actions_a_second:9,.0f}   {group.p50_ms:6.2f}   {group.p99_ms:6.2f}"
                f"   {group.cpu_us_an_action:16.0f}   {group.wal_bytes_an_action:19.0f}"
                for group in found.groups
            ),
            f"an action      {found.intent_bytes:.0f} bytes of intent, {found.patch_bytes:.0f} of patch",
            f"on the disk    {on_disk:.0f} bytes an action: {disk.table:.0f} in the table, {disk.primary_key:.0f} in"
            f" its primary key, {disk.once:.0f} in actions_once ({disk.actions:,} actions of {ROOMS} rooms)",
            f"log            {disk.wal:.0f} bytes an action, in groups of {ROWS} from a checkpoint on",
            f"a session      {found.session_wal_bytes:,.0f} bytes of log for its join and its leave",
            f"a snapshot     {found.snapshot_row_bytes:,.0f} bytes, and {found.snapshot_wal_bytes:,.0f} of log,"
            f" with {PLAYERS} players",
        )
    )


def _memory() -> str:
    """What rooms add to this process, in KiB each."""
    process, kept = psutil.Process(), []
    grown: list[float] = []
    Stage(PLAYERS)
    for players, actions in ((0, 0), (PLAYERS, 0), (PLAYERS, HISTORY_ENTRIES_MAX)):
        gc.collect()
        before = process.memory_info().rss
        for _ in range(ROOMS_KEPT):
            stage = Stage(players)
            for _ in range(0, actions, ROWS):
                stage.receive(stage.bodies(ROWS))
                stage.settle()
            stage.journal.clear()
            kept.append(stage)
        gc.collect()
        grown.append((process.memory_info().rss - before) / ROOMS_KEPT / 1024)
    empty, full, played = grown
    return (
        f"a game room    {empty:,.0f} KiB of a node's memory; {full:,.0f} with {PLAYERS} sessions,"
        f" {played:,.0f} when they have played for long"
    )


def _frames() -> str:
    """Bytes of a tick's delta by the moves in it, and of an ack; WebSocket's and TCP's own come on top."""
    deltas: list[str] = []
    for moves in MOVES_A_TICK:
        stage = Stage(PLAYERS)
        stage.receive(stage.bodies(moves))
        stage.take()
        [ack, *_] = [effect.frame for effect in stage.commit() if isinstance(effect, Send)]
        [delta] = [effect.frame for effect in stage.room.tick(NOW_MS) if isinstance(effect, Send)]
        deltas.append(f"{len(delta):,} bytes of {moves}")
    return f"a frame        an ack {len(ack)} bytes; a delta {', '.join(deltas)} moves"


def _told_of(found: Presence) -> str:
    rows = {"a join": found.join, "a leave": found.leave, "a minute": found.idle_minute}
    return "\n".join(
        (
            f"Redis, of one node with {presence.ROOMS} rooms and {presence.SESSIONS} sessions",
            "                commands   CPU us   bytes in   bytes out",
            *(
                f"{what:12}   {each.commands:9.1f}   {each.cpu_us:6.0f}"
                f"   {each.bytes_in:8,.0f}   {each.bytes_out:9,.0f}"
                for what, each in rows.items()
            ),
            f"memory         {found.memory_bytes_a_session:,.0f} bytes a session, its room's part included",
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
