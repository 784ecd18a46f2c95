"""
World: processes, one PostgreSQL, and clients, on one clock.

Everything that happens is a step with small numbers, which name whatever fits at that time. So a script is a list of
steps that can be shortened and still makes sense, and one script is always the same history.
"""

import random
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from contracts import limits
from contracts.codes import CloseCode
from server.core.recovery import Recovery
from server.core.state import plain
from server.presence.reservations import Reservation
from server.storage.rooms import RoomRow
from tests.core.parts import FAILING, REFUSED
from tests.simulation.client import DIALS_AGAIN, Client
from tests.simulation.loop import Clock
from tests.simulation.plot import Plot
from tests.simulation.postgres import Fate, Postgres
from tests.simulation.process import TERMS, Process, Wire
from tests.simulation.witness import Witness

ROOMS = ("room-a", "room-b")
PLAYERS = 4
CLIENTS_MAX = 7
PROCESSES_MAX = 3
#: A client that hears nothing of its dial, and one that dials again.
DIAL_S, REDIAL_S = 2.0, 0.1
FATES = tuple(Fate)
OUTAGES = (Fate.REFUSED, Fate.REQUEST_LOST, Fate.REPLY_LOST, Fate.LATE, Fate.SLOW)
#: Small enough to be reached.
BOUNDS = {
    "HISTORY_ENTRIES_MAX": 16,
    "OUTCOMES_MAX": 6,
    "OUTCOMES_IN_SNAPSHOT_MAX": 3,
    "FLUSH_ROWS_MAX": 5,
    "ROOM_LINGER_S": 2.0,
}
#: What is logged where the runtime goes on after a bug of its own.
NEVER = frozenset({"a room cannot be rebuilt", "a journal lacks what was acked", "an arrival failed"})


class Violation(AssertionError):
    """A promise is broken."""


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.violations: list[str] = []
        self.postgres = Postgres(self.clock, self.violations.append)
        self.processes: list[Process] = []
        self.clients: list[Client] = []
        self._rooms: dict[Client, str] = {}
        self._wires: dict[Client, Wire] = {}
        self._witnesses = {room_id: Witness(self.postgres, room_id) for room_id in ROOMS}
        self._reservations: dict[str, Reservation] = {}
        self._random = random.Random(7)
        self._count = 0
        for room_id in ROOMS:
            self.postgres.rooms[room_id] = RoomRow(
                room_id=room_id,
                name=Plot.name,
                status="dormant",
                options=b"{}",
                metadata=b"{}",
                filters={},
                max_clients=Plot.max_clients,
            )

    # -- time -----------------------------------------------------------------------------------------------------

    def wait(self, passed_ms: int) -> None:
        until = self.clock.now_s + passed_ms / 1000
        while True:
            self._run_ready()
            running = [process.loop.next_at for process in self._running]
            next_at = min(self.clock.next_at, *running, until)
            if next_at >= until:
                break
            self.clock.now_s = max(next_at, self.clock.now_s)
            self.clock.run_due()
        self.clock.now_s = until
        self.clock.run_due()
        self._run_ready()

    wait_long = wait

    def _run_ready(self) -> None:
        is_busy = True
        while is_busy:
            is_busy = False
            for process in self._running:
                is_busy |= process.loop.run_due()
            if self.violations:
                raise Violation(self.violations[0])

    @property
    def _running(self) -> list[Process]:
        return [process for process in self.processes if not (process.is_dead or process.is_frozen)]

    @property
    def _alive(self) -> list[Process]:
        return [process for process in self.processes if not process.is_dead]

    # -- processes ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        if len(self._alive) < PROCESSES_MAX:
            name = f"p{len(self.processes) + 1}"
            self.processes.append(
                Process(name, self.clock, self.postgres, self._reservations, self._random, self.violations.append)
            )

    def kill(self, which: int) -> None:
        if process := one_of(self._alive, which):
            process.die()

    def freeze(self, which: int, for_ms: int) -> None:
        def thaw() -> None:
            process.is_frozen = False

        if process := one_of(self._running, which):
            process.is_frozen = True
            self.clock.after(for_ms / 1000, thaw)

    def overtake(self, which: int, in_flight_ms: int) -> None:
        """A process freezes in the middle of something, for longer than its lease, and another takes over."""
        self.start()
        self.wait(1_800)
        for who in range(3):
            self.ask(who, which + who)
        self.wait(in_flight_ms)
        self.freeze(which, 4_000)
        for who in range(4):
            self.join(who, which, 1)
        self.wait(4_500)

    def drain(self, which: int) -> None:
        if process := one_of([process for process in self._running if process.is_serving], which):
            process.drain()

    # -- PostgreSQL -----------------------------------------------------------------------------------------------

    def fate(self, which: int) -> None:
        """What becomes of the next flush that has none yet."""
        self.postgres.fates.append(FATES[which % len(FATES)])

    def outage(self, which: int, for_ms: int) -> None:
        self.postgres.outage = OUTAGES[which % len(OUTAGES)]
        self.postgres.outage_until = self.clock.now_s + for_ms / 1000

    def freeze_postgres(self, for_ms: int) -> None:
        self.postgres.frozen_until = self.clock.now_s + for_ms / 1000

    # -- clients --------------------------------------------------------------------------------------------------

    def join(self, who: int, room: int, resumes: int) -> None:
        """Player `who` joins a room anew."""
        if len(self._present) >= CLIENTS_MAX:
            return
        self._count += 1
        session_id, player_id = f"s{self._count}", f"player-{who % PLAYERS}"
        room_id = ROOMS[room % len(ROOMS)]
        client = Client(session_id, player_id, resumes % 3 > 0, room_id, self.postgres)
        self._reservations[session_id] = Reservation(
            session_id=session_id,
            player_id=player_id,
            name=player_id.title(),
            role="player",
            protocol_version=None,
            resume=client.resumes,
        )
        self.clients.append(client)
        self._rooms[client] = room_id
        self._dial(client)

    def ask(self, who: int, what: int) -> None:
        if client := one_of(self._greeted, who):
            client.ask({"text": f"line {what}"} if what % 4 == 0 else {"amount": 1 + what % 5})

    def ask_what_is_refused(self, who: int) -> None:
        if client := one_of(self._greeted, who):
            client.ask({"amount": REFUSED})

    def ask_a_lot(self, who: int, count: int) -> None:
        for _ in range(count):
            self.ask(who, count)

    def ask_again(self, who: int, count: int) -> None:
        if client := one_of(self._greeted, who):
            client.ask_again(count)

    def ask_the_impossible(self, who: int, which: int) -> None:
        """A step that raises, or an entry that cannot be written."""
        if client := one_of(self._greeted, who):
            client.ask({"amount": FAILING} if which % 2 else {"text": "poison"})

    def resume(self, who: int) -> None:
        if client := one_of(self._greeted, who):
            client.resume_without_a_gap()

    def resume_falsely(self, who: int, which: int) -> None:
        if client := one_of(self._greeted, who):
            client.resume_falsely(*((1_000, 0), (0, 1), (0, -1))[which])

    def leave(self, who: int) -> None:
        if client := one_of(self._greeted, who):
            client.leave()

    def log_out(self, who: int) -> None:
        if client := one_of(self._greeted, who):
            client.log_out()

    def cut(self, who: int, server_hears_ms: int) -> None:
        if client := one_of(self._linked, who):
            self._wires[client].cut(server_hears_ms / 1000)

    def stall(self, who: int, for_ms: int) -> None:
        if client := one_of(self._linked, who):
            wire = self._wires[client]
            wire.is_stalled = True
            self.clock.after(for_ms / 1000, wire.flow)

    def go_away(self, who: int, for_ms: int) -> None:
        """Cut, and not back before that."""
        if client := one_of(self._linked, who):
            client.is_away = True
            self._wires[client].cut(0.05)
            self.clock.after(for_ms / 1000, lambda: self._come_back(client))

    @property
    def _present(self) -> list[Client]:
        return [client for client in self.clients if client.ended is None]

    @property
    def _linked(self) -> list[Client]:
        return [client for client in self._present if not self._wires[client].is_cut]

    @property
    def _greeted(self) -> list[Client]:
        return [client for client in self._present if client.is_greeted]

    def _come_back(self, client: Client) -> None:
        if client.is_away:
            client.is_away = False
            self._dial(client)

    def _dial(self, client: Client) -> None:
        if client.ended is not None or client.is_away:
            return
        if not self._alive:
            self.start()
        client.dials += 1
        process = self._alive[client.dials % len(self._alive)]
        room_id = self._rooms[client]
        wire = Wire(
            self.clock,
            process,
            lambda frame: self._shown(client, process, frame),
            lambda frame: self._checked(lambda: client.heard(frame)),
            lambda code: self._ended(client, wire, code),
        )
        self._wires[client] = wire
        client.connected(wire.transmit)
        query = f"sessionId={client.session_id}"
        process.dial(
            wire, f"/p/{room_id}", query if client.token is None else f"{query}&reconnectionToken={client.token}"
        )
        self.clock.after(DIAL_S, lambda: None if client.is_confirmed else wire.cut(0.1))

    def _ended(self, client: Client, wire: Wire, code: int) -> None:
        if self._wires[client] is not wire:
            return
        client.disconnected(code)
        if code == CloseCode.FAILED_TO_RECONNECT and client.session_id in self.postgres.sessions[self._rooms[client]]:
            self.violations.append(f"P6: {client.session_id} is locked out, and its session lives")
        if code in DIALS_AGAIN:
            if client.token is None:
                client.ended = code
            self.clock.after(REDIAL_S, lambda: self._dial(client) if self._wires[client] is wire else None)

    def _shown(self, client: Client, process: Process, frame: bytes) -> None:
        self._checked(lambda: self._witnesses[self._rooms[client]].shown(process.name, client.session_id, frame))

    def _checked(self, check: Callable[[], None]) -> None:
        try:
            check()
        except AssertionError as error:
            self.violations.append(str(error))

    # -- the end --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Heal everything, give it some seconds, and hold what is there against the promises."""
        self.postgres.heal()
        for process in self._alive:
            process.is_frozen = False
        if not any(process.is_serving for process in self._alive):
            self.start()
        for client in self._present:
            self._wires[client].flow()
            self._come_back(client)
        self.wait(8_000)
        for client in self._present:
            if client.is_greeted:
                client.ask({"amount": 1})
        self.wait(1_000)
        for client in self._present:
            client.check_whole()
        for client in self.clients:
            client.check_outcomes()
        for process in self._running:
            for runner in process.node.rooms:
                self._check_room(runner.room)
                for seat in runner.room.seats:
                    assert (seat.link is None) is (seat.held_until_ms is not None), "neither connected nor held"
        self._rebuild_beside()

    def end(self) -> None:
        for process in self.processes:
            process.die()
            process.loop.end()

    def _check_room(self, room: Any) -> None:
        journal = self.postgres.actions[room.room_id]
        assert len(journal) == room.room_seq == room.output.durable_seq
        assert self.postgres.states[room.room_id][-1] == plain(room.rules.state)
        assert self.postgres.sessions[room.room_id] == {seat.session_id for seat in room.seats}

    def _rebuild_beside(self) -> None:
        """From nothing and from any snapshot, the journal leads to its own end."""
        for room_id, journal in self.postgres.actions.items():
            for snapshot in (None, *self.postgres.snapshots.get(room_id, {}).values()):
                after = snapshot.room_seq if snapshot is not None else 0
                room = (
                    Recovery(room_id, 99, Plot(), TERMS.room, snapshot, self.clock.unix_ms())
                    .fold(journal[after:])
                    .room()
                )
                self._check_room(room)


def one_of(things: list[Any], which: int) -> Any:
    return things[which % len(things)] if things else None


@contextmanager
def bounds():
    """The world's own time, chance and bounds, and nobody who reads logs."""
    state = random.getstate()
    with capture_logs() as logs, patch.multiple(limits, **BOUNDS):
        try:
            yield logs
        finally:
            random.setstate(state)


def live(script: list[tuple[Any, ...]]) -> World:
    """The world that a script leads to. Raises AssertionError where a promise is broken."""
    world = World()
    with bounds() as logs, patch.object(time, "monotonic", lambda: world.clock.now_s):
        random.seed(7)
        try:
            world.start()
            world.wait(50)
            for name, *how in script:
                getattr(world, name)(*how)
                world.wait(0)
            world.settle()
        finally:
            world.end()
    wrong = [log for log in logs if log["event"] in NEVER or isinstance(log.get("exc_info"), AssertionError)]
    assert not wrong, f"logged: {wrong[0]}"
    return world
