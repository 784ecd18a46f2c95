"""Characters: what a player carries goes where the player goes, and is never in two places."""

import asyncio
from collections import deque
from typing import Any

from tests.serving import Servers
from tests.wire import Client, Clients, Connection

OPEN = (0, 1, 2, 6)
CHUNK = 16


def character(player: Connection) -> dict[str, Any]:
    found: dict[str, Any] = player.state["players"][player.session_id]
    return found


def way_to_a_thing(state: dict[str, Any], at: tuple[int, int]) -> list[tuple[int, int]]:
    """Steps to the nearest thing on the ground, over tiles that can be walked."""
    world = state["world"]
    rows = {
        (int(chunk.split(",")[1]) * CHUNK + int(row), int(chunk.split(",")[0])): tiles
        for chunk, rows in world["tiles"].items()
        for row, tiles in rows.items()
    }
    things = {(item["x"], item["y"]) for item in world["items"].values()}
    came: dict[tuple[int, int], tuple[int, int] | None] = {at: None}
    waiting = deque([at])
    while waiting:
        here = waiting.popleft()
        if here in things:
            steps: list[tuple[int, int]] = []
            while (before := came[here]) is not None:
                steps.insert(0, (here[0] - before[0], here[1] - before[1]))
                here = before
            return steps
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            x, y = here[0] + dx, here[1] + dy
            is_inside = 0 <= x < world["width"] and 0 <= y < world["height"]
            if is_inside and (x, y) not in came and rows[y, x // CHUNK][x % CHUNK] in OPEN:
                came[x, y] = here
                waiting.append((x, y))
    raise AssertionError("nothing can be reached")


async def take_something(player: Connection) -> dict[str, int]:
    """Walk to a thing and take it; the inventory after it."""
    own = character(player)
    for dx, dy in way_to_a_thing(player.state, (own["x"], own["y"])):
        assert (await player.act("intent.move", dx=dx, dy=dy))["status"] == "applied"
    ack = await player.act("intent.action", action="take")
    assert ack.get("status") == "applied", ack
    await player.caught_up(ack["roomSeq"])
    return dict(character(player)["inventory"])


async def test_a_thing_taken_in_one_room_comes_along_to_the_next(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(intent_rate=200))
    access = (await client.guest("Ada"))["accessToken"]
    player = await client.join("game", accessToken=access)
    inventory = await take_something(player)
    assert sum(inventory.values()) == 1
    assert await player.leave() == 4000
    elsewhere = await client.join("game", accessToken=access)
    assert elsewhere.room_id != player.room_id
    assert (character(elsewhere)["name"], character(elsewhere)["inventory"]) == ("Ada", inventory)
    kind = next(iter(inventory))
    assert (await elsewhere.act("intent.action", action="drop", target=kind))["status"] == "applied"


async def test_joining_elsewhere_ends_the_older_session_and_takes_everything_along(
    serve: Servers, clients: Clients
) -> None:
    client = clients(await serve(intent_rate=200))
    access = (await client.guest())["accessToken"]
    player = await client.join("game", accessToken=access)
    inventory = await take_something(player)
    elsewhere = await client.join("game", accessToken=access)
    assert await player.closed() == 4501
    assert player.heard[-1].body == {"status": "terminating", "reason": "joined elsewhere"}
    assert character(elsewhere)["inventory"] == inventory
    assert await (await client.redial(player)).closed() == 4003, "the older session is over"


async def test_joining_the_same_room_again_ends_the_older_session(client: Client) -> None:
    access = (await client.guest())["accessToken"]
    player = await client.join("game", accessToken=access)
    again = await client.join(player.room_id, "joinById", accessToken=access)
    assert await player.closed() == 4501
    assert list(again.state["players"]) == [again.session_id]


async def test_of_many_joins_of_one_player_at_once_one_has_the_character(client: Client) -> None:
    access = (await client.guest())["accessToken"]
    seats = [await client.matchmake("create", "game", accessToken=access) for _ in range(6)]
    sockets = await asyncio.gather(*(client.dial(seat) for seat in seats))
    assert [await socket.is_let_in() for socket in sockets].count(True) >= 1
    left = [socket for socket in sockets if socket.close_code is None]
    assert len(left) == 1
    assert {socket.close_code for socket in sockets if socket not in left} == {4501}
    await left[0].confirm()
    snapshot = await left[0].expect("event.state_delta", kind="snapshot")
    assert list(snapshot["state"]["players"]) == [left[0].session_id]


async def test_a_character_in_a_room_that_sleeps_is_fetched_from_there(serve: Servers, clients: Clients) -> None:
    """The session is held in a room of yesterday; joining elsewhere ends it there first."""
    server = await serve(intent_rate=200)
    client = clients(server)
    access = (await client.guest())["accessToken"]
    player = await client.join("game", accessToken=access)
    inventory = await take_something(player)
    assert await server.stop() == 0
    client = clients(await serve.again(server))
    elsewhere = await client.join("game", accessToken=access)
    assert character(elsewhere)["inventory"] == inventory
    assert await (await client.redial(player)).closed() == 4003


async def test_a_server_killed_with_a_character_in_a_room_loses_nothing_it_acked(
    serve: Servers, clients: Clients
) -> None:
    server = await serve(intent_rate=200, lease_s=1, lease_renew_s=0.3)
    client = clients(server)
    access = (await client.guest())["accessToken"]
    player = await client.join("game", accessToken=access)
    inventory = await take_something(player)
    await server.kill()
    client = clients(await serve.again(server))
    # Until the dead node's lease has run out, the room that has the character has an owner.
    while True:
        elsewhere = await client.dial(await client.matchmake("create", "game", accessToken=access))
        if await elsewhere.is_let_in():
            break
    await elsewhere.confirm()
    await elsewhere.expect("event.state_delta", kind="snapshot")
    assert character(elsewhere)["inventory"] == inventory
