"""Two nodes on one PostgreSQL and one Redis: any of them answers for the rooms of both."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import pytest
import redis.asyncio

from server.embedded import Embedded
from tests.serving import Server, Servers
from tests.wire import WAIT_S, Client, Clients, Connection, Refused


class Pair(NamedTuple):
    """The node that has the room, and another; and a client of each."""

    owner: Server
    other: Server
    at_owner: Client
    at_other: Client


@pytest.fixture(scope="module")
def nodes(embedded: Embedded) -> Iterator[tuple[Server, Server]]:
    """Two for all tests here, which keep to rooms of their own; the first has a public address."""
    serve = Servers(embedded)

    async def two() -> tuple[Server, Server]:
        urls = await serve.databases()
        return await asyncio.gather(serve(urls=urls, public_address="owner.example:1"), serve(urls=urls))

    with asyncio.Runner() as runner:
        yield runner.run(two())
        runner.run(serve.end())


@pytest.fixture
def pair(nodes: tuple[Server, Server], clients: Clients) -> Pair:
    owner, other = nodes
    return Pair(owner, other, clients(owner), clients(other))


async def forgotten(server: Server) -> None:
    """Redis came back empty."""
    async with redis.asyncio.Redis.from_url(server.redis_url) as client:
        await client.flushdb()


async def listed(client: Client) -> set[tuple[str, int]]:
    """The rooms and how many are in each, as a node lists them."""
    return {(room["roomId"], room["clients"]) for room in (await client.http.get("/api/rooms")).json()}


async def reconnect(client: Client, player: Connection, token: str) -> dict[str, object]:
    return await client.matchmake("reconnect", player.room_id, reconnectionToken=token)


async def seen(attempt: Callable[[], Awaitable[dict[str, object]]]) -> dict[str, object]:
    """Its answer, once the owner's record has reached Redis."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await attempt()
            except Refused as refused:
                status = refused.status
            assert 524 == status


async def test_a_seat_by_id_names_the_owner_of_the_room(pair: Pair) -> None:
    host = await pair.at_owner.join()
    seat = await pair.at_other.matchmake("joinById", host.room_id)
    assert (host.seat["processId"], "owner.example:1") == (seat["processId"], seat["publicAddress"])
    assert await pair.at_other.enter(seat)


async def test_a_full_room_of_another_node_is_full_here(pair: Pair) -> None:
    host = await pair.at_owner.join("duet")
    await pair.at_other.matchmake("joinById", host.room_id)
    with pytest.raises(Refused) as refused:
        await pair.at_other.matchmake("joinById", host.room_id)
    assert 523 == refused.value.status


async def test_joining_by_name_finds_the_room_of_another_node(pair: Pair) -> None:
    host = await pair.at_owner.join("fragile")
    assert host.room_id == (await pair.at_other.matchmake("joinOrCreate", "fragile"))["roomId"]
    assert host.room_id == (await pair.at_other.matchmake("join", "fragile"))["roomId"]
    assert host.room_id != (await pair.at_other.matchmake("create", "fragile"))["roomId"]


async def test_all_nodes_list_all_rooms(pair: Pair) -> None:
    rooms = {((await client.join()).room_id, 1) for client in (pair.at_owner, pair.at_other)}
    async with asyncio.timeout(WAIT_S):
        for client in (pair.at_owner, pair.at_other):
            while not rooms <= await listed(client):
                await asyncio.sleep(0.02)


async def test_a_reconnection_token_finds_its_seat_at_another_node(pair: Pair) -> None:
    player = await pair.at_owner.join(protocolVersion="1")
    await player.cut()
    seat = await seen(lambda: reconnect(pair.at_other, player, player.token))
    assert {**player.seat, "publicAddress": "owner.example:1"} == seat
    player = await pair.at_other.back(player)
    assert await player.added()


async def test_a_wrong_reconnection_token_is_wrong_at_every_node(pair: Pair) -> None:
    player = await pair.at_owner.join()
    with pytest.raises(Refused) as refused:
        await reconnect(pair.at_other, player, "wrong")
    assert 524 == refused.value.status


async def test_what_redis_has_lost_is_asked_for_again(serve: Servers, clients: Clients) -> None:
    urls = await serve.databases()
    # It notices at its next renewal.
    seldom = {"lease_s": 60, "lease_renew_s": 20}
    owner, other = await asyncio.gather(serve(urls=urls, **seldom), serve(urls=urls, **seldom))
    at_other = clients(other)
    player = await clients(owner).join()
    await forgotten(owner)
    for asked in (at_other.matchmake("joinById", player.room_id), reconnect(at_other, player, player.token)):
        with pytest.raises(Refused) as refused:
            await asked
        assert (503, "2") == (refused.value.status, refused.value.headers["Retry-After"])


async def test_a_logout_ends_the_sessions_at_every_node(pair: Pair) -> None:
    token = (await pair.at_owner.guest())["accessToken"]
    there = await pair.at_owner.join(accessToken=token)
    here = await pair.at_other.join(accessToken=token)
    async with asyncio.timeout(WAIT_S):
        while len(await sessions_of(pair.owner, here.room_id)) != 1 or not await sessions_of(pair.owner, there.room_id):
            await asyncio.sleep(0.02)
    answer = await pair.at_other.http.post("/api/session/logout", headers={"Authorization": f"Bearer {token}"})
    assert (200, {"sessions": 2}) == (answer.status_code, answer.json())
    assert [4504, 4504] == [await there.closed(), await here.closed()]


async def test_a_join_at_another_node_first_ends_the_older_session(pair: Pair) -> None:
    token = (await pair.at_owner.guest())["accessToken"]
    older = await pair.at_owner.join("game", accessToken=token)
    await older.act("intent.move", dx=1, dy=0)
    newer = await pair.at_other.join("game", accessToken=token)
    assert 4501 == await older.closed()
    assert [newer.session_id] == list(newer.state["players"])
    # And back again.
    await pair.at_owner.join("game", accessToken=token)
    assert 4501 == await newer.closed()


async def test_a_held_session_at_another_node_gives_its_character_up(pair: Pair) -> None:
    token = (await pair.at_owner.guest())["accessToken"]
    older = await pair.at_owner.join("game", accessToken=token)
    await older.cut()
    await pair.at_other.join("game", accessToken=token)
    gone = await pair.at_owner.redial(older)
    assert 4003 == await gone.closed()


async def sessions_of(server: Server, room_id: str) -> set[bytes]:
    async with redis.asyncio.Redis.from_url(server.redis_url) as client:
        return set(await client.smembers(f"holdfast:room:{room_id}:sessions"))
