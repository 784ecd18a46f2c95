"""Two nodes on one PostgreSQL and one Redis: a socket may be dialled at either."""

import asyncio
import signal
import time
from typing import NamedTuple

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from server.storage.database import Database
from server.storage.secrets import relay_secret
from tests.sdk.puppets import needs_node, puppet
from tests.serving import Server, Servers
from tests.wire import WAIT_S, Client, Clients, Connection

#: A dead node's rooms are another's after a second or so.
SHORT_LEASE = {"lease_s": 1, "lease_renew_s": 0.3}


class Pair(NamedTuple):
    """The node that has the room, and another; and a client of each."""

    owner: Server
    other: Server
    at_owner: Client
    at_other: Client


both_transports = pytest.mark.parametrize("pair", ["picows", "websockets"], indirect=True)


@pytest.fixture
async def pair(request: pytest.FixtureRequest, serve: Servers, clients: Clients) -> Pair:
    urls = await serve.databases()
    settings = {"transport": getattr(request, "param", "picows"), "intent_rate": 1000, **SHORT_LEASE}
    owner, other = await asyncio.gather(serve(urls=urls, **settings), serve(urls=urls, **settings))
    return Pair(owner, other, clients(owner), clients(other))


async def relayed(pair: Pair, host: Connection) -> Connection:
    """A session in the host's room, by way of the other node."""
    return await pair.at_other.enter(await pair.at_owner.matchmake("joinById", host.room_id))


async def back_in_time(client: Client, before: Connection) -> Connection:
    """Redialled like an SDK, until it is let in."""
    until = time.monotonic() + 2 * WAIT_S
    while True:
        try:
            connection = await client.redial(before)
        except InvalidMessage:
            code: int | None = 1006
        else:
            if await connection.is_let_in():
                await connection.confirm()
                await connection.expect("event.ack", kind="handshake")
                return connection
            code = connection.close_code
        assert code in (4010, 1006)
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


@both_transports
async def test_a_socket_dialled_at_the_wrong_node_plays_in_the_room(pair: Pair) -> None:
    host = await pair.at_owner.join()
    guests = [await relayed(pair, host) for _ in range(3)]
    for _ in range(100):
        for player in (host, *guests):
            await player.add()
    acks = [await player.outcome(100) for player in (host, *guests)]
    last = max(ack["roomSeq"] for ack in acks)
    states = [await player.caught_up(last) for player in (host, *guests)]
    assert [400] * 4 == [state["total"] for state in states]
    assert (4, 3) == tuple([await node.metric("holdfast_connections") for node in (pair.owner, pair.other)])
    assert 4000 == await guests[0].leave()


@both_transports
async def test_a_room_goes_on_at_another_node_when_its_owner_was_killed(pair: Pair) -> None:
    host = await pair.at_owner.join()
    guest = await relayed(pair, host)
    await guest.added(5)
    await pair.owner.kill()
    assert 1006 == await guest.closed()
    guest = await back_in_time(pair.at_other, guest)
    # The second, of a session that was never there, with the token it got from the dead node.
    host = await back_in_time(pair.at_other, host)
    last = await guest.added(2)
    assert 7 == (await host.caught_up(last))["total"]
    assert host.epoch == 2


async def test_a_frozen_owners_rooms_are_played_here_once_its_lease_is_over(pair: Pair) -> None:
    host = await pair.at_owner.join()
    guest = await relayed(pair, host)
    await guest.added(5)
    pair.owner.signal(signal.SIGSTOP)
    # Its kernel still takes connections: who is relayed meanwhile is let go when no answer comes.
    host = await back_in_time(pair.at_other, host)
    # And who was relayed before, as soon as the room is here.
    assert 1006 == await guest.closed()
    guest = await back_in_time(pair.at_other, guest)
    assert 7 == (await host.caught_up(await guest.added(2)))["total"]
    pair.owner.signal(signal.SIGCONT)
    assert 70 == await pair.owner.ended()


@both_transports
async def test_a_client_that_the_owner_sends_away_hears_its_close_code(pair: Pair) -> None:
    host = await pair.at_owner.join()
    guest = await relayed(pair, host)
    await pair.owner.stop()
    assert 4010 == await guest.closed()
    guest = await back_in_time(pair.at_other, guest)
    await guest.added()


async def test_a_relaying_node_that_drains_lets_its_clients_go_at_once(pair: Pair) -> None:
    host = await pair.at_owner.join()
    guest = await relayed(pair, host)
    began = time.monotonic()
    assert 0 == await pair.other.stop()
    assert time.monotonic() - began < 5
    assert 1006 == await guest.closed()
    guest = await back_in_time(pair.at_owner, guest)
    last = await guest.added()
    await host.caught_up(last)


async def test_relayed_sockets_count_as_connections(serve: Servers, clients: Clients) -> None:
    urls = await serve.databases()
    owner, other = await asyncio.gather(serve(urls=urls), serve(urls=urls, connections_max=1))
    at_owner = clients(owner)
    host = await at_owner.join()
    await clients(other).enter(await at_owner.matchmake("joinById", host.room_id))
    seat = await at_owner.matchmake("joinById", host.room_id)
    with pytest.raises(InvalidStatus) as refused:
        await clients(other).dial(seat)
    assert 503 == refused.value.response.status_code


async def test_a_relayed_socket_is_not_relayed_again(pair: Pair) -> None:
    host = await pair.at_owner.join()
    seat = await pair.at_owner.matchmake("joinById", host.room_id)
    async with Database(pair.owner.database_url, "test") as database:
        secret = await relay_secret(database)
    guest = await pair.at_other.dial(seat, **{"holdfast-relayed": secret.hex()})
    assert 4010 == await guest.closed()


async def test_a_client_that_says_it_was_relayed_changes_nothing(pair: Pair) -> None:
    host = await pair.at_owner.join()
    seat = await pair.at_owner.matchmake("joinById", host.room_id)
    guest = await pair.at_other.dial(seat, **{"holdfast-relayed": "wrong"})
    await guest.expect("joined")


@needs_node
async def test_an_sdk_that_reaches_the_room_by_another_node_survives_the_owners_death(pair: Pair) -> None:
    async with puppet("0.18") as sdk:
        host = await pair.at_owner.join()
        room = await sdk.join(pair.other.url, "joinById", host.room_id)
        await room.send("intent.add", {"seq": 1, "amount": 5})
        await room.message("event.ack", seq=1)
        await pair.owner.kill()
        # Until the lease is over its dials are closed 4010.
        await room.expect("drop", code=1006)
        await room.expect("reconnect")
        await room.send("intent.add", {"seq": 2, "amount": 2})
        last = (await room.message("event.ack", seq=2))["roomSeq"]
        assert 7 == (await room.caught_up(last))["total"]


async def test_a_node_does_not_dial_itself_for_the_rooms_of_a_dead_one_at_its_address(
    serve: Servers, clients: Clients
) -> None:
    dead = await serve(**SHORT_LEASE)
    player = await clients(dead).join()
    await dead.kill()
    await player.lost()
    server = await serve.again(dead)
    player = await back_in_time(clients(server), player)
    await player.added(5)
    # Longer than it takes to find a relay whose room is here.
    await asyncio.sleep(1.5)
    assert 7 == (await player.caught_up(await player.added(2)))["total"]
