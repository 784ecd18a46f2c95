"""Coming back: whose token counts, what the client has missed, and who is sent away."""

import asyncio
from typing import Any

import pytest

from tests.serving import Servers
from tests.wire import Client, Clients, Connection, Refused


async def sent_away(connection: Connection) -> None:
    """ERROR 524 and the close that ends an SDK's attempts."""
    assert await connection.closed() == 4003
    assert connection.error == (524, "reconnection token invalid or expired.")
    assert connection.of("joined") == []


async def resumed(connection: Connection, **where: Any) -> dict[str, Any]:
    """What `session.resume` from where the client is brings back."""
    asked = {"roomSeq": connection.room_seq, "epoch": connection.epoch, "seq": connection.next_seq - 1, **where}
    await connection.send("session.resume", asked)
    return dict(await connection.expect("event.ack", kind="resume"))


def after_handshake(connection: Connection) -> list[str]:
    """What has come since, by type or kind, pongs and volatile values aside."""
    kinds = [heard.body.get("kind") or heard.type for heard in connection.heard]
    return [kind for kind in kinds[kinds.index("handshake") + 1 :] if kind not in ("pong", "volatile")]


# -- what it has missed ----------------------------------------------------------------------------------------------


async def test_who_resumes_gets_exactly_what_it_missed_events_before_the_delta(client: Client) -> None:
    player = await client.join("game", resume=True)
    other = await client.join_by_id(player)
    await player.caught_up(other.room_seq)
    await player.cut()
    for text in ("one", "two"):
        ack = await other.act("intent.chat", text=text)
    back = await client.back(player)
    answer = await resumed(back)
    assert (answer["recovered"], answer["lastSeq"]) == (True, 0)
    state = await back.caught_up(answer["roomSeq"])
    assert after_handshake(back) == ["resume", "event.chat", "event.chat", "delta"]
    assert [chat["text"] for chat in back.of("event.chat")] == ["one", "two"]
    assert back.of("event.state_delta")[0]["baseSeq"] == player.room_seq
    assert ack["roomSeq"] < answer["roomSeq"], "its own return is an action too"
    assert state == await other.caught_up(answer["roomSeq"])
    ack = await other.act("intent.chat", text="three")
    assert (await back.expect("event.chat", text="three"))["roomSeq"] == ack["roomSeq"]


async def test_who_was_at_the_end_gets_nothing_again(client: Client) -> None:
    """Mid-session, with nothing missed: the ack says so, and no delta follows."""
    player = await client.join("counter", resume=True)
    await player.caught_up(await player.added(3))
    answer = await resumed(player)
    assert (answer["recovered"], answer["roomSeq"]) == (True, player.room_seq)
    before = player.room_seq
    await player.silent()
    told = [body["kind"] for body in player.of("event.state_delta") if body["kind"] != "volatile"]
    assert (told, player.room_seq) == (["snapshot", "delta"], before)


async def test_who_does_not_resume_gets_a_snapshot_at_once(client: Client) -> None:
    player = await client.join("counter")
    await player.added(3)
    await player.cut()
    back = await client.back(player)
    snapshot = await back.expect("event.state_delta")
    assert (snapshot["kind"], snapshot["state"]["total"]) == ("snapshot", 3)


async def test_who_would_resume_and_says_nothing_gets_a_snapshot(client: Client) -> None:
    player = await client.join("counter", resume=True)
    await player.cut()
    back = await client.back(player)
    assert (await back.expect("event.ack", kind="resume"))["recovered"] is False
    assert (await back.expect("event.state_delta"))["kind"] == "snapshot"


@pytest.mark.parametrize(
    "where", [{"epoch": 99}, {"epoch": 0}, {"roomSeq": 10**6}, {"roomSeq": 0}, {"roomSeq": 1}], ids=repr
)
async def test_who_was_nowhere_gets_a_snapshot(client: Client, where: dict[str, int]) -> None:
    """Another epoch, the future, and what was before its own join."""
    player = await client.join("counter", resume=True)
    await player.added(3)
    await player.cut()
    back = await client.back(player)
    answer = await resumed(back, **where)
    assert answer["recovered"] is False
    snapshot = await back.expect("event.state_delta", kind="snapshot")
    assert (snapshot["roomSeq"], snapshot["state"]["total"]) == (answer["roomSeq"], 3)


@pytest.mark.parametrize("body", [None, {}, {"roomSeq": "1"}, {"roomSeq": -1}, {"roomSeq": 1, "epoch": "x"}], ids=repr)
async def test_a_resume_that_cannot_be_read_is_rejected_without_a_number(client: Client, body: object) -> None:
    player = await client.join("counter", resume=True)
    await player.send("session.resume", body)
    assert (await player.expect("event.reject"))["seq"] is None
    assert await player.added(1)


async def test_resent_intents_are_duplicates_and_numbers_go_on(client: Client) -> None:
    player = await client.join("counter", resume=True)
    room_seq = await player.added(5)
    await player.cut()
    back = await client.back(player)
    assert back.of("event.ack")[0]["lastSeq"] == 1
    await resumed(back)
    await back.send("intent.add", {"seq": 1, "amount": 5})
    assert await back.outcome(1) == {"kind": "intent", "seq": 1, "roomSeq": room_seq, "status": "duplicate"}
    assert (await back.caught_up(await back.added(1)))["total"] == 6


async def test_messages_before_the_join_byte_are_taken_in_order(client: Client) -> None:
    """SDKs fire onReconnect before they send it."""
    player = await client.join("counter", resume=True)
    await player.cut()
    back = await client.redial(player)
    await back.expect("joined")
    await back.send("session.resume", {"roomSeq": back.room_seq, "epoch": back.epoch, "seq": 0})
    seqs = [await back.add(amount) for amount in (1, 2, 3)]
    await back.confirm()
    acks = [await back.outcome(seq) for seq in seqs]
    assert [ack["status"] for ack in acks] == ["applied"] * 3
    assert (await back.caught_up(acks[-1]["roomSeq"]))["total"] == 6
    assert [heard.body["kind"] for heard in back.heard[1:3]] == ["handshake", "resume"]


async def test_who_is_away_is_seen_to_be(client: Client) -> None:
    player = await client.join("game")
    other = await client.join_by_id(player)
    await player.cut()
    await other.until(lambda: not other.state["players"][player.session_id]["connected"], "the drop")
    await client.back(player)
    await other.until(lambda: other.state["players"][player.session_id]["connected"], "the return")


# -- whose token counts ----------------------------------------------------------------------------------------------


async def test_a_used_token_counts_no_more(client: Client) -> None:
    player = await client.join("counter")
    await player.cut()
    back = await client.back(player)
    assert back.token != player.token
    await sent_away(await client.redial(back, token=player.token))
    assert await back.added(1), "who has the session is not disturbed"


@pytest.mark.parametrize("token", ["x", "0" * 24, "x" * 5000, "a:b", "%00"])
async def test_a_token_nobody_was_given_counts_nothing(client: Client, token: str) -> None:
    player = await client.join("counter")
    await sent_away(await client.redial(player, token=token))
    other = await client.join_by_id(player)
    await sent_away(await client.redial(player, token=other.token))
    assert await player.added(1)


async def test_a_held_seat_is_not_had_without_its_token(client: Client) -> None:
    player = await client.join("counter")
    await player.cut()
    thief = await client.dial(player.seat)
    assert await thief.closed() == 4002
    assert thief.error == (524, "seat reservation expired.")
    assert await client.back(player)


async def test_both_tokens_count_when_join_room_was_lost_until_one_is_used(client: Client) -> None:
    player = await client.join("counter")
    await player.cut()
    lost = await client.redial(player)
    await lost.expect("joined")
    await lost.cut()
    again = await client.back(player)
    await sent_away(await client.redial(player, token=player.token))
    await sent_away(await client.redial(player, token=lost.token))
    assert await again.added(1)


async def test_the_newer_token_counts_when_the_join_byte_was_lost(client: Client) -> None:
    player = await client.join("counter")
    await player.cut()
    lost = await client.redial(player)
    await lost.expect("joined")
    await lost.cut()
    again = await client.back(lost)
    await sent_away(await client.redial(player, token=player.token))
    assert await again.added(1)


async def test_the_first_joins_token_counts_when_its_join_byte_was_lost(client: Client) -> None:
    lost = await client.dial(await client.matchmake("create", "counter"))
    await lost.expect("joined")
    await lost.cut()
    assert await (await client.back(lost)).added(1)


async def test_another_dial_has_to_wait_while_one_is_being_made(client: Client) -> None:
    player = await client.join("counter")
    await player.cut()
    first = await client.redial(player)
    await first.expect("joined")
    second = await client.redial(player)
    assert await second.closed() == 4010
    await first.confirm()
    assert await first.added(1)


async def test_of_a_hundred_dials_with_one_token_one_wins(client: Client) -> None:
    player = await client.join("counter")
    await player.added(1)
    dials = await asyncio.gather(*(client.redial(player) for _ in range(100)))

    async def holds(dial: Connection) -> bool:
        """Whether it is let in, and stays."""
        if not await dial.is_let_in():
            return False
        await dial.confirm()
        await dial.expect("event.ack", kind="handshake")
        return True

    held = await asyncio.gather(*(holds(dial) for dial in dials))
    [winner] = [dial for dial, is_held in zip(dials, held, strict=True) if is_held]
    assert {dial.close_code for dial in dials if dial is not winner} <= {4010, 4003}
    assert await player.closed() == 4501
    assert await winner.added(1)


async def test_a_newer_connection_replaces_the_older(client: Client) -> None:
    player = await client.join("counter")
    newer = await client.back(player)
    assert await player.closed() == 4501
    assert player.of("event.session") == [{"status": "terminating", "reason": "replaced"}]
    assert await newer.added(1)


async def test_a_connection_without_its_join_byte_is_closed_and_its_token_still_counts(client: Client) -> None:
    player = await client.join("counter")
    await player.cut()
    silent = await client.redial(player)
    assert await silent.closed() == 4010
    assert silent.of("event.session")[0]["status"] == "terminating"
    assert await (await client.back(player)).added(1)


async def test_a_seat_is_held_for_its_time_and_no_longer(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(hold_s=0.6, seat_reservation_s=0.5))
    player = await client.join("game")
    other = await client.join_by_id(player)
    await player.cut()
    await other.until(lambda: player.session_id not in other.state["players"], "the end of the hold")
    await sent_away(await client.redial(player))


# -- by HTTP, as `client.reconnect` does ------------------------------------------------------------------------------


async def test_a_token_opens_its_seat_by_http(client: Client) -> None:
    player = await client.join("counter")
    await player.added(2)
    await player.cut()
    seat = await client.matchmake("reconnect", player.room_id, reconnectionToken=player.token)
    assert seat["sessionId"] == player.session_id
    back = await client.dial(seat, player.token)
    await back.expect("joined")
    await back.confirm()
    assert (await back.expect("event.state_delta"))["state"]["total"] == 2


@pytest.mark.parametrize(
    ("room", "options", "code"),
    [
        (None, {"reconnectionToken": "nobody's"}, 524),
        ("zzz", {"reconnectionToken": "nobody's"}, 522),
        (None, {}, 523),
        (None, {"reconnectionToken": 5}, 523),
        (None, {"reconnectionToken": ""}, 523),
    ],
)
async def test_nothing_else_opens_one(client: Client, room: str | None, options: dict[str, Any], code: int) -> None:
    player = await client.join("counter")
    with pytest.raises(Refused) as refused:
        await client.matchmake("reconnect", room or player.room_id, **options)
    assert refused.value.status == code


# -- to a server of another version ----------------------------------------------------------------------------------


async def test_a_session_of_another_version_is_told_so_and_not_let_in(serve: Servers, clients: Clients) -> None:
    server = await serve()
    client = clients(server)
    player = await client.join("counter", protocolVersion="1")
    foreign = await client.join(player.room_id, "joinById")
    await player.added(4)
    assert await server.stop() == 0
    server = await serve.again(server, later=True)
    back = await client.redial(player)
    assert await back.closed() == 4500
    assert [heard.type for heard in back.heard] == ["event.version_mismatch"]
    assert back.heard[0].body == {"expected": "later", "received": "1"}
    with pytest.raises(Refused) as refused:
        await client.matchmake("reconnect", player.room_id, reconnectionToken=player.token)
    assert (refused.value.status, refused.value.body["expected"]) == (409, "later")
    back = await client.back(foreign)
    assert (await back.expect("event.state_delta"))["state"]["total"] == 4, "old journals load"
