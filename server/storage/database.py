"""
Database: PostgreSQL as this package uses it.

    pool   everything but the flush; few connections, each call one statement
    link   one connection for one caller (the flush, the probe), so that nobody waits for another's

Every wait has an end, and where it can, the server ends it first: `statement_timeout` and `lock_timeout` lie below our
own timeouts, since what the server has ended surely didn't happen, while our own timeout leaves it open. After a
timeout or a cancellation the connection is cut, not given back: asyncpg would first wait for the cancelled statement,
on a stalled network for a long time.

All connections carry the node's id as `application_name`, by which a taker finds the backends of a frozen node.

What this doesn't do: retry. Whether a failed call may be repeated is the runtime's to say.
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Self, TypeAlias

import asyncpg

from server.core.faults import Fault, Fenced, Poisoned, Reason
from server.storage.classify import VendorError, classify
from server.storage.statements import load_statements

#: Connections of the pool.
CONNECTIONS_MAX = 6
#: Until a new connection answers.
CONNECT_S = 1.5
#: Until a probe knows.
PROBE_S = 1.0
#: Until a connection of the pool is free or made.
ACQUIRE_S = 2.0
#: Until a statement has answered, by our clock.
COMMAND_S = 2.0
#: The part of that after which the server gives up.
SERVER_SHARE = 0.75
#: How long a statement waits for a row that another holds.
LOCK_WAIT_S = 1.0

Record: TypeAlias = asyncpg.Record


class Database:
    """One PostgreSQL database, by its URL. Use it as `async with`; it need not be reachable then."""

    def __init__(self, url: str, node_id: str) -> None:
        self.statements = load_statements()
        self._url = url
        self._node_id = node_id
        self._pool = asyncpg.create_pool(
            url, min_size=0, max_size=CONNECTIONS_MAX, reset=_keep_as_it_is, **self._connect_options(COMMAND_S)
        )
        self._links: list[Link] = []
        self._probe = self.link(PROBE_S)

    @property
    def node_id(self) -> str:
        """What new connections call themselves."""
        return self._node_id

    async def rename(self, node_id: str) -> None:
        """The node goes on under another id: connections of the old name end, at the latest when they would be
        used next."""
        self._node_id = node_id
        self._pool.set_connect_args(self._url, **self._connect_options(COMMAND_S))
        await self._pool.expire_connections()
        for link in self._links:
            link.cut()

    async def __aenter__(self) -> Self:
        await self._pool
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # No goodbyes: a stalled network would make them long, and there is nothing in flight that anyone waits for.
        for link in self._links:
            link.cut()
        self._pool.terminate()

    def link(self, timeout_s: float, lock_wait_s: float = LOCK_WAIT_S) -> "Link":
        """A connection for one caller whose calls take `timeout_s` at most, and wait so long for a lock that another
        holds; it ends with the database's use."""
        self._links.append(Link(self, timeout_s, lock_wait_s))
        return self._links[-1]

    async def connect(self, timeout_s: float, lock_wait_s: float) -> asyncpg.Connection:
        """A new connection for a link. Raises a vendor error."""
        return await asyncpg.connect(self._url, **self._connect_options(timeout_s, lock_wait_s))

    async def read(self, statement: str, *args: object) -> list[Record]:
        """The rows of a named statement that changes nothing. Raises Unavailable, Poisoned."""
        return await self._run(statement, args, writes=False)

    async def write(self, statement: str, *args: object) -> Record:
        """The first row of a named statement that writes for a node, whose id is its first argument.

        Raises Fenced if there is none, Unavailable, OutcomeUnknown, Poisoned."""
        rows = await self._run(statement, args, writes=True)
        if not rows:
            raise Fenced(str(args[0]))
        return rows[0]

    async def write_unfenced(self, statement: str, *args: object) -> list[Record]:
        """The rows of a named statement that writes for no node: fences and what nodes share. Raises as `write` does,
        but never Fenced."""
        return await self._run(statement, args, writes=True)

    async def probe(self) -> Reason | None:
        """None if PostgreSQL can be reached and written to, else why not. Takes a second at most."""
        try:
            rows, _ = await self._probe.run("probe", writes=False)
        except Fault as fault:
            return fault.reason
        if not rows[0]["read_only"]:
            return None
        self._probe.cut()  # as in `_after`
        return "read_only"

    async def _run(self, statement: str, args: tuple[object, ...], *, writes: bool) -> list[Record]:
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_S)
        except VendorError as error:
            raise classify(error, sent=False) from error
        try:
            return list(await connection.fetch(self.statements[statement], *args))
        except VendorError as error:
            fault = classify(error, sent=writes)
            await self._after(fault, connection)
            raise fault from error
        except asyncio.CancelledError:
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection, timeout=CONNECT_S)

    async def _after(self, fault: Fault, connection: Any) -> None:
        if fault.reason == "timeout":
            connection.terminate()
        elif fault.reason == "read_only":
            # The primary may be elsewhere by now; only a new connection finds it.
            await self._pool.expire_connections()

    def _connect_options(self, timeout_s: float, lock_wait_s: float = LOCK_WAIT_S) -> dict[str, Any]:
        return {
            "timeout": CONNECT_S,
            "command_timeout": timeout_s,
            "server_settings": {
                "application_name": self._node_id,
                "statement_timeout": _milliseconds(timeout_s * SERVER_SHARE),
                "lock_timeout": _milliseconds(lock_wait_s),
                # Fencing rests on a lock's holder being looked at again after the wait.
                "default_transaction_isolation": "read committed",
                # Each statement finds its rows by key; planning anew or compiling costs more than it brings.
                "plan_cache_mode": "force_generic_plan",
                "jit": "off",
            },
        }


class Link:
    """
    One connection of its own to PostgreSQL, for one call at a time; opened when needed, opened anew when lost.

        CLOSED --run--> OPEN --a fault, `cut`--> CLOSED
    """

    def __init__(self, database: Database, timeout_s: float, lock_wait_s: float) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._lock_wait_s = lock_wait_s
        self._connection: asyncpg.Connection | None = None
        self._prepared: dict[str, Any] = {}

    async def run(self, statement: str, *args: object, writes: bool) -> tuple[list[Record], str]:
        """The rows of a named statement, and its command tag ("INSERT 0 20").

        Raises Unavailable, OutcomeUnknown (only if it `writes`), Poisoned. If cancelled, the outcome is unknown too."""
        is_sent, ends_at = False, time.monotonic() + self._timeout_s
        try:
            # Prepared apart, so that a connection that turns out to be dead here was surely not sent the statement.
            prepared = await self._prepare(statement)
            is_sent = writes
            # asyncpg arms a timer of its own in any case; `asyncio.timeout` besides took 6 to 10 us of each flush.
            rows = await prepared.fetch(*args, timeout=ends_at - time.monotonic())
            return rows, prepared.get_statusmsg()
        except VendorError as error:
            fault = classify(error, sent=is_sent)
            if not isinstance(fault, Poisoned):
                self.cut()
            raise fault from error
        except asyncio.CancelledError:
            self.cut()
            raise

    def cut(self) -> None:
        """Close at once, without waiting for anybody. Idempotent."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._prepared = {}

    async def _prepare(self, statement: str) -> Any:
        if self._connection is not None and self._connection.is_closed():
            self.cut()
        if (prepared := self._prepared.get(statement)) is not None:
            return prepared
        async with asyncio.timeout(self._timeout_s):
            if self._connection is None:
                self._connection = await self._database.connect(self._timeout_s, self._lock_wait_s)
            prepared = self._prepared[statement] = await self._connection.prepare(self._database.statements[statement])
            return prepared


async def _keep_as_it_is(connection: object) -> None:
    """In place of asyncpg's reset, which is one more round trip; no statement of ours changes a connection."""


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
