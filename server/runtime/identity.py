"""
Identity: this process as a node; the id it writes under, and the lease that its rooms rest on.

    begin --registered--> HELD --no renewal in time--> LAPSED --renewed--> HELD
                            `--`replace`: a new id, the old one fenced--> HELD
                            `--another has fenced it--> over: the process ends

While the lease is held nobody else takes a room of ours, so what is shown is true. Lapsed, nothing of any room's state
may be shown (`is_lease_held`), for another may have it by now; who was not fenced renews and goes on.

A new id is the answer to every write whose outcome is unknown: once the old one is fenced, that write has landed or
never will.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from server.core.faults import Fault, Fenced
from server.runtime.backoff import Backoff
from server.storage.nodes import Nodes

_log = structlog.get_logger(service="node")


class Identity:
    def __init__(
        self,
        node_id: str,
        nodes: Nodes,
        rename: Callable[[str], Awaitable[None]],
        new_id: Callable[[], str],
        lease_s: float,
        renew_s: float,
    ) -> None:
        """`rename` is told of each new id: connections are to carry it."""
        self.node_id = node_id
        #: Ids of this process that were given up; what they own in PostgreSQL is still this node's.
        self.former_ids: list[str] = []
        self._nodes = nodes
        self._rename = rename
        self._new_id = new_id
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._lease_until = 0.0
        self._is_retired = False
        #: The id that is to replace the one in force, while that is under way.
        self._next_id: str | None = None
        self._home: str | None = None
        self._address = ""

    @property
    def is_lease_held(self) -> bool:
        """By this process' own clock, counted from before each renewal began."""
        return time.monotonic() < self._lease_until

    def is_own(self, fault: Fenced) -> bool:
        """Whether somebody else has fenced this node, and not we ourselves an id that we give up."""
        return fault.node_id == self.node_id and self._next_id is None and not self._is_retired

    async def begin(self, home: str | None, address: str) -> None:
        """Become a node; others of the same home, if it has one, are dead: fence them. Raises a Fault."""
        self._home, self._address = home, address
        self._lease_until = await self._register(self.node_id) + self._lease_s
        if home is not None:
            fenced = await self._nodes.fence_home(home, self.node_id)
            if fenced:
                _log.info("took over from a node that did not end cleanly", nodes=fenced)

    async def replace(self) -> None:
        """
        Go on under a new id. Once it is in force, nothing that was sent under an older one is written any more.

        Raises a Fault; then call it again, which goes on where it was.
        """
        if self._next_id is None:
            self._next_id = self._new_id()
            await self._rename(self._next_id)
        try:
            began = await self._register(self._next_id)
        except Fenced:
            # Registered once before, and its lease has run out since.
            self._next_id = None
            raise
        await self._nodes.fence(self.node_id)
        # No await from here on: nobody sees the new id before all that was sent under the old one is settled.
        self.former_ids.append(self.node_id)
        self.node_id, self._next_id = self._next_id, None
        self._lease_until = began + self._lease_s
        _log.warning("a new identity", node=self.node_id, former=self.former_ids[-1])

    async def retire(self) -> None:
        """The node's last write, at its clean end: others need not wait for its lease. Raises a Fault."""
        self._is_retired = True
        await self._nodes.retire(self.node_id)

    async def keep(self, on_fenced: Callable[[Fenced], None]) -> None:
        """Renew in time, until fenced. A database that cannot be reached makes nobody else the owner: ask it again."""
        backoff, pause_s = Backoff(), self._renew_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._renew()
                pause_s = self._renew_s
                backoff.reset()
            except Fenced as fault:
                if self.is_own(fault):
                    on_fenced(fault)
                    return
                pause_s = backoff.next_s()
            except Fault as fault:
                _log.warning("the lease was not renewed", fault=str(fault))
                pause_s = min(self._renew_s, backoff.next_s())

    async def _register(self, node_id: str) -> float:
        """Returns since when its lease runs, at the latest."""
        began = time.monotonic()
        await self._nodes.register(node_id, self._home, self._address, self._lease_s)
        return began

    async def _renew(self) -> None:
        node_id, began = self.node_id, time.monotonic()
        await self._nodes.renew(node_id, self._lease_s)
        if node_id == self.node_id:
            self._lease_until = began + self._lease_s
