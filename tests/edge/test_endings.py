"""How sessions end: by logout, by silence, and by a server that stops."""

import asyncio
import signal
import time
from typing import Any

import pytest

from contracts import PROTOCOL_VERSION
from tests.serving import Servers
from tests.wire import Client, Clients, Connection, Refused, room_data


async def ended(connection: Connection, code: int, reason: str) -> None:
    """It was told why, last of all, and closed."""
    assert await connection.closed() == code
    assert connection.heard[-1].type == "event.session"
    assert connection.heard[-1].body == {"status": "terminating", "reason": reason}


async def is_dead(client: Client, access: str) -> None:
    headers = {"Authorization": f"Bearer {access}"}
    body = {"protocolVersion": PROTOCOL_VERSION}
    assert (await client.http.post("/api/session/bootstrap", headers=headers, json=body)).status_code == 401
    with pytest.raises(Refused) as refused:
        await client.matchmake("create", "counter", accessToken=access)
    assert refused.value.status == 525


async def log_out(client: Client, access: str) -> int:
    response = await client.http.post("/api/session/logout", headers={"Authorization": f"Bearer {access}"})
    assert response.status_code == 200, response.text
    return int(response.json()["sessions"])


# -- logout ----------------------------------------------------------------------------------------------------------


async def test_logout_by_http_ends_the_players_sessions_and_tokens(client: Client) -> None:
    guest = await client.guest()
    player = await client.join("game", accessToken=guest["accessToken"])
    other = await client.join_by_id(player)
    assert player.session_id in player.state["players"]
    assert await log_out(client, guest["accessToken"]) == 1
    await ended(player, 4504, "logged out")
    assert player.session_id not in player.state["players"], "the final delta is without the player"
    await other.until(lambda: player.session_id not in other.state["players"], "the leave")
    await is_dead(client, guest["accessToken"])
    back = await client.redial(player)
    assert (await back.closed(), back.error) == (4003, (524, "reconnection token invalid or expired."))
    assert await other.act("intent.chat", text="still here")


async def test_logout_by_message_does_the_same(client: Client) -> None:
    guest = await client.guest()
    player = await client.join("game", accessToken=guest["accessToken"])
    await player.send("session.logout", {})
    await ended(player, 4504, "logged out")
    assert player.state["players"] == {}
    await is_dead(client, guest["accessToken"])
    assert await (await client.redial(player)).closed() == 4003


async def test_logout_ends_a_session_that_is_away(client: Client) -> None:
    guest = await client.guest()
    player = await client.join("counter", accessToken=guest["accessToken"])
    await player.cut()
    assert await log_out(client, guest["accessToken"]) == 1
    assert await (await client.redial(player)).closed() == 4003


async def test_logout_ends_every_session_of_the_player_and_nobody_elses(client: Client) -> None:
    guest = await client.guest()
    mine = [await client.join("counter", accessToken=guest["accessToken"]) for _ in range(3)]
    others = [await client.join_by_id(connection) for connection in mine]
    assert await log_out(client, guest["accessToken"]) == 3
    for connection in mine:
        await ended(connection, 4504, "logged out")
    for connection in others:
        assert await connection.added(1)


async def test_logout_of_nobody_is_refused(client: Client) -> None:
    response = await client.http.post("/api/session/logout")
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


# -- silence ---------------------------------------------------------------------------------------------------------


async def test_who_says_nothing_is_ended_and_who_pings_is_not(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(idle_s=1))
    silent = await client.join("game")
    pinging = await client.join_by_id(silent)
    async with asyncio.timeout(10):
        while silent.close_code is None:
            await pinging.silent()
            await asyncio.sleep(0.1)
    await ended(silent, 4503, "idle")
    assert silent.session_id not in silent.state["players"]
    await pinging.until(lambda: silent.session_id not in pinging.state["players"], "the leave")
    assert await (await client.redial(silent)).closed() == 4003
    await pinging.send("intent.chat", {"seq": 1, "text": "never idle"})
    assert (await pinging.outcome(1))["status"] == "applied"


# -- the server stops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_stops_sends_its_players_away_and_the_next_has_them_back(
    serve: Servers, clients: Clients, number: signal.Signals
) -> None:
    server = await serve()
    client = clients(server)
    player = await client.join("counter", "joinOrCreate", resume=True)
    await player.caught_up(await player.added(7))
    stopping = time.monotonic()
    server.signal(number)
    await ended(player, 4010, "drain")
    assert await server.ended() == 0
    assert time.monotonic() - stopping < 5

    server = await serve.again(server)
    client = clients(server)
    newcomer = await client.join("counter", "joinOrCreate")
    assert (newcomer.room_id, newcomer.state["total"]) == (player.room_id, 7), "yesterday's world is found"
    back = await client.back(player)
    await back.send("session.resume", {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": 1})
    answer = await back.expect("event.ack", kind="resume")
    assert answer["epoch"] > player.epoch
    assert (await back.caught_up(answer["roomSeq"]))["total"] == 7
    await back.send("intent.add", {"seq": 1, "amount": 7})
    assert (await back.outcome(1))["status"] == "duplicate"
    assert (await back.caught_up(await back.added(1)))["total"] == 8


async def test_an_intent_on_its_way_at_the_stop_is_acked_or_not_there(serve: Servers, clients: Clients) -> None:
    server = await serve(intent_rate=1000, intent_burst=1000)
    player = await clients(server).join("counter")
    seqs = [await player.add(1) for _ in range(100)]
    server.signal(signal.SIGTERM)
    for _ in range(100):
        if player.close_code is None:
            seqs.append(await player.add(1))
    assert await player.closed() == 4010
    assert await server.ended() == 0
    acked = {ack["seq"] for ack in player.of("event.ack") if ack["kind"] == "intent"}
    rejected = {reject["seq"]: reject["code"] for reject in player.of("event.reject")}
    assert set(rejected.values()) <= {"terminating"}
    client = clients(await serve.again(server))
    back = await client.back(player)
    assert (await back.expect("event.state_delta"))["state"]["total"] == len(acked)


async def test_while_it_stops_nobody_gets_in(serve: Servers, clients: Clients) -> None:
    """Seats are refused with a time to come back at, and so are sockets."""
    server = await serve()
    client = clients(server)
    seats = [await client.matchmake("create", "counter") for _ in range(3)]
    server.signal(signal.SIGTERM)
    outcomes = await asyncio.gather(
        *(client.matchmake("joinOrCreate", "counter") for _ in range(5)),
        *(client.dial(seat) for seat in seats),
        return_exceptions=True,
    )
    assert await server.ended() == 0
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            assert (outcome.status, int(outcome.headers["Retry-After"]) > 0) == (503, True)


async def test_joins_that_race_with_the_stop_leave_no_doubt_behind(serve: Servers, clients: Clients) -> None:
    """Rooms that activate while others are released are released too: the exit is clean, and all rooms are found."""
    server = await serve()
    client = clients(server)
    calls = [asyncio.create_task(client.matchmake("create", "counter")) for _ in range(40)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    server.signal(signal.SIGTERM)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert await server.ended() == 0, server.log.read_text()[-3000:]
    client = clients(await serve.again(server))
    for outcome in outcomes:
        if isinstance(outcome, dict):
            assert await client.join(outcome["roomId"], "joinById")


async def test_a_second_signal_ends_the_drain_at_any_moment(serve: Servers, clients: Clients) -> None:
    server = await serve()
    player = await clients(server).join("counter")
    await player.added(3)
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGINT)
    assert await player.closed() in (4010, 1006)
    assert await server.ended() == 0
    assert "Traceback" not in server.log.read_text()
    back = await clients(await serve.again(server, lease_s=1, lease_renew_s=0.3)).back(player)
    assert (await back.expect("event.state_delta"))["state"]["total"] == 3


async def test_who_was_away_at_the_stop_is_held_from_then_on_and_expires(serve: Servers, clients: Clients) -> None:
    server = await serve(hold_s=0.6, seat_reservation_s=0.5)
    client = clients(server)
    player = await client.join("game", "joinOrCreate")
    assert await server.stop() == 0
    client = clients(await serve.again(server))
    watcher = await client.join("game", "joinOrCreate")
    assert watcher.room_id == player.room_id
    await watcher.until(lambda: player.session_id not in watcher.state["players"], "the end of the hold")
    assert await (await client.redial(player)).closed() == 4003


async def test_a_full_drain_is_quick_with_clients_that_do_not_answer(serve: Servers, clients: Clients) -> None:
    """A peer that neither reads nor closes cannot hold the server up."""
    server = await serve()
    client = clients(server)
    players: list[Any] = [await client.join("counter", "joinOrCreate") for _ in range(5)]
    for player in players:
        player.socket.transport.pause_reading()
        await player.raw(room_data("intent.add", {"seq": 1, "amount": 1}))
    stopping = time.monotonic()
    server.signal(signal.SIGTERM)
    assert await server.ended() == 0
    assert time.monotonic() - stopping < 5
