"""
Publisher: tells Redis what this node's rooms and sessions are, from one queue.

Only whole records are written, after what they say is durable, so writing again repairs whatever
was lost: a fault keeps the changes and tries again, and a Redis that came back empty gets
everything (`publish_all`). Play never waits for it.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from server.core.faults import Fault
from server.presence.directory import Directory, Listing
from server.presence.sessions import SessionRecord, Sessions
from server.runtime.clock import Clock
from server.runtime.identity import Identity
from server.runtime.runner import RoomRunner

_log = structlog.get_logger(service="publisher")

#: How long changes gather, and how long a fault is waited out.
GATHER_S = 0.05
RETRY_S = 1.0
#: Session records that are made and written together, and with which everything else waits: there may be ten thousand.
SESSIONS_AT_ONCE = 100


class Publisher:
    def __init__(
        self,
        directory: Directory,
        sessions: Sessions,
        identity: Identity,
        address: str,
        public_address: str | None,
        hold_s: float,
        refresh_every_s: float,
        clock: Clock,
        on_fault: Callable[[Fault], None],
    ) -> None:
        """
        Session records live in Redis for `hold_s` and a little: all are written again before that. Listings live for
        the node's lease: they are refreshed every `refresh_every_s`.
        """
        self._directory = directory
        self._sessions = sessions
        self._identity = identity
        self._address = address
        self._public_address = public_address
        self._clock = clock
        self._all_again_every_ms = int(hold_s * 1000 / 2)
        self._all_again_ms = 0
        self._refresh_every_s = refresh_every_s
        self._refresh_wanted = asyncio.Event()
        self._on_fault = on_fault
        self._rooms: dict[str, RoomRunner] = {}
        self._published: dict[str, SessionRecord] = {}
        self._changed_rooms: set[str] = set()
        self._changed_sessions: dict[str, str] = {}
        #: By room, its name and epoch.
        self._closed_rooms: dict[str, tuple[str, int]] = {}
        self._wakened = asyncio.Event()
        #: One write at a time: two at once could reach Redis in the wrong order.
        self._writing = asyncio.Lock()

    @property
    def address(self) -> str:
        """Where other nodes reach this one."""
        return self._address

    def changed(self, runner: RoomRunner, session_ids: Iterable[str]) -> None:
        """The room's listing, and these sessions of it, are not what Redis has."""
        room_id = runner.room.room_id
        self._rooms[room_id] = runner
        self._changed_rooms.add(room_id)
        self._changed_sessions.update((session_id, room_id) for session_id in session_ids)
        self._wakened.set()

    def closed(self, runner: RoomRunner) -> None:
        """The room is no longer this node's."""
        room = runner.room
        self._rooms.pop(room.room_id, None)
        self._changed_rooms.discard(room.room_id)
        # Their records stay for the hold time: whoever has the room next goes on from them.
        gone = [session_id for session_id, record in self._published.items() if record.room_id == room.room_id]
        for session_id in gone:
            del self._published[session_id]
        self._closed_rooms[room.room_id] = (room.rules.name, room.epoch)
        self._wakened.set()

    def publish_all(self) -> None:
        """Redis may have forgotten everything."""
        for runner in list(self._rooms.values()):
            self.changed(runner, [seat.session_id for seat in runner.room.seats])

    async def refresh(self) -> bool:
        """
        Keep this node's listings and session records alive; a Redis that lost any gets everything.

        Returns whether it had: then all that is ours is to be written.
        """
        try:
            is_forgotten = not await self._directory.refresh(self._identity.node_id)
        except Fault as fault:
            self._on_fault(fault)
            return False
        if is_forgotten or self._clock() >= self._all_again_ms:
            self._all_again_ms = self._clock() + self._all_again_every_ms
            self.publish_all()
        return is_forgotten

    def refresh_soon(self) -> None:
        """The node has a new id, or Redis is back: others are to find its rooms again at once."""
        self._refresh_wanted.set()

    async def keep_listed(self) -> None:
        """Refresh in time, whatever Redis does, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_every_s):
                    await self._refresh_wanted.wait()
            self._refresh_wanted.clear()
            await self.refresh()

    async def publish_now(self, runner: RoomRunner) -> None:
        """Write the room's listing at once, for a matchmaker that must find it. Raises a Fault."""
        self._rooms[runner.room.room_id] = runner
        await self._directory.publish(self._listing(runner))

    async def run(self) -> None:
        while True:
            await self._wakened.wait()
            await asyncio.sleep(GATHER_S)
            self._wakened.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)

    async def write(self) -> bool:
        """Write what has changed. False if a fault stopped it: what is not written stays changed."""
        async with self._writing:
            return await self._write()

    async def _write(self) -> bool:
        rooms, self._changed_rooms = self._changed_rooms, set()
        sessions, self._changed_sessions = self._changed_sessions, {}
        closed, self._closed_rooms = self._closed_rooms, {}
        try:
            for room_id, (name, epoch) in closed.items():
                await self._directory.remove(name, room_id, epoch)
            for room_id in rooms:
                if room_id in self._rooms:
                    await self._directory.publish(self._listing(self._rooms[room_id]))
            changed = list(sessions.items())
            for start in range(0, len(changed), SESSIONS_AT_ONCE):
                await self._write_sessions(changed[start : start + SESSIONS_AT_ONCE])
        except Fault as fault:
            self._on_fault(fault)
            self._changed_rooms |= rooms
            self._changed_sessions = {**sessions, **self._changed_sessions}
            self._closed_rooms = {**closed, **self._closed_rooms}
            self._wakened.set()
            return False
        return True

    async def _write_sessions(self, changed: Iterable[tuple[str, str]]) -> None:
        records: list[SessionRecord] = []
        ended: list[SessionRecord] = []
        for session_id, room_id in changed:
            runner = self._rooms.get(room_id)
            seat = runner.room.seats.get(session_id) if runner is not None else None
            if runner is not None and seat is not None:
                member = seat.member
                records.append(
                    SessionRecord(
                        session_id=session_id,
                        room_id=room_id,
                        room_name=runner.room.rules.name,
                        player_id=member.player.player_id,
                        name=member.player.name,
                        role=member.player.role,
                        node_id=self._identity.node_id,
                        connected=seat.link is not None,
                        protocol_version=member.protocol_version,
                        resume=member.resumes,
                        token_hashes=seat.tokens.counting,
                        at=self._clock(),
                    )
                )
            elif (last := self._published.get(session_id)) is not None:
                ended.append(last)
        await self._sessions.put(records)
        await self._sessions.remove(ended)
        # A room may have been closed meanwhile, and its sessions with it.
        self._published.update((record.session_id, record) for record in records if record.room_id in self._rooms)
        for record in ended:
            self._published.pop(record.session_id, None)

    def _listing(self, runner: RoomRunner) -> Listing:
        room = runner.room
        return Listing(
            room_id=room.room_id,
            name=room.rules.name,
            node_id=self._identity.node_id,
            epoch=room.epoch,
            address=self._address,
            public_address=self._public_address,
            clients=len(room.seats),
            max_clients=room.rules.max_clients,
            filters=dict(runner.filters),
            created_at=runner.created_at,
        )
