"""
Nodes: which server processes there are, until when each has its lease, and which of them may never write again.

    register --> living --renew--> living --fence, retire--> fenced (for ever)

A lease only says when others may fence; what keeps a late writer out is the fence. Lease ends are in the database's
clock, so no two machines' clocks are compared. Here is no judgement of the node's own: when it must fall silent, it
knows from when it began its last renewal.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import asyncpg

from server.core.faults import Unavailable
from server.storage.database import Database

_FENCE_ATTEMPTS_MAX = 3
_Answer = TypeVar("_Answer")


class Nodes:
    """The table of nodes, and their leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, node_id: str, home: str | None, address: str, lease_s: float) -> int:
        """Make a new node, whose id has at most 63 ASCII characters; returns its lease's end. Idempotent.

        `home` is a name that outlives it: who has it knows that whoever had it before is dead. Times are milliseconds
        since the Unix epoch by the database's clock. Raises Fenced, Unavailable, OutcomeUnknown (repeat it)."""
        lease = timedelta(seconds=lease_s)
        row = await self._database.write("node_register", node_id, home, address, lease)
        return int(row["lease_until"])

    async def renew(self, node_id: str, lease_s: float) -> int:
        """Put the lease's end `lease_s` from now, also when it had run out; returns the end as `register` does.

        Raises Fenced, Unavailable, OutcomeUnknown (harmless: the lease may end later than known)."""
        row = await self._database.write("node_renew", node_id, timedelta(seconds=lease_s))
        return int(row["lease_until"])

    async def fence(self, node_id: str) -> None:
        """From its return on nothing of that node is ever written. Idempotent.

        Waits for what the node is writing; if that takes over a second, ends its backends: its client may be frozen.
        Raises Unavailable, OutcomeUnknown (repeat it)."""
        await self._patiently(node_id, lambda: self._database.write_unfenced("node_fence", node_id))

    async def fence_lapsed(self, node_id: str, other_id: str) -> bool:
        """As `node_id`, fence another node whose lease has run out; returns whether it is fenced now by this.

        False as well if `node_id` has not itself renewed without a break for the length of its lease: when a database
        was frozen, every lease has run out. Raises as `fence`, and Fenced."""
        row = await self._patiently(other_id, lambda: self._database.write("node_fence_lapsed", node_id, other_id))
        return bool(row["done"])

    async def fence_home(self, home: str, except_node: str | None = None) -> list[str]:
        """Fence all nodes of a home and of the homes in it (`<home>/...`) but one, for who knows that they are dead, as
        the holder of a data folder's lock does; returns them. Raises as `fence`."""
        rows = await self._database.read("node_living_of_home", home, except_node)
        for row in rows:
            await self.fence(row["node_id"])
        return [row["node_id"] for row in rows]

    async def retire(self, node_id: str) -> None:
        """The node's own last write, at its clean end: others need not wait for its lease. Raises as `fence`."""
        await self.fence(node_id)

    async def _patiently(self, node_id: str, fence: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Fence `node_id`; each time its row isn't to be had in time, end its backends and try again."""
        for _ in range(_FENCE_ATTEMPTS_MAX - 1):
            try:
                return await fence()
            except Unavailable as fault:
                if not isinstance(fault.__cause__, asyncpg.LockNotAvailableError):
                    raise
                await self._database.read("node_end_backends", node_id)
        return await fence()
