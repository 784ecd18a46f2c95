"""
A restart after kill -9 with embedded databases: how long until the room plays on.

`python -m pytest tests/edge/test_restart.py -s` prints what it took; docs/performance.md says what that was.
"""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from tests.serving import Server, Servers
from tests.wire import Clients, Connection

PLAYERS = 8
#: Acks before the kill: several snapshots, and entries after the last one.
ACKS = 2_000
#: The promise is 3 s; a busy machine gets more.
PLAYS_AGAIN_S = 8.0


class Busy:
    """A player who adds, with several intents on their way, until the server is gone."""

    def __init__(self, player: Connection) -> None:
        self.player = player
        self.acked = 0

    async def play(self) -> None:
        while True:
            for seq in [await self.player.add(1) for _ in range(10)]:
                assert (await self.player.outcome(seq))["status"] == "applied"
                self.acked += 1


@pytest.mark.parametrize("also", [[], ["postgres", "valkey-server"]], ids=["the server", "its databases too"])
async def test_a_busy_room_plays_on_soon_after_a_kill(
    serve: Servers, clients: Clients, tmp_path: Path, also: list[str]
) -> None:
    server = await serve(data_dir=tmp_path / "data", intent_rate=10_000, intent_burst=10_000)
    client = clients(server)
    players = [Busy(await client.join("counter", "joinOrCreate", resume=True)) for _ in range(PLAYERS)]
    playing = [asyncio.create_task(busy.play()) for busy in players]
    async with asyncio.timeout(60):
        while sum(busy.acked for busy in players) < ACKS:
            await asyncio.sleep(0.01)
    await kill(server, also)
    await asyncio.gather(*playing, return_exceptions=True)
    acked = sum(busy.acked for busy in players)

    begun_s = time.monotonic()
    server = await serve.again(server)
    ready_s = time.monotonic() - begun_s
    back = await clients(server).back(players[0].player)
    await back.send("session.resume", {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": back.next_seq - 1})
    back.next_seq = (await back.expect("event.ack", kind="resume"))["lastSeq"] + 1
    room_seq = await back.added(1)
    plays_s = time.monotonic() - begun_s

    print(f"\nafter {acked} acks: ready {ready_s:.2f} s after the start, the first ack at {plays_s:.2f} s")
    assert (await back.caught_up(room_seq))["total"] >= acked + 1
    assert plays_s < PLAYS_AGAIN_S


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names where a socket listens")
async def test_a_node_on_databases_of_ones_own_that_is_back_on_its_port_waits_for_no_lease(
    serve: Servers, clients: Clients
) -> None:
    server = await serve(lease_s=60)
    player = await clients(server).join("counter", "joinOrCreate", resume=True)
    await player.added(1)
    await server.kill()
    begun_s = time.monotonic()
    back = await clients(await serve.again(server)).back(player)
    await back.send("session.resume", {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": 1})
    room_seq = await back.added(1)
    assert 2 == (await back.caught_up(room_seq))["total"]
    assert time.monotonic() - begun_s < PLAYS_AGAIN_S


async def kill(server: Server, also: list[str]) -> None:
    databases = server.children
    await server.kill()
    for program in also:
        databases[program].kill()
