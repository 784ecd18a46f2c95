"""
However the server died, the next start needs no hand, and harms nobody else's process.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from server.embedded import read_running
from tests.embedded.conftest import Holder, databases_in, gone, leader_of, read, running, write


async def words_after_start(folder: Path) -> list[str]:
    async with running(folder) as pair:
        return await read(pair.database_url)


@pytest.mark.parametrize("also", [[], ["postgres"], ["valkey-server"], ["postgres", "valkey-server"]])
async def test_a_killed_server_is_succeeded_by_the_next(
    folder: Path, hold: Callable[[], Holder], also: list[str]
) -> None:
    holder = hold()
    await write(holder.urls().database_url, "kept")
    holder.kill()
    for program in also:
        leader = leader_of(folder, program)
        leader.kill()
        await gone(leader)
    before = {process.pid for process in databases_in(folder)}
    async with running(folder) as pair:
        assert before.isdisjoint(process.pid for process in databases_in(folder))
        assert ["kept"] == await read(pair.database_url)


async def test_a_verb_reads_from_the_databases_that_a_killed_server_left(
    folder: Path, hold: Callable[[], Holder]
) -> None:
    holder = hold()
    await write(holder.urls().database_url, "kept")
    holder.kill()
    left = read_running(folder)
    assert left is not None
    assert ["kept"] == await read(left.database_url)
    told: list[str] = []
    async with running(folder, say=told.append) as pair:
        assert ["kept"] == await read(pair.database_url)
    assert ["ended the databases that a killed server had left running"] == told


async def test_a_frozen_database_is_ended_all_the_same(folder: Path, hold: Callable[[], Holder]) -> None:
    holder = hold()
    await write(holder.urls().database_url, "kept")
    holder.kill()
    for process in databases_in(folder):
        process.suspend()
    assert ["kept"] == await words_after_start(folder)


async def test_a_server_killed_while_it_makes_its_cluster_is_succeeded(
    folder: Path, hold: Callable[[], Holder]
) -> None:
    holder = hold()
    while not any(process.name() == "initdb" for process in databases_in(folder)):
        assert holder.process.poll() is None
    holder.kill()
    async with running(folder) as pair:
        await write(pair.database_url, "made after all")
    assert not (folder / "postgres.new").exists()


async def test_a_pid_file_that_names_a_strangers_process_does_it_no_harm(folder: Path) -> None:
    """After a reboot the pid in PostgreSQL's file belongs to any program, here even to one of the same user."""
    pid_file = folder / "postgres" / "cluster" / "postmaster.pid"
    async with running(folder) as pair:
        await write(pair.database_url, "kept")
        rest = pid_file.read_text().partition("\n")[2]
        uid = pid_file.stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=uid if os.geteuid() == 0 else None) as stranger:
        pid_file.write_text(f"{stranger.pid}\n{rest}")
        assert ["kept"] == await words_after_start(folder)
        assert stranger.poll() is None
        stranger.kill()


async def test_a_strangers_process_that_works_in_the_folder_is_not_ended(folder: Path) -> None:
    async with running(folder) as pair:
        await write(pair.database_url, "kept")
    with subprocess.Popen(["sleep", "60"], cwd=folder / "postgres" / "cluster") as stranger:
        assert ["kept"] == await words_after_start(folder)
        assert stranger.poll() is None
        stranger.kill()


async def test_the_databases_of_another_folder_are_not_ended(folder: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "data-2") as neighbour:
        async with running(folder):
            pass
        assert neighbour.alive()
