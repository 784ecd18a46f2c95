"""
Routing: where a dial goes whose room is not active here.

    held --another living node has the room, and is reached--> relayed until either side ends
      `---nobody has it, or it is unclear who---------------> it goes on here

What goes on here looks again, at its arrival: the room is this node's, or the client is told 4010 and dials again.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from contracts import limits
from server.edge.relay import Relay, RelayMark
from server.edge.transport import Endpoint, Held, Later, Refusal
from server.runtime.clock import Clock
from server.runtime.node import Node
from server.runtime.tasks import Tasks
from server.storage.rooms import OwnedBy

_log = structlog.get_logger(service="edge")

#: The answer of this node, should the room be its own.
Here = Callable[[], Endpoint | Refusal]


class Routing:
    """The upgrades that are held, and the relays that some became."""

    def __init__(self, node: Node, mark: RelayMark, tasks: Tasks, clock: Clock, changed: Callable[[], None]) -> None:
        """`changed` is told whenever there are more or fewer relays."""
        self._node = node
        self._mark = mark
        self._tasks = tasks
        self._clock = clock
        self._changed = changed
        self._held = 0
        #: With the room of each.
        self._relays: dict[Relay, str] = {}

    @property
    def held(self) -> int:
        return self._held

    @property
    def relays(self) -> int:
        return len(self._relays)

    def is_relayed(self, headers: Mapping[str, str]) -> bool:
        """Whether another node has let this client in and sent it here."""
        return self._mark.is_on(headers)

    def later(self, room_id: str, headers: Mapping[str, str], here: Here) -> Later:
        """The answer to a dial for a room that is not active here."""
        is_relayed = self.is_relayed(headers)
        return Later(lambda held: self._hold(held, room_id, is_relayed, here))

    def look(self) -> None:
        """Once a second: cut relays whose owner is dead, frozen or cut off, and those whose room is ours by now."""
        for relay, room_id in list(self._relays.items()):
            if relay.is_overdue or self._node.active(room_id) is not None:
                relay.abort()

    def cut_all(self) -> None:
        for relay in list(self._relays):
            relay.abort()

    def _hold(self, held: Held, room_id: str, is_relayed: bool, here: Here) -> None:
        async def route() -> None:
            try:
                await self._route(held, room_id, is_relayed, here)
            finally:
                self._held -= 1

        self._held += 1
        self._tasks.start(route(), f"route to {room_id}")

    async def _route(self, held: Held, room_id: str, is_relayed: bool, here: Here) -> None:
        relay: Relay | None = None
        owner = await self._owner(room_id)
        # Our own address is that of a predecessor here whose lease is not over.
        if owner is not None and not is_relayed and owner.address != self._node.publisher.address:
            relay = await self._reach(owner)
        if relay is None:
            if not held.is_gone:
                held.answer(here())
        elif held.is_gone:
            relay.abort()
        else:
            self._relays[relay] = room_id
            self._changed()
            relay.begin(held)

    async def _owner(self, room_id: str) -> OwnedBy | None:
        """The other living node that has the room. What goes wrong here, the arrival meets as well, and tells."""
        try:
            found = await self._node.room(room_id)
        except Exception as problem:
            _log.debug("a dial's room is not had", room=room_id, problem=repr(problem))
            return None
        return found if isinstance(found, OwnedBy) else None

    async def _reach(self, owner: OwnedBy) -> Relay | None:
        """A relay whose owner is connected, or none."""
        relay = Relay(self._mark, self._clock, self._ended)
        host, _, port = owner.address.rpartition(":")
        try:
            async with asyncio.timeout(limits.RELAY_CONNECT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: relay.owner, host.strip("[]"), int(port))
        except (
            OSError,
            ValueError,
        ) as error:  # TimeoutError is an OSError; an address may be of another version's form
            reason = str(error) or type(error).__name__
            _log.warning("a room's owner cannot be reached", node=owner.node_id, address=owner.address, reason=reason)
            relay.abort()
        return None if relay.has_lost_owner else relay

    def _ended(self, relay: Relay) -> None:
        del self._relays[relay]
        self._changed()
