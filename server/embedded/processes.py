"""
Processes: which databases are at work in a folder, how they start, how they end.

A process is one of a folder's databases if the kernel says so: its program has the right name *and* its working
directory is that very folder, by device and inode. Pid files are not asked: after a reboot their numbers belong to
somebody else. Nor are paths compared: a container's process may be visible here and have the same path for another
folder.
"""

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec
import psutil

from server.embedded.account import Account, EmbeddedFailed

_POLL_S = 0.02
_KILL_S = 1.0
_KILLS_MAX = 5
#: Long, because PostgreSQL may have to replay its log after a crash; a process that exits ends the wait at once.
_READY_S = 120.0
_PORTS_TRIED_MAX = 3
_LAST_WORDS_MAX = 12


def wheel_folder(package: str) -> Path:
    """Where a wheel's files are. The package is not imported: importing it makes folders and warns."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedFailed(
            f"the package {package} isn't installed: install holdfast[embedded], or name your own databases "
            "with --database-url and --redis-url"
        )
    return Path(spec.origin).resolve().parent


class Workplace(msgspec.Struct, frozen=True):
    """Where a database works, and as whom."""

    account: Account
    folders: tuple[Path, ...]
    programs: frozenset[str]

    def at_work(self) -> list[psutil.Process]:
        """The living processes of these programs whose working directory is one of these folders."""
        places = {(place.st_dev, place.st_ino) for place in map(_stat, self.folders) if place is not None}
        named = [process for process in psutil.process_iter() if _name(process) in self.programs] if places else []
        found = self.account.working_directories([process.pid for process in named]) if named else {}
        return [process for process in named if found.get(process.pid) in places]


async def end(workplace: Workplace, ask: signal.Signals, patience_s: float) -> bool:
    """End every process at work there: ask those that lead the others, and kill what is left after `patience_s`.

    True if there was any. Idempotent; after it nothing works there."""
    found = await asyncio.to_thread(workplace.at_work)
    # PostgreSQL's leader must be asked alone: its children take the same signal to mean something else. Where the
    # leader is dead and its children are not, there is nobody to ask and nothing to wait for.
    leaders = [process for process in found if _leads(process)]
    for process in leaders:
        _send(process, ask)
    if leaders:
        await _wait_until_gone(found, patience_s)
    for _ in range(_KILLS_MAX):
        remaining = await asyncio.to_thread(workplace.at_work)
        if not remaining:
            return bool(found)
        for process in remaining:
            _send(process, signal.SIGKILL)
        await _wait_until_gone(remaining, _KILL_S)
    raise EmbeddedFailed(
        f"processes at work in {workplace.folders[0]} don't end: {[process.pid for process in remaining]}"
    )


async def start(
    name: str,
    spawn: Callable[[int], subprocess.Popen[bytes]],
    is_ready: Callable[[int], Awaitable[bool]],
    logs: Callable[[], Iterable[Path]],
    fixed_port: int | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a database on `fixed_port` or a free one and wait until it answers; returns it with its port.

    A free port may be taken by somebody else before the database has it, so another one is tried. Raises
    EmbeddedFailed, and has ended what it started, whatever it raises."""
    for _ in range(_PORTS_TRIED_MAX if fixed_port is None else 1):
        port = fixed_port or _free_port()
        child = spawn(port)
        try:
            async with asyncio.timeout(_READY_S):
                while child.poll() is None:
                    if await is_ready(port):
                        return child, port
                    await asyncio.sleep(_POLL_S)
        except BaseException as error:
            child.kill()
            child.wait()
            if isinstance(error, TimeoutError):
                break
            raise
    raise EmbeddedFailed(f"{name} doesn't start; it says:\n{last_words(logs())}")


def last_words(logs: Iterable[Path]) -> str:
    """The end of the log that was written to last, for a person."""
    written = [log for log in logs if log.exists() and log.stat().st_size]
    if not written:
        return "(nothing)"
    newest = max(written, key=lambda log: log.stat().st_mtime_ns)
    lines = newest.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LAST_WORDS_MAX:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stat(folder: Path) -> os.stat_result | None:
    try:
        return folder.stat()
    except OSError:
        return None


def _name(process: psutil.Process) -> str | None:
    try:
        name: str = process.name()
    except psutil.Error:
        return None
    return name


def _leads(process: psutil.Process) -> bool:
    """False for PostgreSQL's children, whose title is "postgres: checkpointer" and the like."""
    try:
        title: list[str] = process.cmdline()
    except psutil.Error:
        return False
    return not "".join(title[:1]).startswith("postgres:")


def _send(process: psutil.Process, what: signal.Signals) -> None:
    try:
        process.send_signal(what)  # psutil compares the start time first, so a recycled pid is spared
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise EmbeddedFailed(f"process {process.pid} still uses the data folder and is another user's") from error


async def _wait_until_gone(processes: list[psutil.Process], within_s: float) -> None:
    for _ in range(round(within_s / _POLL_S)):
        if not any(_lives(process) for process in processes):
            return
        await asyncio.sleep(_POLL_S)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
