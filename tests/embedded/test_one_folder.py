"""
One data folder: one server at a time, and what was written stays.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
import redis.exceptions

from server.embedded import (
    DataFolder,
    DataFolderInUse,
    Embedded,
    EmbeddedFailed,
    Urls,
    borrow_databases,
    read_running,
    start_embedded,
)
from tests.embedded.conftest import Holder, connected, databases_in, leader_of, read, running, write


async def test_what_was_written_is_there_after_a_restart(folder: Path) -> None:
    async with running(folder) as first:
        await write(first.database_url, "kept")
    async with running(folder) as second:
        assert ["kept"] == await read(second.database_url)
        assert first.folder.home_id == second.folder.home_id


async def test_the_databases_are_durable_unless_told_otherwise(folder: Path) -> None:
    pair = await start_embedded(folder, lambda _: None)
    try:
        async with connected(pair.database_url) as connection:
            names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "server_encoding")
            values = [await connection.fetchval("SELECT current_setting($1)", name) for name in names]
    finally:
        await pair.stop()
    assert ["on", "on", "on", "on", "UTF8"] == values


async def test_a_token_revoked_in_valkey_is_revoked_after_a_restart(folder: Path) -> None:
    """The dump at a proper stop keeps what has a deadline, too."""
    for expected in (None, b"1"):
        pair = await start_embedded(folder, lambda _: None)
        try:
            async with redis.asyncio.Redis.from_url(pair.redis_url) as client:
                assert expected == await client.get("revoked")
                await client.set("revoked", 1, ex=3600)
        finally:
            await pair.stop()


async def test_a_second_server_is_refused_and_told_the_pid_of_the_first(
    folder: Path, hold: Callable[[], Holder]
) -> None:
    holder = hold()
    urls = holder.urls()
    with pytest.raises(DataFolderInUse, match=f"in use by process {holder.process.pid}:") as refused:
        await start_embedded(folder, lambda _: None)
    assert holder.process.pid == refused.value.pid
    await write(urls.database_url, "the first goes on")


async def test_files_of_others_stay_as_they_are(folder: Path) -> None:
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "todo.txt").write_text("water the plants")
    async with running(folder):
        pass
    assert "water the plants" == (folder / "notes" / "todo.txt").read_text()


async def test_a_folder_of_others_in_the_place_of_the_cluster_is_not_overwritten(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "todo.txt").write_text("water the plants")
    with pytest.raises(EmbeddedFailed, match="is in the way"):
        await start_embedded(folder, lambda _: None, is_durable=False)
    assert "water the plants" == (folder / "postgres" / "todo.txt").read_text()


async def test_neither_database_lets_anybody_in_without_its_password(embedded: Embedded) -> None:
    address = embedded.database_url.rpartition("@")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://holdfast:guess@{address}")
    address = embedded.redis_url.rpartition("@")[2]
    async with redis.asyncio.Redis.from_url(f"redis://{address}", retry=None) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.get("anything")


async def test_the_passwords_can_be_read_by_one_user_alone(embedded: Embedded, folder: Path) -> None:
    secrets = (folder / "databases.json", folder / "postgres" / "password")
    assert [0o600, 0o600] == [path.stat().st_mode & 0o777 for path in secrets]
    assert [0o700, 0o700] == [(folder / name).stat().st_mode & 0o777 for name in ("postgres", "valkey")]


async def test_a_ctrl_c_of_the_terminal_does_not_reach_the_databases(embedded: Embedded, folder: Path) -> None:
    assert os.getsid(0) not in {os.getsid(process.pid) for process in databases_in(folder)}


async def test_a_pair_with_a_dead_database_is_not_alive(embedded: Embedded, folder: Path) -> None:
    assert embedded.alive()
    leader_of(folder, "valkey-server").kill()
    while embedded.alive():
        await asyncio.sleep(0.01)


async def test_a_stop_takes_less_than_two_seconds_with_clients_still_connected(folder: Path) -> None:
    async with running(folder) as pair, connected(pair.database_url):
        begun = time.monotonic()
        await pair.stop()
        assert time.monotonic() - begun < 2


async def test_a_second_stop_spares_whoever_has_the_folder_by_then(folder: Path) -> None:
    async with running(folder) as first:
        pass
    async with running(folder) as second:
        await first.stop()
        assert second.alive()


async def test_a_start_that_is_cancelled_leaves_nothing_running(folder: Path) -> None:
    starting = asyncio.create_task(start_embedded(folder, lambda _: None, is_durable=False))
    while not databases_in(folder):
        await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [] == databases_in(folder)
    DataFolder(folder).close()


async def test_a_verb_borrows_the_databases_of_a_running_server(embedded: Embedded, folder: Path) -> None:
    urls = Urls(embedded.database_url, embedded.redis_url)
    assert urls == read_running(folder)
    async with borrow_databases(folder, lambda _: None) as borrowed:
        assert urls == borrowed
    assert embedded.alive()


async def test_a_verb_starts_the_databases_of_a_stopped_server_and_stops_them(folder: Path) -> None:
    async with running(folder) as pair:
        await write(pair.database_url, "kept")
    assert read_running(folder) is None
    async with borrow_databases(folder, lambda _: None) as borrowed:
        assert ["kept"] == await read(borrowed.database_url)
    assert [] == databases_in(folder)


def test_a_folder_that_was_never_used_has_nothing_running(folder: Path) -> None:
    assert read_running(folder) is None


def test_a_damaged_name_of_a_folder_is_not_replaced_by_a_new_one(folder: Path) -> None:
    DataFolder(folder).close()
    (folder / "home").write_text("half a uu")
    with pytest.raises(EmbeddedFailed, match="restore it"):
        DataFolder(folder)
    assert "half a uu" == (folder / "home").read_text()


def test_the_claim_of_a_folder_ends_with_the_process_not_with_its_children(folder: Path) -> None:
    claim = DataFolder(folder)
    with subprocess.Popen(["sleep", "60"]) as child:
        claim.close()
        DataFolder(folder).close()
        child.kill()
