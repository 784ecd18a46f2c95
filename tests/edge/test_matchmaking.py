"""Seats: how they are found, promised, redeemed once, and refused."""

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from contracts import limits
from tests.serving import Servers
from tests.wire import Client, Clients, Connection, Refused


async def refusal(client: Client, method: str, name: str, **options: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await client.matchmake(method, name, **options)
    assert refused.value.body["code"] == refused.value.status
    assert refused.value.body["error"] == refused.value.body["message"]
    return refused.value


async def no_seat(connection: Connection) -> None:
    """ERROR 524, and the close of a failed join."""
    assert await connection.closed() == 4002
    assert connection.error == (524, "seat reservation expired.")
    assert connection.of("joined") == []


@pytest.mark.parametrize(
    ("method", "name", "code", "text"),
    [
        ("joinOrCreate", "nope", 520, 'provided room name "nope" not defined'),
        ("create", "__proto__", 520, 'provided room name "__proto__" not defined'),
        ("bogus", "counter", 520, 'invalid method "bogus"'),
        ("join", "nowhere", 521, "no rooms found with provided criteria"),
        ("joinById", "zzz", 522, 'room "zzz" not found'),
        ("joinById", "%00", 522, "room"),
        ("joinById", "x" * 3000, 522, "room"),
        ("joinById", "%F0%9F%90%99", 522, 'room "🐙" not found'),
        ("reconnect", "zzz", 523, "'reconnectionToken' must be provided for reconnection."),
    ],
)
async def test_a_call_that_finds_nothing_says_so_as_colyseus_does(
    client: Client, method: str, name: str, code: int, text: str
) -> None:
    refused = await refusal(client, method, name)
    assert refused.status == code
    assert refused.body["message"].startswith(text)


async def test_a_full_room_takes_nobody_and_join_or_create_makes_another(client: Client) -> None:
    one = await client.join("duet")
    await client.join_by_id(one)
    assert (await refusal(client, "joinById", one.room_id)).body["message"] == f"{one.room_id} is already full."
    third = await client.join("duet", "joinOrCreate")
    assert third.room_id != one.room_id


async def test_promised_seats_count(client: Client) -> None:
    seats = [await client.matchmake("create", "duet")]
    seats.append(await client.matchmake("joinById", seats[0]["roomId"]))
    assert (await refusal(client, "joinById", seats[0]["roomId"])).status == 523
    assert [await client.enter(seat) for seat in seats]


async def test_a_crowd_at_once_overfills_no_room(serve: Servers, clients: Clients) -> None:
    client = clients(await serve())
    seats = await asyncio.gather(*(client.matchmake("joinOrCreate", "duet") for _ in range(21)))
    assert len({seat["sessionId"] for seat in seats}) == 21
    rooms = [seat["roomId"] for seat in seats]
    assert sorted(rooms.count(room) for room in set(rooms)) == [1] + [2] * 10
    crowd = await asyncio.gather(*(client.enter(seat) for seat in seats))
    assert all(connection.state == {"total": 0} for connection in crowd)


async def test_a_crowd_at_once_gets_one_room(serve: Servers, clients: Clients) -> None:
    client = clients(await serve())
    seats = await asyncio.gather(*(client.matchmake("joinOrCreate", "counter") for _ in range(30)))
    assert len({seat["roomId"] for seat in seats}) == 1


async def test_a_reservation_is_redeemed_once(client: Client) -> None:
    seat = await client.matchmake("create", "counter")
    player = await client.enter(seat)
    await no_seat(await client.dial(seat))
    assert await player.added(1), "who has the seat is not disturbed"


async def test_of_many_sockets_with_one_reservation_one_joins(client: Client) -> None:
    seat = await client.matchmake("create", "counter")
    sockets = await asyncio.gather(*(client.dial(seat) for _ in range(20)))
    [joined] = [socket for socket in sockets if await socket.is_let_in()]
    await joined.confirm()
    assert await joined.added(1)


async def test_a_reservation_expires(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(seat_reservation_s=0.2))
    seat = await client.matchmake("create", "duet")
    await client.matchmake("joinById", seat["roomId"])
    taken = None
    async with asyncio.timeout(10):
        while taken is None:
            with suppress(Refused):
                taken = await client.matchmake("joinById", seat["roomId"])
    assert await client.enter(taken), "its place is free"
    await no_seat(await client.dial(seat))


@pytest.mark.parametrize("change", [{"roomId": "zzz"}, {"sessionId": "zzz"}])
async def test_a_socket_that_nobody_promised_a_seat_gets_none(client: Client, change: dict[str, str]) -> None:
    seat = await client.matchmake("create", "counter")
    await no_seat(await client.dial({**seat, **change}))
    assert await client.enter(seat)


async def test_a_seat_counts_in_its_own_room_only(client: Client) -> None:
    seat, other = await client.matchmake("create", "counter"), await client.matchmake("create", "counter")
    await no_seat(await client.dial({**seat, "roomId": other["roomId"]}))


async def test_a_session_that_has_left_does_not_come_back(client: Client) -> None:
    player = await client.join("counter")
    assert await player.leave() == 4000
    await no_seat(await client.dial(player.seat))
    back = await client.redial(player)
    assert await back.closed() == 4003
    assert back.error == (524, "reconnection token invalid or expired.")


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b'"x"', b"\xff\xfe", b"nul", b'{"a":1e999}'])
async def test_a_body_that_is_no_json_object_is_refused(client: Client, body: bytes) -> None:
    response = await client.http.post("/matchmake/create/counter", content=body)
    assert response.status_code == 400
    assert response.json()["message"]


async def test_no_body_is_an_empty_one(client: Client) -> None:
    assert (await client.http.post("/matchmake/create/counter")).status_code == 200


async def test_deep_nesting_is_refused(client: Client) -> None:
    content = b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    response = await client.http.post("/matchmake/create/counter", content=content)
    assert response.status_code in (400, 413)


async def test_options_that_are_too_big_are_refused(client: Client) -> None:
    assert (await refusal(client, "create", "counter", x="y" * limits.JOIN_OPTIONS_BYTES_MAX)).status == 413
    body = b'{"x":"' + b"y" * limits.HTTP_BODY_BYTES_MAX + b'"}'
    assert (await client.http.post("/matchmake/create/counter", content=body)).status_code == 413


async def test_a_game_that_fails_at_a_rooms_creation_leaves_none_behind(client: Client) -> None:
    """Nor does its failure meet the next one who asks."""
    refused = await refusal(client, "create", "fragile", broken=True)
    assert (refused.status, refused.body["message"]) == (523, "something went wrong here")
    listed = (await client.http.get("/api/rooms?name=fragile")).json()
    assert [room for room in listed if room["clients"] == 0] == []
    assert (await client.join("fragile", "joinOrCreate")).state == {"total": 0}


async def test_a_game_that_fails_at_a_join_is_rebuilt_for_the_others(client: Client) -> None:
    player = await client.join("fragile")
    await player.added(5)
    clumsy = await client.dial(await client.matchmake("joinById", player.room_id, clumsy=True))
    assert await clumsy.closed() == 4002
    assert clumsy.error == (526, "the room failed at this step")
    assert await player.closed() == 4010
    back = await client.back(player)
    await back.expect("event.state_delta", kind="snapshot")
    assert back.state == {"total": 5}


async def test_rooms_are_listed_without_what_is_nobodys_business(client: Client) -> None:
    player = await client.join("counter", secret="option")
    await player.added(1)

    async def listing() -> dict[str, Any]:
        rooms = (await client.http.get("/api/rooms", params={"name": "counter"})).json()
        return next(room for room in rooms if room["roomId"] == player.room_id)

    room = await listing()
    assert set(room) == {
        "roomId", "name", "clients", "maxClients", "locked", "private", "metadata", "createdAt"
    }  # fmt: skip
    assert (room["clients"], room["maxClients"], room["locked"]) == (1, limits.ROOM_CLIENTS_MAX, False)
    assert (await client.http.get("/api/rooms", params={"name": "nope\0"})).json() == []


async def test_a_dormant_room_that_cannot_be_read_keeps_nobody_from_a_new_one(serve: Servers, clients: Clients) -> None:
    urls = await serve.databases()
    server = await serve(urls=urls)
    await clients(server).join("counter", "create")
    await server.stop()
    operator = await asyncpg.connect(urls.database_url)
    await operator.execute("UPDATE snapshots SET state = 'no JSON'")
    await operator.close()
    client = clients(await serve.again(server))
    for _ in range(2):
        player = await client.join("counter", "joinOrCreate")
        assert await player.added(1)
