"""
Whoever starts the server: PostgreSQL never runs as root, and needs no entry in the user database.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.embedded import EmbeddedFailed, start_embedded
from server.embedded.pair import homes_in
from tests.embedded.conftest import PACKAGES, Holder, leader_of, read, running, write

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

BARE_UID = 54321


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def python_for(uid: int) -> str:
    """A Python of our version that this user can run with our packages, or the test is skipped."""
    for program in (os.path.realpath(sys.executable), f"/usr/bin/python3.{sys.version_info.minor}"):
        with suppress(OSError):
            if run_as(uid, program, "-c", "import asyncpg, server.embedded").returncode == 0:
                return program
    pytest.skip("no other user may enter the folders of this Python")


def run_as(uid: int, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": PACKAGES}
    return subprocess.run(
        argv, user=uid, group=uid, extra_groups=(), cwd="/", env=env, capture_output=True, text=True, check=False
    )


async def test_the_databases_do_not_run_as_root(folder: Path) -> None:
    """pytest's temporary folders are closed to others, so as root this is also the case of a checkout in /root."""
    async with running(folder):
        uids = {leader_of(folder, program).uids().effective for program in ("postgres", "valkey-server")}
    assert 0 not in uids
    assert 1 == len(uids)


@as_root
async def test_in_a_folder_that_all_may_enter_the_databases_have_no_right_of_roots(open_folder: Path) -> None:
    if homes_in(open_folder).account.passes_permissions:
        pytest.skip("no other user may enter the folders of our packages")
    async with running(open_folder):
        status = Path(f"/proc/{leader_of(open_folder, 'postgres').pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status


@as_root
async def test_root_runs_the_databases_of_somebodys_folder_as_its_owner(open_folder: Path) -> None:
    os.chown(open_folder, BARE_UID, BARE_UID)
    async with running(open_folder):
        uid = leader_of(open_folder, "postgres").uids().effective
    assert BARE_UID == uid
    assert {BARE_UID} == {path.stat().st_uid for path in open_folder.iterdir()}


@as_root
async def test_a_folder_restored_by_root_is_given_back_to_the_databases(folder: Path) -> None:
    async with running(folder) as first:
        await write(first.database_url, "kept")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0)
    async with running(folder) as second:
        assert ["kept"] == await read(second.database_url)


@as_root
@pytest.mark.parametrize("uid", [pwd.getpwnam("nobody").pw_uid, BARE_UID])
async def test_an_ordinary_user_runs_them_with_or_without_an_entry_in_the_user_database(
    open_folder: Path, uid: int
) -> None:
    os.chown(open_folder, uid, uid)
    holder = Holder(open_folder / "data", python=python_for(uid), uid=uid)
    try:
        await write(holder.urls().database_url, "mine")
        assert uid == leader_of(open_folder / "data", "postgres").uids().effective
    finally:
        holder.stop()


@as_root
async def test_a_folder_of_another_user_is_refused_with_a_sentence(open_folder: Path) -> None:
    async with running(open_folder / "data"):
        pass
    start = (
        "import asyncio, pathlib, sys, server.embedded as e\n"
        "try: asyncio.run(e.start_embedded(pathlib.Path(sys.argv[1]), print))\n"
        "except e.EmbeddedFailed as error: print(error)"
    )
    done = run_as(BARE_UID, python_for(BARE_UID), "-c", start, str(open_folder / "data"))
    assert "can't be used" in done.stdout
    assert "" == done.stderr


@as_root
async def test_root_without_the_tool_that_it_needs_is_told_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedFailed, match="start the server as an ordinary user"):
        await start_embedded(folder, lambda _: None, is_durable=False)
