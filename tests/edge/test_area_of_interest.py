"""
The plaza end to end: what a client's frames lead to, at each roomSeq, is the fold of `actions` as far as it is near.

The journal is read back from PostgreSQL and folded here; nothing of the server's own making of areas is used.
"""

import asyncio
from copy import deepcopy
from random import Random
from typing import Any

import asyncpg
import msgspec
import pytest

from server.core.state import apply_in_place
from server.rooms.plaza import SIZE, Plaza
from tests.serving import Server, Servers
from tests.wire import Client, Clients, Connection

CHUNK, REACH = Plaza.interest.chunk, Plaza.interest.reach
Tree = dict[str, Any]


@pytest.fixture
async def server(serve: Servers) -> Server:
    """Nobody is paced, and there are many deltas."""
    return await serve(intent_rate=2000, intent_burst=2000, patch_rate_ms=10)


@pytest.fixture
def client(server: Server, clients: Clients) -> Client:
    return clients(server)


async def folds(server: Server, room_id: str) -> list[Tree]:
    """The state at each roomSeq, from 0 on, as PostgreSQL has it."""
    connection = await asyncpg.connect(server.database_url)
    rows = await connection.fetch("SELECT patch FROM actions WHERE room_id = $1 ORDER BY room_seq", room_id)
    await connection.close()
    states: list[Tree] = [{}]
    for row in rows:
        state = deepcopy(states[-1])
        apply_in_place(state, msgspec.json.decode(row["patch"] or b"{}"))
        states.append(state)
    return states


def near(state: Tree, session_id: str) -> Tree:
    own = state["players"].get(session_id)
    players = {
        key: other
        for key, other in state["players"].items()
        if own is not None and all(abs(other[axis] // CHUNK - own[axis] // CHUNK) <= REACH for axis in "xy")
    }
    return {**state, "players": players}


def followed(*connections: Connection) -> list[tuple[int, Tree]]:
    """Where the frames of a session's connections led, one after the other."""
    state: Tree = {}
    led = []
    for connection in connections:
        for body in connection.of("event.state_delta"):
            if body["kind"] == "snapshot":
                state = deepcopy(body["state"])
            for patch in body.get("patches", ()):
                apply_in_place(state, patch)
            led.append((body["roomSeq"], deepcopy(state)))
    return led


async def walk(player: Connection, random: Random, steps: int, to: tuple[int, int] | None = None) -> None:
    """So many steps: towards a place, or wherever."""
    for _ in range(steps):
        own = player.state["players"][player.session_id]
        dx, dy = (
            (random.randint(-1, 1), random.randint(-1, 1))
            if to is None
            else ((to[0] > own["x"]) - (to[0] < own["x"]), (to[1] > own["y"]) - (to[1] < own["y"]))
        )
        if (dx, dy) == (0, 0):
            continue
        await player.intent("intent.move", dx=dx, dy=dy)
        await asyncio.sleep(0.001)


async def test_every_frame_leads_to_what_the_journal_has_near_the_client(server: Server, client: Client) -> None:
    random = Random(5)
    first = await client.join("plaza")
    others = [await client.join_by_id(first, resume=True) for _ in range(11)]
    players = [first, *others]
    # All meet in the middle, then go apart.
    await asyncio.gather(*(walk(player, random, SIZE // 2 + 20, (SIZE // 2, SIZE // 2)) for player in players))
    away = others[0]
    await away.cut()
    late = await client.join_by_id(first)
    await asyncio.gather(*(walk(player, random, 60) for player in (first, late, *others[1:])))
    back = await client.back(away)
    asked = {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": back.next_seq - 1}
    await back.send("session.resume", asked)
    assert (await back.expect("event.ack", kind="resume"))["recovered"]
    corners = [(x, y) for x in (0, SIZE - 1) for y in (0, SIZE - 1)]
    playing = [first, late, back, *others[1:]]
    await asyncio.gather(*(walk(player, random, 40, corners[place % 4]) for place, player in enumerate(playing)))
    assert 4000 == await others[-1].leave()
    room_seq = (await first.act("intent.chat", text="here ends it"))["roomSeq"]
    for player in playing[:-1]:
        await player.caught_up(room_seq)
    states = await folds(server, first.room_id)
    checked = crossings = 0
    for connections in ((first,), (late,), (away, back), *((other,) for other in others[1:])):
        seen: set[str] = set()
        for room_seq, state in followed(*connections):
            assert near(states[room_seq], connections[0].session_id) == state
            checked += 1
            crossings += seen != set(state["players"])
            seen = set(state["players"])
    assert checked > 400, "hardly anything was shown"
    assert crossings > 100, "hardly anyone came or went"
