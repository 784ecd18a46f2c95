"""
What happens to players when a database goes: they are told, play goes on where it can, and what was acked is there.

The servers here have databases of their own, in a folder that each test finds as the one before it left it.
"""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis.asyncio

from tests.embedded.conftest import gone
from tests.serving import Server, Servers
from tests.wire import Client, Clients, Refused


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-degraded-"))
    yield folder
    shutil.rmtree(folder)


async def test_a_frozen_redis_is_told_within_a_second_and_play_goes_on(
    serve: Servers, clients: Clients, data_dir: Path
) -> None:
    server = await serve(data_dir=data_dir)
    client = clients(server)
    player = await client.join("counter")
    valkey = server.children["valkey-server"]
    frozen = time.monotonic()
    valkey.suspend()
    try:
        told = await player.expect("event.degraded", dependency="redis")
        assert time.monotonic() - frozen < 1
        assert told["status"] in ("degraded", "unavailable")
        await player.expect("event.degraded", dependency="redis", status="unavailable")
        acting = time.monotonic()
        for _ in range(10):
            assert await player.added(1)
        assert time.monotonic() - acting < 1
        with pytest.raises(Refused) as refused:
            await client.matchmake("joinOrCreate", "counter")
        assert (refused.value.status, int(refused.value.headers["Retry-After"]) > 0) == (503, True)
        guest = await client.http.post("/api/auth/guest", json={})
        headers = {"Authorization": f"Bearer {guest.json()['accessToken']}"}
        bootstrap = await client.http.post("/api/session/bootstrap", headers=headers, json={"protocolVersion": "1"})
        assert (bootstrap.status_code, int(bootstrap.headers["Retry-After"]) > 0) == (503, True)
        assert (await client.http.get("/readyz")).status_code == 200, "acks need no Redis"
        assert await server.metric("holdfast_dependency_up", dependency="redis") == 0
        await player.cut()
        player = await client.back(player)
        assert (await player.expect("event.degraded", dependency="redis"))["status"] == "unavailable", "who comes hears"
        assert await player.added(1), "nor do returns"
    finally:
        valkey.resume()
    assert (await player.expect("event.degraded", dependency="redis", status="recovered"))["since"] > 0
    assert await client.join("counter", "joinOrCreate")
    assert await server.stop() == 0


async def joins_once_redis_is_back(client: Client) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(Refused):
                await client.join("counter", "joinOrCreate")
                return


async def test_a_dead_redis_is_told_play_goes_on_and_it_comes_back(
    serve: Servers, clients: Clients, data_dir: Path
) -> None:
    server = await serve(data_dir=data_dir)
    player = await clients(server).join("counter")
    server.children["valkey-server"].kill()
    await player.expect("event.degraded", dependency="redis")
    assert await player.added(1)
    await player.cut()
    assert await (await clients(server).back(player)).added(1)
    await joins_once_redis_is_back(clients(server))
    assert await server.stop() == 0


async def test_a_killed_postgresql_is_back_and_the_room_plays_on(
    serve: Servers, clients: Clients, data_dir: Path
) -> None:
    server = await serve(data_dir=data_dir)
    player = await clients(server).join("counter", "create")
    await player.caught_up(await player.added(5))
    leader = server.children["postgres"]
    killed = (leader, *leader.children(recursive=True))
    for process in killed:
        process.kill()
    for process in killed:
        await gone(process)
    await player.silent()
    assert (await player.caught_up(await player.added(7)))["total"] == 12
    assert await server.stop() == 0


async def test_an_emptied_redis_is_filled_again(serve: Servers, clients: Clients) -> None:
    """Nothing there is the only copy: who asks first finds the rooms that there are, and the sessions come back."""
    server = await serve()
    client = clients(server)
    player = await client.join("counter", "joinOrCreate")
    async with redis.asyncio.Redis.from_url(server.redis_url) as store:
        for method, name in (("joinOrCreate", "counter"), ("join", "counter"), ("joinById", player.room_id)):
            await store.flushdb()
            assert (await client.join(name, method)).room_id == player.room_id
        await store.flushdb()
        assert (await client.join("counter", "create")).room_id != player.room_id
        async with asyncio.timeout(5):
            while not await store.exists(f"holdfast:session:{player.session_id}"):
                await asyncio.sleep(0.01)


async def test_a_server_killed_by_force_comes_back_with_everything_it_acked(
    serve: Servers, clients: Clients, data_dir: Path
) -> None:
    """Its databases live on; the next start ends them, takes over, and goes on with the same rooms."""
    server = await serve(data_dir=data_dir)
    player = await clients(server).join("counter", "create", resume=True)
    for amount in range(1, 11):
        await player.caught_up(await player.added(amount))
    await player.add(50)
    await server.kill()
    await player.lost()
    server = await serve.again(server)
    back = await clients(server).back(player)
    await back.send("session.resume", {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": 10})
    assert (await back.expect("event.ack", kind="resume"))["recovered"] is True
    await back.send("intent.add", {"seq": 10, "amount": 10})
    assert (await back.outcome(10))["status"] == "duplicate"
    await back.send("intent.add", {"seq": 11, "amount": 50})
    assert (await back.outcome(11))["status"] in ("applied", "duplicate"), "not acked: there or not, but never twice"
    assert (await back.caught_up(await back.added(1)))["total"] == 55 + 50 + 1
    assert await server.stop() == 0


async def test_a_frozen_postgresql_acks_nothing_and_is_told_within_a_second(
    serve: Servers, clients: Clients, data_dir: Path
) -> None:
    server = await serve(data_dir=data_dir)
    player = await clients(server).join("counter", "create")
    await player.added(1)
    leader = server.children["postgres"]
    frozen = [*leader.children(recursive=True), leader]
    began = time.monotonic()
    for process in frozen:
        process.suspend()
    try:
        seq = await player.add(1)
        told = await player.expect("event.degraded", dependency="postgres")
        assert time.monotonic() - began < 1
        assert told["status"] in ("degraded", "unavailable")
        assert not [ack for ack in player.of("event.ack") if ack.get("seq") == seq]
    finally:
        for process in frozen:
            process.resume()
    assert (await player.outcome(seq))["status"] == "applied", "thawed within the budget, it is acked after all"
    await player.expect("event.degraded", dependency="postgres", status="recovered")
    server.signal(signal.SIGTERM)
    assert await server.ended() == 0, server.log.read_text()[-3000:]


async def test_no_process_of_a_server_is_left_when_it_has_stopped(serve: Servers, data_dir: Path) -> None:
    server: Server = await serve(data_dir=data_dir)
    children = server.children
    assert {"postgres", "valkey-server"} == set(children)
    assert await server.stop() == 0
    assert not any(child.is_running() and child.status() != "zombie" for child in children.values())
