"""Coming back to a room that has forgotten: what was missed is read from its journal, as whole as from memory."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.serving import Server, Servers
from tests.wire import Client, Clients, Connection


async def resumed(connection: Connection) -> dict[str, Any]:
    asked = {"roomSeq": connection.room_seq, "epoch": connection.epoch, "seq": connection.next_seq - 1}
    await connection.send("session.resume", asked)
    return dict(await connection.expect("event.ack", kind="resume"))


async def ended(server: Server, how: str) -> None:
    if how == "stop":
        assert await server.stop() == 0
    else:
        await server.kill()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_who_was_away_through_a_restart_gets_what_it_missed_before_it(
    serve: Servers, clients: Clients, how: str
) -> None:
    """An activation remembers what came after its newest snapshot; this client stands long before."""
    server = await serve(snapshot_every=10, intent_rate=1000, lease_s=1, lease_renew_s=0.3)
    client = clients(server)
    away = await client.join("game", resume=True)
    other = await client.join_by_id(away, resume=True)
    await away.caught_up(other.room_seq)
    await away.cut()
    said = [await other.act("intent.chat", text=f"line {number}") for number in range(50)]
    await other.caught_up(said[-1]["roomSeq"])
    await ended(server, how)
    client = clients(await serve.again(server))
    other = await returned(client, other)
    back = await returned(client, away)
    answer = await resumed(back)
    assert answer["recovered"] is True
    await back.caught_up(answer["roomSeq"])
    assert [line["text"] for line in back.of("event.chat")] == [f"line {number}" for number in range(50)]
    (delta, *_) = back.of("event.state_delta")
    assert (delta["kind"], delta["baseSeq"]) == ("delta", away.room_seq)
    assert (await resumed(other))["recovered"] is True
    room_seq = (await other.act("intent.chat", text="together"))["roomSeq"]
    assert await back.caught_up(room_seq) == await other.caught_up(room_seq)


async def test_many_who_return_at_once_after_a_restart_are_all_recovered(serve: Servers, clients: Clients) -> None:
    server = await serve(snapshot_every=10, intent_rate=1000)
    client = clients(server)
    first = await client.join("counter", resume=True)
    players = [first, *[await client.join_by_id(first, resume=True) for _ in range(19)]]
    for player in players:
        await player.added(1)
    await asyncio.gather(*(player.cut() for player in players[1:]))
    for _ in range(50):
        await first.added(1)
    assert await server.stop() == 0
    server = await serve.again(server)
    client = clients(server)

    async def recovered(player: Connection) -> tuple[bool, int]:
        back = await returned(client, player)
        answer = await resumed(back)
        return answer["recovered"], (await back.caught_up(answer["roomSeq"]))["total"]

    assert await asyncio.gather(*(recovered(player) for player in players)) == [(True, 70)] * 20
    assert await server.metric("holdfast_reconnects_total", outcome="delta") == 20


async def returned(client: Client, before: Connection) -> Connection:
    """What an SDK does: it dials until it is let in."""
    while True:
        # A dead node's room is nobody's until its lease has run out: 503 before the upgrade, or 4010 after it.
        with suppress(InvalidStatus):
            back = await client.redial(before)
            if await back.is_let_in():
                break
        await asyncio.sleep(0.1)
    await back.confirm()
    await back.expect("event.ack", kind="handshake")
    return back
