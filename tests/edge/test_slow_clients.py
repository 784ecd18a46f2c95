"""Clients that do not read: conflated when they do again, closed when they don't, and nobody else's trouble."""

import asyncio
import time

import psutil
import pytest

from contracts import limits
from server.edge.connection import Connection as Arrival
from server.edge.connection import Dialled
from tests.serving import Server, Servers
from tests.wire import Client, Clients, Connection

#: What silences a client that reads nothing: more than its kernel, ours and the queue take.
ENOUGH_BYTES = limits.LAG_BYTES + 12 * limits.KERNEL_SEND_BYTES


both_transports = pytest.mark.parametrize("transport", ["picows", "websockets"])


@pytest.fixture
def transport() -> str:
    return "picows"


@pytest.fixture
async def server(serve: Servers, transport: str) -> Server:
    """Each commit is a delta of its own, and nobody is paced."""
    return await serve(transport=transport, patch_rate_ms=0, intent_rate=1000, intent_burst=1000)


@pytest.fixture
def client(server: Server, clients: Clients) -> Client:
    return clients(server)


async def played(player: Connection, total_bytes: int) -> int:
    """So much has been said to everyone, each line acked before the next; the last roomSeq."""
    room_seq = 0
    for _ in range(total_bytes // (16 * 1024)):
        room_seq = await player.added(16)
    return room_seq


def heard(connection: Connection) -> list[tuple[int, int]]:
    return [(line["roomSeq"], line["n"]) for line in connection.of("event.chat")]


@both_transports
async def test_one_that_reads_again_has_missed_nothing_and_heard_nothing_twice(server: Server, client: Client) -> None:
    player = await client.join("loud")
    other, slow = await client.join_by_id(player), await client.join_by_id(player)
    await player.caught_up(slow.room_seq)
    slow.stop_reading()
    room_seq = await played(player, ENOUGH_BYTES)
    assert await other.caught_up(room_seq) == await player.caught_up(room_seq)
    assert await server.metric("holdfast_conflations_total") == 0
    slow.read_on()
    assert await slow.caught_up(room_seq) == player.state
    assert heard(slow) == heard(player), "every line, in order, once"
    widths = [body["roomSeq"] - body["baseSeq"] for body in slow.of("event.state_delta") if body["kind"] == "delta"]
    assert max(widths) == widths[-1] > 5, "one merged delta at the end"
    assert sorted(widths)[-2] == 1
    assert await server.metric("holdfast_conflations_total") == 1
    room_seq = await player.added(1)
    assert await slow.caught_up(room_seq) == await player.caught_up(room_seq)
    assert await slow.added(1)


async def test_what_memory_has_forgotten_comes_as_a_snapshot(server: Server, client: Client) -> None:
    player = await client.join("loud")
    slow = await client.join_by_id(player)
    slow.stop_reading()
    room_seq = await played(player, limits.HISTORY_BYTES_MAX + 2 * ENOUGH_BYTES)
    slow.read_on()
    assert await slow.caught_up(room_seq) == await player.caught_up(room_seq)
    kinds = [body["kind"] for body in slow.of("event.state_delta")]
    assert kinds.count("snapshot") == 2, "its first, and the one that replaced all it missed"


@both_transports
async def test_one_that_never_reads_is_closed_while_the_others_play_on(server: Server, client: Client) -> None:
    player = await client.join("loud")
    slow = await client.join_by_id(player)
    slow.stop_reading()
    await played(player, ENOUGH_BYTES)
    lags_since = time.monotonic()
    slowest_s = 0.0
    while not await server.metric("holdfast_disconnects_total", code="4507"):
        asked = time.monotonic()
        assert await player.added(16)
        slowest_s = max(slowest_s, time.monotonic() - asked)
        assert asked - lags_since < 10
        await asyncio.sleep(0.02)
    assert slowest_s < 1
    slow.read_on()
    assert await slow.closed() in (4507, 1006), "4507, unless it was cut before it read that"
    assert await player.added(1)


async def test_one_that_reads_in_time_is_told_why_it_was_closed(server: Server, client: Client) -> None:
    player = await client.join("loud")
    slow = await client.join_by_id(player)
    slow.stop_reading()
    await played(player, ENOUGH_BYTES)
    # Nothing of the close is to be seen anywhere else before it is read, or cut two seconds later.
    await asyncio.sleep(limits.LAG_S + 1)
    slow.read_on()
    assert await slow.closed() == 4507
    assert slow.of("event.session") == [{"status": "terminating", "reason": "too slow"}]


class FullWire:
    """Nothing sent is ever read."""

    def __init__(self, waiting_bytes: int) -> None:
        self._waiting_bytes = waiting_bytes
        self.closed: int | None = None

    def send(self, frame: bytes) -> None:
        self._waiting_bytes += len(frame)

    def buffered_bytes(self) -> int:
        return self._waiting_bytes

    def close(self, code: int, reason: str = "") -> None:
        self.closed = code

    def ping(self) -> None: ...

    def abort(self) -> None: ...


class Nobody:
    """A desk without work."""

    def arrive(self, connection: Arrival) -> None: ...

    def closed(self, connection: Arrival, code: int) -> None: ...

    def log_out(self, player_id: str) -> None: ...


def test_one_whose_answers_alone_are_too_many_is_closed_at_once() -> None:
    wire = FullWire(limits.LAG_BYTES)
    connection = Arrival(Dialled("r", "s", None, "127.0.0.1"), Nobody(), lambda: 0)
    connection.opened(wire)
    connection.choked()
    connection.send(b"x" * limits.LAG_ANSWERS_BYTES_MAX)
    assert wire.closed is None
    connection.send(b"x")
    assert wire.closed == 4507


async def test_many_that_never_read_cost_bounded_memory_and_no_time_at_the_end(server: Server, client: Client) -> None:
    player = await client.join("loud")
    silent = [await client.join_by_id(player) for _ in range(60)]
    for connection in silent:
        connection.stop_reading()
    process = psutil.Process(server.process.pid)
    before_bytes = process.memory_info().rss
    peak_bytes = 0
    said_bytes = 0
    while said_bytes < 8 * limits.LAG_BYTES:
        await played(player, 128 * 1024)
        said_bytes += 128 * 1024
        peak_bytes = max(peak_bytes, process.memory_info().rss)
    # A history of lines may take its bound as well, twice: as bytes and as values.
    allowed_bytes = len(silent) * (limits.LAG_BYTES + 64 * 1024) + 3 * limits.HISTORY_BYTES_MAX + 32 * 1024 * 1024
    assert peak_bytes - before_bytes < allowed_bytes
    server.signal(2)
    await server.ended(within_s=5)
