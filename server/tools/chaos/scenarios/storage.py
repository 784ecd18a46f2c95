"""Storage beneath PostgreSQL, and the tables in it: disks that are slow or full, migrations that are killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from server.exit_codes import ExitCode
from server.storage import migrations
from server.tools.chaos.catalogue import Need, Scenario
from server.tools.chaos.databases import databases_in
from server.tools.chaos.node import NodeFailed, environment
from server.tools.chaos.player import Player
from server.tools.chaos.stage import PATIENCE_S, RECOVERED_S, Broken, Skipped, Stage
from server.tools.chaos.waiting import poll

FSYNC_DELAY_S = 0.2
#: Holds a new cluster and some of its log.
DISK_MB = 400
_CHUNK_BYTES = 1024 * 1024
_LONG_LINE = "x" * 480


async def fsync_slowed(stage: Stage) -> None:
    """Each fsync of PostgreSQL takes 200 ms longer, under load for 5 s: everything is acked, only later; and soon again
    when the disk has recovered."""
    node = await stage.serve()
    players = await stage.crowd(node)
    async with stage.play(players):
        await stage.acks(players)
        with _slow_fsyncs(stage):
            ends = stage.history.now() + 5.0
            while stage.history.now() < ends:
                await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players, 1))
        await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players))
    await stage.healed()


async def disk_full(stage: Stage) -> None:
    """The disk of PostgreSQL is full for 3 s under load (53100): clients are told, nothing acked is lost, and all is
    well within 5 s of its being freed."""
    async with (
        _small_disk(stage.folder / "disk") as disk,
        databases_in(disk / "data") as databases,
        stage.another(databases) as stage,
    ):
        node = await stage.serve()
        players = await stage.crowd(node, rooms=("game", "game"))
        async with stage.play(players):
            await stage.acks(players)
            filler = disk / "filler"
            await asyncio.to_thread(_fill, filler)
            talk = stage.tasks.start(_talk(players), "talk")
            try:
                told = asyncio.gather(*(p.until(lambda p=p: _is_told(p)) for p in players))  # type: ignore[misc]
                await stage.within(PATIENCE_S, "event.degraded of postgres", told)
                await asyncio.sleep(3.0)
            finally:
                talk.cancel()
                filler.unlink()
            await stage.postgres.start_if_ended()
            await stage.promptly(RECOVERED_S, "acks for everybody", stage.acks(players, 1))
        await stage.healed()


async def migration_killed(stage: Stage) -> None:
    """`migrate up` is killed (-9) half way: nothing of the step is there, the next one goes through, and the server
    runs."""
    async with stage.another(is_migrated=False) as stage:
        url = stage.urls.database_url
        blocker = await asyncpg.connect(url)
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("CREATE TABLE nodes ()")
        process = _holdfast(stage, "migrate", "up", url=url)

        async def waits() -> bool:
            return bool(await blocker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await poll(waits, PATIENCE_S)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        await transaction.rollback()
        await blocker.close()
        again = _holdfast(stage, "migrate", "up", url=url)
        if await asyncio.to_thread(again.wait) != 0:
            raise Broken("migrate up fails after one that was killed")
        player = await stage.join(await stage.serve())
        async with stage.play([player]):
            await stage.acks([player])
        await stage.healed()


async def schema_refused(stage: Stage) -> None:
    """Tables older than the server needs, or marked as breaking for it: the start is refused with exit status 65 and
    the reason."""
    async with stage.another(is_migrated=False) as stage:
        url = stage.urls.database_url
        await _is_refused(stage, "without tables")
        await migrations.up(url)
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO schema_migrations (version, name, breaking) VALUES (9999, 'later', true)")
        await connection.close()
        await _is_refused(stage, "with tables of a breaking later version")


# -- parts ------------------------------------------------------------------------------------------------------------


@contextmanager
def _slow_fsyncs(stage: Stage) -> Iterator[None]:
    """Raises Skipped where strace may not do it."""
    pids = [argument for pid in stage.postgres.pids() for argument in ("-p", str(pid))]
    inject = f"inject=fsync,fdatasync:delay_exit={round(FSYNC_DELAY_S * 1e6)}"
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,fdatasync", "-e", inject, *pids]
    strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
        if strace.poll() is not None:
            raise Skipped("strace may not trace processes here")
    finally:
        strace.terminate()
        strace.wait()


@asynccontextmanager
async def _small_disk(folder: Path) -> AsyncIterator[Path]:
    """A disk of its own for a while. Raises Skipped where mounting isn't allowed."""
    await asyncio.to_thread(folder.mkdir)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "holdfast-chaos", str(folder)]
    done = await asyncio.to_thread(subprocess.run, mount, capture_output=True, check=False)
    if done.returncode != 0:
        raise Skipped(f"mounting a small disk is not allowed: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Until nothing is left, to the last block."""
    with open(path, "wb", buffering=0) as file:
        for size in (_CHUNK_BYTES, 4096):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


async def _talk(players: Sequence[Player]) -> None:
    """Lines long enough to need new pages soon."""
    while True:
        for player in players:
            if len(player.open) < 8:
                player.ask("intent.chat", text=_LONG_LINE)
        await asyncio.sleep(0.1)


def _is_told(player: Player) -> bool:
    return any(told.dependency == "postgres" and told.status != "recovered" for told in player.degraded)


def _holdfast(stage: Stage, *words: str, url: str) -> subprocess.Popen[bytes]:
    """A verb of the command, on its way."""
    code = "from server.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=stage.folder,
        env=environment({"database_url": url}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _is_refused(stage: Stage, what: str) -> None:
    try:
        await stage.serve()
    except NodeFailed as refusal:
        node = stage.nodes[-1]
        node.is_told_to_end = True
        if node.status != ExitCode.SCHEMA:
            raise Broken(f"{what} a start ended with {node.status}: {refusal}") from None
        return
    raise Broken(f"{what} a node started")


SCENARIOS = (
    Scenario("f09-fsync-slowed", fsync_slowed, needs=(Need.STRACE, Need.ROOT)),
    Scenario("f11-disk-full", disk_full, needs=(Need.ROOT,)),
    Scenario("f18-migration-killed", migration_killed),
    Scenario("f18-schema-refused", schema_refused),
)
