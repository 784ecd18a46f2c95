"""Joining and playing, as every client does it."""

from tests.wire import Client


async def test_a_join_gets_its_handshake_then_the_snapshot(client: Client) -> None:
    player = await client.join("counter")
    assert [heard.type for heard in player.heard[:3]] == ["joined", "event.ack", "event.state_delta"]
    assert player.state == {"total": 0, "added": {}}
    ack = player.heard[1].body
    assert (ack["sessionId"], ack["lastSeq"], ack["epoch"]) == (player.session_id, 0, 1)


async def test_an_intent_is_acked_and_everyone_gets_its_delta(client: Client) -> None:
    one = await client.join("counter")
    other = await client.join_by_id(one)
    room_seq = await one.added(5)
    assert (await one.caught_up(room_seq))["total"] == 5
    assert await other.caught_up(room_seq) == one.state


async def test_leaving_is_answered_with_4000(client: Client) -> None:
    player = await client.join("counter")
    assert await player.leave() == 4000
