"""
Desk: all connections of the process, from their handshake to their end.

It decides before the upgrade who may connect at all, starts each arrival, and once a second
looks at every connection's clock: silent ones are pinged and then cut, and one that has not
answered JOIN_ROOM in time is closed 4010, so that its token counts again.

A dial for a room that is active here is answered at once; where any other goes, `routing.py` finds out.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from urllib.parse import parse_qs

import structlog

from contracts import limits
from contracts.codes import CloseCode
from server.core.answers import terminating
from server.core.colyseus.frames import PONG
from server.core.identifiers import is_id
from server.core.link import Stage
from server.edge.connection import Connection, Dialled
from server.edge.origins import Origins
from server.edge.peers import PeerRate
from server.edge.relay import RelayMark
from server.edge.routing import Routing
from server.edge.transport import Endpoint, Later, Refusal, UpgradeRequest, Wire
from server.ops.metrics import Metrics
from server.runtime.clock import Clock
from server.runtime.node import Node
from server.runtime.tasks import Tasks

_log = structlog.get_logger(service="edge")

#: The last two segments are the node and the room (colyseus-wire.md 2.1); any node answers for any room.
_ROOM_PATH = re.compile(r"/[A-Za-z0-9_-]+/([A-Za-z0-9_-]+)")
_WATCH_S = 1.0
_HANDSHAKE_MS = int(limits.HANDSHAKE_S * 1000)
_PING_MS = int(limits.PING_S * 1000)
_PONG_MS = int(limits.PONG_S * 1000)

_SHUTTING_DOWN = Refusal(503, "the server is shutting down", 1)


class Desk:
    def __init__(
        self,
        node: Node,
        origins: Origins,
        rate: PeerRate,
        relay_mark: RelayMark,
        metrics: Metrics,
        tasks: Tasks,
        clock: Clock,
        connections_max: int,
        seat: Callable[[Connection], Awaitable[None]],
        log_out: Callable[[str], Awaitable[None]],
        troubles: Callable[[], Sequence[bytes]],
    ) -> None:
        self._node = node
        self._origins = origins
        self._rate = rate
        self._routing = Routing(node, relay_mark, tasks, clock, self._changed)
        self._metrics = metrics
        self._tasks = tasks
        self._clock = clock
        self._connections_max = connections_max
        self._seat = seat
        self._log_out = log_out
        #: What whoever arrives now must be told of the server, as frames; not held at any gate.
        self.troubles = troubles
        self._connections: set[Connection] = set()
        #: Those of them whose join byte has not come.
        self._arriving: set[Connection] = set()
        #: Sockets on "/", which measure how far away the server is.
        self._probes: set[Latency] = set()
        self._all_gone: asyncio.Event | None = None
        self.is_closed = False

    def accept(self, request: UpgradeRequest) -> Endpoint | Refusal | Later:
        """The transport's question before each upgrade."""
        # A relayed one comes from another node's address, where its client has been counted.
        is_relayed = self._routing.is_relayed(request.headers)
        if not is_relayed and (retry_after_s := self._rate.retry_after_s(request.peer)) is not None:
            return Refusal(429, "too many connections from this address; try again in a moment", retry_after_s)
        if not self._origins.allow(request.headers.get("origin"), request.headers.get("host")):
            return Refusal(403, "this origin may not connect")
        if self.is_closed:
            return _SHUTTING_DOWN
        others = len(self._probes) + self._routing.relays + self._routing.held
        if len(self._connections) + others >= self._connections_max:
            return Refusal(503, "too many connections", 5)
        if len(self._arriving) + self._routing.held >= limits.ARRIVALS_MAX:
            return Refusal(503, "too many are arriving at once; try again in a moment", 1)
        if request.path == "/":
            return Latency(self._tasks, self._probes)
        match = _ROOM_PATH.fullmatch(request.path)
        query = parse_qs(request.query)
        session_id = query.get("sessionId", [""])[0]
        if match is None or not is_id(session_id):
            return Refusal(404, "expected /{processId}/{roomId}?sessionId=...")
        token = query.get("reconnectionToken", [None])[0]
        dialled = Dialled(match[1], session_id, token, request.peer)
        if self._node.active(dialled.room_id) is not None:
            return self._here(dialled)
        return self._routing.later(dialled.room_id, request.headers, lambda: self._here(dialled))

    def _here(self, dialled: Dialled) -> Connection | Refusal:
        if self.is_closed:
            return _SHUTTING_DOWN
        connection = Connection(dialled, self, self._clock)
        self._connections.add(connection)
        self._arriving.add(connection)
        self._changed()
        return connection

    def arrive(self, connection: Connection) -> None:
        self._tasks.start(self._arrival(connection), f"arrival {connection.dialled.session_id}")

    async def _arrival(self, connection: Connection) -> None:
        dialled = connection.dialled
        with structlog.contextvars.bound_contextvars(room=dialled.room_id, session=dialled.session_id):
            await self._seat(connection)

    def joined(self, connection: Connection) -> None:
        """Its join byte has come; unless its room could not take that, its handshake is over."""
        if connection.stage is not Stage.OPENED:
            self._arriving.discard(connection)

    def closed(self, connection: Connection, code: int) -> None:
        self._connections.discard(connection)
        self._arriving.discard(connection)
        self._changed()
        self._metrics.disconnect_counted(code)
        _log.debug(
            "connection closed", room=connection.dialled.room_id, session=connection.dialled.session_id, code=code
        )

    def _changed(self) -> None:
        """There are more or fewer sockets."""
        sockets = len(self._connections) + self._routing.relays
        self._metrics.connections.set(sockets)
        if self._all_gone is not None and sockets == 0:
            self._all_gone.set()

    def log_out(self, player_id: str) -> None:
        async def log_out() -> None:
            await self._log_out(player_id)

        self._tasks.start(log_out(), f"logout {player_id}")

    async def watch(self) -> None:
        """Look after every connection's clock until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_S)
            self._look_at_all(self._clock())
            self._routing.look()

    def _look_at_all(self, now_ms: int) -> None:
        in_time_ms, quiet_ms, dead_ms = now_ms - _HANDSHAKE_MS, now_ms - _PING_MS, now_ms - _PING_MS - _PONG_MS
        late = [connection for connection in self._arriving if connection.opened_at_ms < in_time_ms]
        # Of thousands nearly all have been heard lately.
        silent = [connection for connection in self._connections if connection.heard_at_ms < quiet_ms]
        for connection in late:
            if connection.stage is Stage.OPENED:
                connection.send(terminating("handshake timeout"))
                connection.close(CloseCode.MAY_RECONNECT, "JOIN_ROOM was not answered in time")
        for connection in silent:
            if connection.heard_at_ms < dead_ms:
                connection.abort()
            elif not connection.is_pinged:
                connection.ping()

    async def gone(self, timeout_s: float) -> None:
        """Cut the relays, wait until all connections have ended, then cut what is left of them."""
        self._routing.cut_all()
        if self._connections or self._routing.relays:
            self._all_gone = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), timeout_s)
        for connection in list(self._connections):
            connection.abort()


class Latency:
    """The SDK's latency probe: a socket on "/" whose every message is answered with a pong, for a second."""

    def __init__(self, tasks: Tasks, all_of_them: "set[Latency]") -> None:
        """It is one of `all_of_them` while it is open."""
        self._tasks = tasks
        self._all = all_of_them
        self._wire: Wire | None = None

    def opened(self, wire: Wire) -> None:
        self._wire = wire
        self._all.add(self)
        self._tasks.start(self._end(wire), "latency probe")

    def message(self, frame: bytes) -> None:
        if self._wire is not None:
            self._wire.send(PONG)

    def text(self) -> None: ...

    def alive(self) -> None: ...

    def choked(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def drained(self) -> None: ...

    def closed(self, code: int) -> None:
        self._wire = None
        self._all.discard(self)

    @staticmethod
    async def _end(wire: Wire) -> None:
        await asyncio.sleep(1.0)
        wire.close(1000)
