"""Bounds of a node: past each there is a refusal that says when to come back, and those inside play on."""

import asyncpg
import pytest
from websockets.exceptions import InvalidStatus

from server.embedded import Urls
from server.tools.chaos.proxy import proxy_before, through
from tests.serving import Servers
from tests.wire import Clients, Refused


async def test_one_room_too_many_is_refused(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(rooms_max=2))
    players = [await client.join("counter") for _ in range(2)]
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter")
    assert (refused.value.status, int(refused.value.headers["Retry-After"]) > 0) == (503, True)
    assert (await client.join("counter", "joinOrCreate")).room_id == players[0].room_id
    assert [await player.added(1) for player in players]


async def test_one_connection_too_many_is_refused_before_the_upgrade(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(connections_max=2))
    players = [await client.join("counter", "joinOrCreate") for _ in range(2)]
    seat = await client.matchmake("joinOrCreate", "counter")
    with pytest.raises(InvalidStatus) as refused:
        await client.dial(seat)
    response = refused.value.response
    assert (response.status_code, int(response.headers["Retry-After"]) > 0) == (503, True)
    assert await players[0].leave() == 4000
    assert await client.enter(seat), "its seat waited"
    assert await players[1].added(1)


async def test_one_session_too_many_is_refused_and_a_held_one_counts(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(sessions_max=2))
    player, other = [await client.join("counter", "joinOrCreate") for _ in range(2)]
    await other.cut()
    for method, name in (("joinOrCreate", "counter"), ("joinById", player.room_id), ("create", "counter")):
        with pytest.raises(Refused) as refused:
            await client.matchmake(method, name)
        assert (refused.value.status, int(refused.value.headers["Retry-After"]) > 0) == (503, True)
    other = await client.back(other)
    assert await other.leave() == 4000
    assert await client.join("counter", "joinOrCreate")
    assert await player.added(1)


async def test_one_action_too_many_is_rejected_at_once_and_what_waits_is_acked(
    serve: Servers, clients: Clients
) -> None:
    urls = await serve.databases()
    journal = await asyncpg.connect(urls.database_url)
    async with proxy_before(urls.database_url) as proxy:
        server = await serve(urls=Urls(through(urls.database_url, proxy), urls.redis_url), pending_actions_max=3)
        player = await clients(server).join("counter")
        proxy.hold_replies()
        seqs = [await player.add(1) for _ in range(5)]
        for seq in seqs[3:]:
            reject = await player.expect("event.reject", seq=seq)
            assert (reject["code"], reject["retryable"]) == ("overloaded", True)
        assert len(player.of("event.ack")) == 1, "the handshake"
        proxy.let_go()
        for seq in seqs[:3]:
            assert (await player.outcome(seq))["status"] == "applied"
        assert await player.added(1)
        rows = await journal.fetch("SELECT seq FROM actions WHERE kind = 'intent.add' ORDER BY room_seq")
        assert [row["seq"] for row in rows] == [1, 2, 3, 6]
        await journal.close()
