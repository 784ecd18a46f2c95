"""A handful of what matters over each transport; `tests/edge/transport/` has the rest."""

import asyncio
from collections.abc import Iterator

import pytest

from contracts import limits
from server.embedded import Embedded
from tests.serving import Server, serving
from tests.wire import Client, room_data


@pytest.fixture(scope="module", params=["picows", "websockets"])
def server(embedded: Embedded, request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(embedded, transport=request.param, intent_rate=1000, intent_burst=1000) as server:
        yield server


async def test_players_play(client: Client) -> None:
    player = await client.join("counter", resume=True)
    others = [await client.join_by_id(player) for _ in range(5)]

    async def play(amount: int) -> int:
        connection = others[amount]
        return [await connection.added(amount) for _ in range(20)][-1]

    last = max(await asyncio.gather(*(play(amount) for amount in range(1, 5))))
    for connection in (player, *others):
        assert (await connection.caught_up(last))["total"] == 20 * (1 + 2 + 3 + 4)
    await player.cut()
    await others[0].added(7)
    back = await client.back(player)
    await back.send("session.resume", {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": 0})
    assert (await back.expect("event.ack", kind="resume"))["recovered"] is True
    await back.caught_up(others[0].room_seq)
    assert await back.leave() == 4000


async def test_bad_frames_are_answered(client: Client) -> None:
    player = await client.join("counter")
    await player.raw("text")
    await player.raw(b"")
    await player.raw(room_data("nothing", {"seq": 1}))
    assert (await player.expect("event.reject"))["seq"] is None
    assert await player.added(1)
    await player.raw(b"\x0d" * (limits.MESSAGE_BYTES_MAX + 1))
    assert await player.closed() == 1009


async def test_a_flood_is_ended(client: Client) -> None:
    player = await client.join("counter")
    for _ in range(int(limits.FLOOD_FRAMES_PER_S * limits.FLOOD_WINDOW_S) + 1):
        await player.raw(b"\x12")
    assert await player.closed() == 4505


async def test_a_reserved_seat_is_taken_once(client: Client) -> None:
    seat = await client.matchmake("create", "counter")
    player = await client.enter(seat)
    again = await client.dial(seat)
    assert (await again.closed(), again.error) == (4002, (524, "seat reservation expired."))
    newer = await client.back(player)
    assert await player.closed() == 4501
    assert await newer.added(1)


async def test_the_latency_probe_is_answered(client: Client, server: Server) -> None:
    """`client.getLatency()`: a socket on "/" that is nobody's."""
    from websockets.asyncio.client import connect

    async with connect(server.url.replace("http", "ws"), proxy=None) as socket:
        for _ in range(3):
            await socket.send(b"\x12")
            assert await socket.recv() == b"\x12"
        await socket.wait_closed()
        assert socket.close_code == 1000
