"""
Store: our connections to Redis, and the one place where its errors become faults.

A call has one deadline for all it does, after another to get its turn. Nothing is retried: a lost reply does not say
that nothing happened, and redis-py's own retries would do some things twice and hold a caller for half a minute.

What a failed call means depends on when it failed: before a connection was had nothing was sent, so it is
`Unavailable`; after that a cut or the deadline leaves a write `OutcomeUnknown`. A read has no outcome to wonder about.

Why redis-py's pool and connections, and not its clients: they don't tell these two apart, and their timeouts rest on
`asyncio.wait_for`, which on Python 3.11 swallows a cancellation that comes at the wrong moment.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from redis import exceptions as vendor
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from server.core.faults import Fault, OutcomeUnknown, Reason, Unavailable

#: Every key of ours begins so.
PREFIX = "holdfast:"
#: For a call once it has its turn: a connection, the sending and the replies.
TIMEOUT_S = 0.5
#: Calls at once, each with a connection; those beyond wait for their turn.
CONNECTIONS_MAX = 64
#: A subscription in which nothing has come for so long is asked whether it still works.
LISTEN_S = 1.0
#: For a turn. Longer than a call, because a rush of players must not look like a Redis that is frozen.
TURN_S = 2.0

#: A Redis command and its arguments.
Command = tuple[str | bytes | int | float, ...]

_LUA = Path(__file__).parent / "lua"
_PROBE_MS = 60_000
#: A socket that was reset answers a write with RuntimeError on uvloop.
_VENDOR_ERRORS = (TimeoutError, OSError, RuntimeError, vendor.RedisError)


class Script(msgspec.Struct, frozen=True):
    """A Lua script as Redis knows it."""

    text: str
    sha: str


def script(*names: str, flags: str = "") -> Script:
    """
    The files `lua/<name>.lua`, one after the other, as one script.

    Redis refuses it as a whole, before its first line, where it could not write: without that, a script that has freed
    something may go on writing into a full Redis. `flags` are Redis' own: `allow-oom` for one that frees.
    """
    files = ((_LUA / f"{name}.lua").read_text() for name in names)
    text = "\n".join([f"#!lua flags={flags}" if flags else "#!lua", *files])
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Store:
    """
    Redis or Valkey at `url`. Connects when first used and again whenever it must; never blocks a start.

    Every method but `aclose` raises `Unavailable`; those that write, also `OutcomeUnknown`.
    """

    def __init__(self, url: str) -> None:
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)
        self._pool = ConnectionPool.from_url(
            url,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )

    async def read(self, *commands: Command) -> list[Any]:
        """The replies, in order; one round trip."""
        return [_checked(reply) for reply in await self._call(commands, writes=False)]

    async def write(self, *commands: Command) -> list[Any]:
        """The replies, in order; one round trip. Not atomic: a fault may leave some of it done."""
        return [_checked(reply) for reply in await self._call(commands, writes=True)]

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """The script's reply. Atomic; all keys must be in one slot."""
        rest = (len(keys), *keys, *args)
        [reply] = await self._call([("EVALSHA", script.sha, *rest)], writes=True)
        if isinstance(reply, vendor.NoScriptError):
            # Nothing has run, so this is no retry; EVAL leaves the script loaded for the next call.
            [reply] = await self._call([("EVAL", script.text, *rest)], writes=True)
        return _checked(reply)

    @asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[Callable[[], Awaitable[bytes | None]]]:
        """
        The messages of a channel, by a connection of its own: each call waits for the next, and returns None when none
        has come for a while. Both raise Unavailable, a call also when Redis no longer answers; messages are lost then.
        """
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            with _unavailable():
                async with asyncio.timeout(TIMEOUT_S):
                    await connection.connect()
                    await connection.send_command("SUBSCRIBE", channel)
                    await connection.read_response(push_request=True)
            yield partial(_next_message, connection)
        finally:
            await connection.disconnect(nowait=True)

    async def probe(self) -> Reason | None:
        """Why Redis would not take a write now; None if it took one."""
        try:
            await self.write(("SET", f"{PREFIX}probe", 1, "PX", _PROBE_MS))
        except Fault as fault:
            return fault.reason
        return None

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self._pool.aclose()

    async def _call(self, commands: Sequence[Command], *, writes: bool) -> list[Any]:
        """The replies as Redis gave them, refusals of single commands among them."""
        if not commands:
            return []
        is_sent = False
        try:
            async with asyncio.timeout(TURN_S) as deadline, self._turns:
                deadline.reschedule(asyncio.get_running_loop().time() + TIMEOUT_S)
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # decorated untyped
                is_sent = True
                try:
                    await _send(connection, connection.pack_commands(commands))
                    return [await _reply(connection) for _ in commands]
                finally:
                    await self._pool.release(connection)
        except _VENDOR_ERRORS as error:
            if is_sent and writes:
                raise OutcomeUnknown(f"redis: {type(error).__name__} after sending", _reason_of(error)) from error
            raise Unavailable(f"redis: {type(error).__name__}", _reason_of(error)) from error


async def _send(connection: AbstractConnection, packed: Iterable[bytes]) -> None:
    try:
        await connection.send_packed_command(packed)
    except RuntimeError:
        # Reset while it lay in the pool, which looks for an end of the stream only. Nothing was sent, so this is no
        # retry; redis-py has closed the connection and opens it anew.
        await connection.send_packed_command(packed)


async def _next_message(connection: AbstractConnection) -> bytes | None:
    with _unavailable():
        reply = await connection.read_response(timeout=LISTEN_S, push_request=True)
        if reply is None:
            async with asyncio.timeout(TIMEOUT_S):
                await connection.send_command("PING")
                reply = await connection.read_response(push_request=True)
    is_message = isinstance(reply, list) and reply[0] == b"message"
    return reply[2] if is_message else None


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except _VENDOR_ERRORS as error:
        raise Unavailable(f"redis: {type(error).__name__}", _reason_of(error)) from error


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except vendor.ResponseError as refusal:
        return refusal


def _checked(reply: Any) -> Any:
    if isinstance(reply, vendor.ResponseError):
        raise Unavailable(f"redis: {type(reply).__name__}", _reason_of(reply)) from reply
    return reply


def _reason_of(error: BaseException) -> Reason:
    """Why Redis does not serve us, in the words of `event.degraded`."""
    match error:
        case vendor.ReadOnlyError():
            return "read_only"
        case vendor.OutOfMemoryError():
            return "out_of_memory"
        case TimeoutError() | vendor.TimeoutError():
            return "timeout"
        case OSError() | RuntimeError() | vendor.ConnectionError():
            return "refused"
        case _:
            return "error"
