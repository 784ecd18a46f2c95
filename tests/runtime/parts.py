"""A link that keeps what it is sent, and a node on real databases."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from server.core.colyseus.frames import Opcode
from server.core.colyseus.primitives import decode_string
from server.core.faults import Fault
from server.core.identifiers import new_id
from server.core.link import Link
from server.core.membership import Membership, Player
from server.core.room import RoomLimits
from server.embedded import Urls
from server.ops.metrics import Metrics
from server.presence import Directory, Sessions, Store
from server.rooms.base import Room
from server.runtime.clock import unix_ms
from server.runtime.identity import Identity
from server.runtime.node import Node
from server.runtime.publisher import Publisher
from server.runtime.runner import Pace, RoomRunner
from server.runtime.tasks import Tasks
from server.runtime.terms import Reports, Terms
from server.storage.database import Database
from server.storage.stores import Stores, stores_of
from tests.games import Duet, Fragile

GAMES: Mapping[str, type[Room]] = {"duet": Duet, "fragile": Fragile}
UNPACED = RoomLimits(intent_rate=1e9, intent_burst=10**9, hold_ms=60_000, idle_ms=600_000)
LEASE_S = 10.0


class Tape(Link):
    """Notes each message with the loop's time, and its close."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, str, Any]] = []
        self.closed: tuple[int, str] | None = None

    def send(self, frame: bytes) -> None:
        if frame[0] == Opcode.ROOM_DATA:
            message_type, offset = decode_string(frame, 1)
            now = asyncio.get_running_loop().time()
            self.heard.append((now, message_type, msgspec.msgpack.decode(frame[offset:])))

    def waiting_bytes(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def of(self, message_type: str, **fields: Any) -> list[Any]:
        return [body for _, kind, body in self.heard if kind == message_type and fields.items() <= body.items()]

    def times(self, message_type: str, **fields: Any) -> list[float]:
        return [at for at, kind, body in self.heard if kind == message_type and fields.items() <= body.items()]


def metrics() -> Metrics:
    return Metrics(["intent.add"], [4010], "0", "1", "hash")


def member(session_id: str) -> Membership:
    return Membership(session_id, Player(f"player of {session_id}", session_id, "player"), "1")


def seat(runner: RoomRunner, session_id: str, **options: Any) -> Tape:
    """A session that has joined, with its join byte."""
    link = Tape()
    refused = runner.step(
        lambda room: room.join(
            link, member(session_id), options, None, session_id.encode().ljust(32), b"\x0a", unix_ms(), runner.random
        )
    )
    assert refused is None, refused
    runner.joined(link)
    return link


class Adding:
    """A link's `intent.add` that is read already."""

    def __init__(self, runner: RoomRunner, link: Link, seq: int, amount: int) -> None:
        self._said = (link, "intent.add", {"seq": seq, "amount": amount}, None)
        self._runner = runner

    def take(self, frame: bytes, now_ms: int) -> None:
        self._runner.receive(*self._said, now_ms)


def add(runner: RoomRunner, link: Link, seq: int, amount: int = 1) -> None:
    """Taken in at once."""
    send_add(runner, link, seq, amount)
    runner.take_in()


def send_add(runner: RoomRunner, link: Link, seq: int, amount: int = 1) -> None:
    """It waits for the room's turn."""
    runner.inbox.put(Adding(runner, link, seq, amount), b"", unix_ms())


class Station:
    """A node with what it stands on, and what ended it."""

    def __init__(self, node: Node, stores: Stores, metrics: Metrics) -> None:
        self.node = node
        self.stores = stores
        self.metrics = metrics
        self.ends: list[Fault] = []
        self.crashes: list[str] = []

    async def runner(self, room_id: str) -> RoomRunner:
        runner = await self.node.room(room_id)
        assert isinstance(runner, RoomRunner), runner
        return runner


@asynccontextmanager
async def station(
    urls: Urls,
    *,
    rooms_max: int = 100,
    budget_s: float = 5.0,
    lease_s: float = LEASE_S,
    games: Mapping[str, type[Room]] = GAMES,
) -> AsyncIterator[Station]:
    """A node that serves, on databases with the tables."""
    made: list[Station] = []
    tasks = Tasks(lambda name, error: made[0].crashes.append(name))
    chance = random.SystemRandom()
    store = Store(urls.redis_url)
    async with Database(urls.database_url, new_id(chance)) as database:
        stores, counted = stores_of(database), metrics()
        identity = Identity(
            database.node_id,
            stores.nodes,
            database.rename,
            lambda: new_id(chance),
            lease_s=lease_s,
            renew_s=lease_s / 20,
        )
        publisher = Publisher(
            Directory(store, list(games)), Sessions(store), identity, "127.0.0.1:1", None, 60.0, 3.0, unix_ms, print
        )
        terms = Terms(
            room=UNPACED,
            pace=Pace(patch_rate_s=0.05, freshness_s=0.1, snapshot_every=1000),
            durability_budget_s=budget_s,
            pending_actions_max=10_000,
            rooms_max=rooms_max,
            sessions_max=1000,
        )
        reports = Reports(lambda fault: made[0].ends.append(fault), lambda actions, seconds: None, lambda fault: None)
        node = Node(identity, games, stores, publisher, tasks, counted, terms, unix_ms, chance, reports)
        made.append(Station(node, stores, counted))
        await node.start(None, "127.0.0.1:1")
        try:
            yield made[0]
        finally:
            await tasks.stop()
            await store.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)
