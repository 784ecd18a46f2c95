"""
Store: our connections to Redis, and the one place where its errors become faults.

A call takes at most one deadline to be sent and one to be answered. Nothing is retried: a lost reply does not say that
nothing happened, and redis-py's own retries would do some things twice and hold a caller for half a minute.

What a failed call means depends on when it failed, and only the pool knows: whatever it raises came before the first
byte was sent, so it is `Unavailable`. After that a cut or a timeout leaves a write `OutcomeUnknown`. A read has no
outcome to wonder about.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import redis.asyncio
from redis import exceptions as vendor
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from server.core.faults import Fault, OutcomeUnknown, Unavailable

#: Every key of ours begins so.
PREFIX = "holdfast:"
#: For a connection, and again for its answer.
TIMEOUT_S = 0.5
#: Calls beyond these wait for a connection, at most the timeout.
CONNECTIONS_MAX = 16

#: Why Redis does not serve us, in the words of `event.degraded`.
Reason = Literal["timeout", "refused", "read_only", "out_of_memory", "error"]
#: A Redis command and its arguments.
Command = tuple[str | bytes | int | float, ...]

_LUA = Path(__file__).parent / "lua"
_PROBE_MS = 60_000


class Script(msgspec.Struct, frozen=True):
    """A Lua script as Redis knows it."""

    text: str
    sha: str


def script(*names: str, flags: str = "") -> Script:
    """
    The files `lua/<name>.lua`, one after the other, as one script.

    Redis refuses it as a whole, before its first line, where it could not write: without that, a script that has freed
    something may go on writing into a full Redis. `flags` are Redis' own: `allow-oom` for one that frees, `no-writes`.
    """
    files = ((_LUA / f"{name}.lua").read_text() for name in names)
    text = "\n".join([f"#!lua flags={flags}" if flags else "#!lua", *files])
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Store:
    """
    Redis or Valkey at `url`. Connects when first used and again whenever it must; never blocks a start.

    Every method but `aclose` raises `Unavailable`; those that write, also `OutcomeUnknown`.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = redis.asyncio.Redis.from_pool(_pool(url, timeout_s))
        # Replies as Redis gives them: redis-py would make True of what SET with GET found.
        self._client.response_callbacks.clear()

    async def read(self, *commands: Command) -> list[Any]:
        """The replies, in order; one round trip."""
        with _faults(writes=False):
            return await self._send(commands)

    async def write(self, *commands: Command) -> list[Any]:
        """The replies, in order; one round trip. Not atomic: a fault may leave the first ones done."""
        with _faults(writes=True):
            return await self._send(commands)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """The script's reply. Atomic; all keys must be in one slot."""
        with _faults(writes=True):
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *args)
            except vendor.NoScriptError:
                # Nothing has run, so this is no retry; EVAL leaves the script loaded for the next call.
                return await self._client.eval(script.text, len(keys), *keys, *args)

    async def probe(self) -> Reason | None:
        """Why Redis would not take a write now; None if it took one."""
        try:
            await self.write(("SET", f"{PREFIX}probe", 1, "PX", _PROBE_MS))
        except Fault as fault:
            return reason_of(fault)
        return None

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self._client.aclose()

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()


def reason_of(fault: Fault) -> Reason:
    """Why, for a fault that this package raised."""
    match fault.__cause__:
        case vendor.ReadOnlyError():
            return "read_only"
        case vendor.OutOfMemoryError():
            return "out_of_memory"
        case vendor.TimeoutError():
            return "timeout"
        case vendor.ConnectionError():
            return "refused"
        case _:
            return "error"


@contextmanager
def _faults(*, writes: bool) -> Iterator[None]:
    try:
        yield
    except (vendor.ConnectionError, vendor.TimeoutError) as error:
        if writes and not isinstance(error, vendor.BusyLoadingError):
            raise OutcomeUnknown(f"redis: {type(error).__name__} after sending") from error
        raise Unavailable(f"redis: {type(error).__name__}") from error
    except vendor.RedisError as error:
        raise Unavailable(f"redis: {type(error).__name__}") from error


class _Pool(redis.asyncio.BlockingConnectionPool):
    """Hands out connections that are connected. What fails here was never sent."""

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> Any:
        with _faults(writes=False):
            # Over the whole of waiting, dialling and the handshake's replies, each of which has the timeout to itself.
            try:
                async with asyncio.timeout(self.timeout):
                    return await super().get_connection()  # type: ignore[no-untyped-call]  # decorated untyped
            except TimeoutError as error:
                raise vendor.TimeoutError("no connection in time") from error


def _pool(url: str, timeout_s: float) -> _Pool:
    return _Pool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
