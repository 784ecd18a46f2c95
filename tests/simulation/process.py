"""
A simulated process: the real node and the real edge on a loop of its own, with simulated tables and sockets.

    RUNNING --freeze--> FROZEN --thaw--> RUNNING --killed, fenced, drained--> DEAD

A frozen process runs nothing, and what reached it waits; a dead one never runs again, and its sockets are cut.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

from contracts import limits
from contracts.codes import CloseCode
from server.core.faults import Fault, Fenced
from server.core.room import RoomLimits
from server.edge.arrivals import Arrivals
from server.edge.desk import Desk
from server.edge.evictions import Evictions
from server.edge.origins import Origins
from server.edge.peers import PeerRate
from server.edge.relay import RelayMark
from server.edge.transport import Endpoint, Later, Refusal, UpgradeRequest
from server.ops.metrics import Metrics
from server.presence.reservations import Reservation
from server.runtime.identity import Identity
from server.runtime.node import Node
from server.runtime.runner import Pace
from server.runtime.tasks import Tasks
from server.runtime.terms import Reports, Terms
from server.storage.stores import Stores
from tests.simulation.loop import Clock, Loop
from tests.simulation.plot import Plot
from tests.simulation.postgres import Postgres, Tables

LATENCY_S = 0.001
LEASE_S = 1.5
RENEW_S = 0.3
TERMS = Terms(
    room=RoomLimits(intent_rate=60.0, intent_burst=12, hold_ms=4_000, idle_ms=30_000),
    pace=Pace(patch_rate_s=0.02, freshness_s=0.03, snapshot_every=9),
    durability_budget_s=0.8,
    pending_actions_max=25,
    rooms_max=5,
    sessions_max=100,
)


@cache
def metrics() -> Metrics:
    """Nobody reads them here, and they are slow to make."""
    return Metrics(["intent.add"], [4010], "0", "1", "hash")


class Wire:
    """A socket between a client and a process. Whatever is in flight when it is cut is lost."""

    def __init__(
        self,
        clock: Clock,
        process: "Process",
        shown: Callable[[bytes], None],
        heard: Callable[[bytes], None],
        ended: Callable[[int], None],
    ) -> None:
        self.process = process
        self.is_cut = False
        #: Nothing gets through for now, in either direction.
        self.is_stalled = False
        self._clock = clock
        self._shown = shown
        self._heard = heard
        self._ended = ended
        self._endpoint: Endpoint | None = None
        self._close_code: int | None = None
        self._held: deque[Callable[[], None]] = deque()

    def opened(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        endpoint.opened(self)
        if self.is_cut:
            self._server_ends(1006)

    # -- the server's side ----------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        if self._close_code is None and not self.process.is_dead:
            self._shown(frame)
            self._later(lambda: self._heard(frame))

    def close(self, code: int, reason: str = "") -> None:
        if self._close_code is None:
            self._close_code = code
            self._later(lambda: self._client_ends(code))
            self._clock.after(limits.CLOSE_S, lambda: self.cut(0.0))

    def abort(self) -> None:
        self.cut(0.0)

    def ping(self) -> None:
        self._later(lambda: self._later(lambda: self._tell(lambda endpoint: endpoint.alive())))

    def buffered_bytes(self) -> int:
        return 0

    # -- the client's side ----------------------------------------------------------------------------------------

    def transmit(self, frame: bytes) -> None:
        if self._close_code is None:
            self._later(lambda: self._tell(lambda endpoint: endpoint.message(frame)))

    def _client_ends(self, code: int) -> None:
        self.is_cut = True
        self._ended(code)
        self._server_ends(code)

    # -- the world's side -----------------------------------------------------------------------------------------

    def cut(self, server_hears_s: float) -> None:
        """The socket is gone; the client knows at once."""
        if self.is_cut:
            return
        self.is_cut = True
        self._ended(1006)
        self._clock.after(server_hears_s, lambda: self._server_ends(1006))

    def flow(self) -> None:
        """No longer stalled: what waits arrives, in its order."""
        self.is_stalled = False
        while self._held and not self.is_stalled:
            self._arrive(self._held.popleft())

    def _server_ends(self, code: int) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            self.process.loop.call_soon(endpoint.closed, code)

    def _later(self, deliver: Callable[[], None]) -> None:
        self._clock.after(LATENCY_S, lambda: self._arrive(deliver))

    def _arrive(self, deliver: Callable[[], None]) -> None:
        if self.is_cut:
            return
        if self.is_stalled:
            self._held.append(deliver)
        else:
            deliver()

    def _tell(self, what: Callable[[Any], None]) -> None:
        if self._endpoint is not None:
            self.process.loop.call_soon(what, self._endpoint)


class Held:
    """A dial whose answer takes a moment; no node relays it, for none has an address."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def is_gone(self) -> bool:
        return self._wire.is_cut

    def answer(self, verdict: Endpoint | Refusal) -> None:
        if isinstance(verdict, Refusal):
            self._wire.cut(0.0)
        else:
            self._wire.opened(verdict)


class Process:
    def __init__(
        self,
        name: str,
        clock: Clock,
        postgres: Postgres,
        reservations: dict[str, Reservation],
        random: Random,
        violated: Callable[[str], None],
    ) -> None:
        self.name = name
        self.loop = Loop(clock, lambda problem: violated(f"{name}: {problem!r}"))
        self.is_frozen = False
        self.is_dead = False
        self.is_serving = False
        self.wires: list[Wire] = []
        self._clock = clock
        self._postgres = postgres
        self._reservations = reservations
        self._random = random
        self._count = 0
        self._tasks = Tasks(lambda task, error: violated(f"{name}: {task} crashed: {error!r}"))
        self.loop.call_soon(self._start)

    def _start(self) -> None:
        tables = Tables(self._postgres, self.loop)
        stores = Stores(journal=tables, snapshots=tables, rooms=tables, nodes=tables, characters=tables)
        identity = Identity(self._new_id(), tables, _nothing, self._new_id, LEASE_S, RENEW_S)
        publisher = SimpleNamespace(
            refresh=_nothing,
            refresh_soon=_ignore,
            keep_listed=_nothing,
            write=_nothing,
            run=_nothing,
            changed=_ignore,
            closed=_ignore,
            publish_now=_nothing,
            address="",
        )
        reports = Reports(self._fenced, _ignore, _ignore)
        self.node = Node(
            identity,
            {Plot.name: Plot},
            stores,
            publisher,
            self._tasks,
            metrics(),
            TERMS,
            self._clock.unix_ms,
            self._random,
            reports,
        )
        reservations = SimpleNamespace(redeem=self._redeem)
        unix_ms, random = self._clock.unix_ms, self._random
        evictions = Evictions(self.node, SimpleNamespace(tell=_nothing), tables, self._tasks, unix_ms, random)
        arrivals = Arrivals(self.node, reservations, tables, evictions, metrics(), unix_ms, random)
        self._desk = Desk(
            self.node,
            Origins([]),
            PeerRate("connections", 1e9, 10**9, unix_ms, limits_loopback=False),
            RelayMark(b"secret"),
            metrics(),
            self._tasks,
            unix_ms,
            1000,
            arrivals.seat,
            self._log_out,
            list,
        )
        self._tasks.start(self._serve(), "serve")

    async def _serve(self) -> None:
        try:
            await self.node.start(None, "")
        except Fault:
            self.die()
            return
        self.is_serving = True
        self._tasks.start(self._desk.watch(), "watch")

    def _new_id(self) -> str:
        self._count += 1
        return f"{self.name}.{self._count}"

    def dial(self, wire: Wire, path: str, query: str) -> None:
        def accept() -> None:
            accepted = self._desk.accept(UpgradeRequest(path, query, {}, "127.0.0.1")) if self.is_serving else None
            if accepted is None or isinstance(accepted, Refusal):
                wire.cut(0.0)
            elif isinstance(accepted, Later):
                accepted.ask(Held(wire))
            else:
                wire.opened(accepted)

        self.wires.append(wire)
        self.loop.call_soon(accept)

    def call(self, call: Callable[[Node], object]) -> None:
        """Have the node do something."""
        if self.is_serving:
            self.loop.call_soon(lambda: call(self.node))

    def drain(self) -> None:
        async def drain() -> None:
            # What it could not release is taken over.
            with suppress(Fault):
                await self.node.drain(CloseCode.MAY_RECONNECT, "the server shuts down")
            self.die()

        self.is_serving = False
        self.loop.call_soon(lambda: self._tasks.start(drain(), "drain"))
        self._clock.after(limits.DRAIN_S, self.die)

    def die(self) -> None:
        self.is_dead, self.is_serving, self.is_frozen = True, False, False
        for wire in self.wires:
            wire.cut(0.0)

    def _fenced(self, fault: Fenced) -> None:
        self.node.close_all(CloseCode.MAY_RECONNECT, "the node was fenced")
        self.is_serving = False
        self._clock.after(5 * LATENCY_S, self.die)

    async def _redeem(self, name: str, room_id: str, session_id: str) -> Reservation | None:
        return self._reservations.pop(session_id, None)

    async def _log_out(self, player_id: str) -> None:
        for runner in self.node.rooms:
            for seat in runner.room.seats.of_player(player_id):
                runner.step(
                    lambda room, seat=seat: room.terminate(
                        seat, CloseCode.LOGGED_OUT, "logged out", self._clock.unix_ms(), self._random
                    )
                )


async def _nothing(*given: object) -> None:
    """What Redis would be told."""


def _ignore(*given: object) -> None:
    """Whoever counts or lists is not there."""
