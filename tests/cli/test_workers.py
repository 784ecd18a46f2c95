"""`serve --workers N`: several nodes on one machine, under a supervisor that keeps them and ends with them."""

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from server.embedded import Urls
from server.tools.chaos.proxy import proxy_before, through
from tests.cli.command import holdfast
from tests.sdk.puppets import needs_node, puppet
from tests.serving import Server, Servers
from tests.wire import Client, Clients, Connection

#: Longer than any test: who takes a room over before that was not waiting for a lease.
LONG_LEASE = {"lease_s": 60, "lease_renew_s": 20}
WITHIN_S = 10.0


def urls_of(server: Server) -> list[str]:
    """Of all workers, as the ready line names them."""
    said = (server.log.parent / "said").read_text()
    return [word.strip("(),\n") for word in said.split() if "http://" in word]


def workers_of(server: Server) -> dict[int, psutil.Process]:
    """The workers' processes by their port."""
    found: dict[int, psutil.Process] = {}
    for child in psutil.Process(server.process.pid).children():
        listening = [connection for connection in child.net_connections() if connection.status == psutil.CONN_LISTEN]
        if "--place" in child.cmdline():
            found[listening[0].laddr.port] = child
    return found


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient(timeout=WITHIN_S) as http:
        return (await http.get(f"{url}/readyz")).status_code == 200


async def gone(processes: list[psutil.Process]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            await asyncio.sleep(0.01)


async def back(client: Client, before: Connection) -> Connection:
    """Redialled like an SDK, until it is let in."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                connection = await client.redial(before)
            except (OSError, EOFError):
                pass
            else:
                if await connection.is_let_in():
                    await connection.confirm()
                    await connection.expect("event.ack", kind="handshake")
                    return connection
            await asyncio.sleep(0.05)


@pytest.fixture
async def two(serve: Servers) -> Server:
    return await serve(workers=2, **LONG_LEASE)


async def test_each_worker_answers_on_a_port_of_its_own(two: Server) -> None:
    urls = urls_of(two)
    assert 2 == len(set(urls))
    assert sorted(map(port_of, urls)) == sorted(workers_of(two))
    assert [True] * 2 == [await is_ready(url) for url in urls]


async def test_every_worker_seats_players_in_every_room(two: Server, clients: Clients) -> None:
    at = [clients(url) for url in urls_of(two)]
    host = await at[1].join("counter", "create")
    seats = [await client.matchmake("joinById", host.room_id) for client in at]
    address = urls_of(two)[1].removeprefix("http://")
    assert [(address, host.seat["processId"])] * 2 == [(seat["publicAddress"], seat["processId"]) for seat in seats]
    # Dialled where they asked, as behind a balancer, they all play in the one room.
    players = [await client.enter(seat) for client, seat in zip(at, seats, strict=True)]
    acked = [await player.added() for player in players]
    assert [2] * 2 == [(await player.caught_up(acked[-1]))["total"] for player in players]


async def test_a_killed_worker_is_back_on_its_port_and_its_rooms_go_on(two: Server, clients: Clients) -> None:
    url = urls_of(two)[1]
    client = clients(url)
    player = await client.join()
    await player.added(5)
    before = workers_of(two)
    before[port_of(url)].kill()
    await player.closed()
    player = await back(client, player)
    last = await player.added(2)
    assert (7, 2) == ((await player.caught_up(last))["total"], player.epoch)
    after = workers_of(two)
    assert [port_of(url)] == [port for port in before if before[port] != after[port]]


async def test_a_signal_drains_all_workers_within_five_seconds(two: Server, clients: Clients) -> None:
    players = [await clients(url).join() for url in urls_of(two)]
    workers = list(workers_of(two).values())
    began = time.monotonic()
    assert 0 == await two.stop()
    assert time.monotonic() - began < 5
    assert [4010] * 2 == [await player.closed() for player in players]
    await gone(workers)
    assert 2 == two.log.read_text().count('"reason":"drain"')


async def test_workers_that_do_not_take_the_signal_are_killed(two: Server) -> None:
    workers = list(workers_of(two).values())
    for worker in workers:
        worker.suspend()
    two.signal(signal.SIGTERM)
    assert 0 == await two.ended(within_s=6)
    await gone(workers)


async def test_a_second_signal_ends_the_drains(serve: Servers, clients: Clients) -> None:
    urls = await serve.databases()
    async with proxy_before(urls.database_url) as proxy:
        server = await serve(urls=Urls(through(urls.database_url, proxy), urls.redis_url), workers=2)
        player = await clients(server).join()
        proxy.hold_replies()
        await player.add()
        server.signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S), httpx.AsyncClient() as http:
            while "draining" not in (await http.get(f"{server.url}/readyz")).text:
                await asyncio.sleep(0.01)
        server.signal(signal.SIGTERM)
        assert 0 == await server.ended()
        assert "a second signal ends the drain" in server.log.read_text()


@pytest.fixture
def watched() -> Iterator[list[psutil.Process]]:
    """Processes that must not outlive the test, whatever it finds."""
    processes: list[psutil.Process] = []
    yield processes
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def test_workers_end_with_a_killed_supervisor_and_the_next_start_needs_no_hand(
    serve: Servers, clients: Clients, tmp_path: Path, watched: list[psutil.Process]
) -> None:
    server = await serve(data_dir=tmp_path / "data", workers=2, **LONG_LEASE)
    urls = urls_of(server)
    players = [await clients(url).join() for url in urls]
    acked = [await player.added(5) for player in players]
    workers = list(workers_of(server).values())
    watched += workers
    await server.kill()
    assert all(code in (4010, 1006) for code in [await player.closed() for player in players])
    # One node now, without workers: it has all the rooms at once.
    alone = await serve(data_dir=tmp_path / "data", **LONG_LEASE)
    await gone(workers)
    client = clients(alone)
    for player, last in zip(players, acked, strict=True):
        player = await back(client, player)
        assert last + 3 == await player.added()  # the drop and the return are actions too
        assert 2 == player.epoch


async def test_workers_may_follow_one_node_on_its_folder(serve: Servers, clients: Clients, tmp_path: Path) -> None:
    alone = await serve(data_dir=tmp_path / "data", **LONG_LEASE)
    player = await clients(alone).join()
    await player.added(5)
    await alone.kill()
    await player.lost()
    server = await serve(data_dir=tmp_path / "data", workers=2, **LONG_LEASE)
    player = await back(clients(urls_of(server)[1]), player)
    assert 7 == (await player.caught_up(await player.added(2)))["total"]


async def test_a_taken_port_stops_the_start(serve: Servers) -> None:
    urls = await serve.databases()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await holdfast(
            *("serve", "--workers", 2, "--port", port - 1),
            *("--database-url", urls.database_url, "--redis-url", urls.redis_url),
        )
    assert (71, "") == (ended.code, ended.out)
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err


async def test_a_worker_that_cannot_begin_stops_the_start(serve: Servers, tmp_path: Path) -> None:
    urls = await serve.databases()
    keys = tmp_path / "keys.json"
    keys.write_text("no keys")
    ended = await holdfast(
        *("serve", "--workers", 2, "--port", 0),
        *("--database-url", urls.database_url, "--redis-url", urls.redis_url),
        jwt_jwks_file=keys,
    )
    assert (78, "") == (ended.code, ended.out)
    assert "HOLDFAST_JWT_JWKS_FILE" in ended.err


@needs_node
async def test_an_sdk_joins_a_room_of_another_worker_and_survives_its_workers_death(two: Server) -> None:
    first, second = urls_of(two)
    async with puppet("0.18") as host, puppet("0.18") as guest:
        there = await host.join(second, "create", "counter")
        room = await guest.join(first, "joinById", there.room_id)
        await room.send("intent.add", {"seq": 1, "amount": 5})
        await room.message("event.ack", seq=1)
        workers_of(two)[port_of(second)].kill()
        await room.expect("drop", code=1006)
        await room.expect("reconnect")
        await room.send("intent.add", {"seq": 2, "amount": 2})
        last = (await room.message("event.ack", seq=2))["roomSeq"]
        assert 7 == (await room.caught_up(last))["total"]
        await there.expect("reconnect")
        assert 7 == (await there.caught_up(last))["total"]
