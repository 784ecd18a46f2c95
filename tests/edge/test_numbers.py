"""The numbers of a session's intents: each has one outcome, whatever is sent again, ahead, or too fast."""

from contracts import limits
from tests.serving import Servers
from tests.wire import Answer, Client, Clients


async def test_a_number_ahead_is_a_gap_that_uses_nothing_up(client: Client) -> None:
    player = await client.join()
    await player.send("intent.add", {"seq": 3, "amount": 1})
    gap = await player.outcome(3)
    assert (gap["code"], gap["expectedSeq"], gap["retryable"]) == ("gap", 1, True)
    assert await player.added(1) == 3, "after the room's creation and the join"


async def test_a_number_sent_again_has_its_roomseq_again_and_no_effect(client: Client) -> None:
    player = await client.join()
    room_seq = await player.added(7)
    for _ in range(3):
        await player.send("intent.add", {"seq": 1, "amount": 50})
        again = await player.outcome(1)
        assert (again["roomSeq"], again["status"]) == (room_seq, "duplicate")
    assert (await player.caught_up(await player.added(1)))["total"] == 8


async def test_a_number_sent_twice_at_once_is_applied_once(client: Client) -> None:
    player = await client.join()
    await player.intent("intent.add", amount=7)
    await player.send("intent.add", {"seq": 1, "amount": 7})
    outcomes = [await player.outcome(1), await player.outcome(1)]
    assert [ack["status"] for ack in outcomes] == ["applied", "duplicate"]
    assert outcomes[0]["roomSeq"] == outcomes[1]["roomSeq"]
    assert (await player.caught_up(outcomes[0]["roomSeq"]))["total"] == 7


async def test_a_rejected_number_sent_again_is_rejected_again(client: Client) -> None:
    player = await client.join()
    assert (await player.act("intent.add", amount=1000))["code"] == "invalid"
    await player.send("intent.add", {"seq": 1, "amount": 1})
    assert (await player.outcome(1))["code"] == "invalid"
    assert await player.added(1) == 3


async def test_the_form_is_not_looked_at_before_the_number(client: Client) -> None:
    """An answered number is answered, and one ahead is a gap, whatever comes with it."""
    player = await client.join()
    await player.added(1)
    await player.send("intent.add", {"seq": 1, "amount": "nonsense"})
    assert (await player.outcome(1))["status"] == "duplicate"
    await player.send("intent.add", {"seq": 9, "amount": "nonsense"})
    assert (await player.outcome(9))["code"] == "gap"


async def test_a_number_no_longer_in_memory_is_looked_up_in_the_journal(serve: Servers, clients: Clients) -> None:
    server = await serve(intent_rate=1000, intent_burst=1000)
    client = clients(server)
    player = await client.join()
    room_seq = await player.added(1)
    assert (await player.act("intent.add", amount=0))["code"] == "invalid"
    last = [await player.add(1) for _ in range(limits.OUTCOMES_IN_SNAPSHOT_MAX)][-1]
    await player.outcome(last)
    assert await server.stop() == 0
    player = await clients(await serve.again(server)).back(player)
    await player.send("intent.add", {"seq": 1, "amount": 1})
    assert await player.outcome(1) == {"kind": "intent", "seq": 1, "roomSeq": room_seq, "status": "duplicate"}
    await player.send("intent.add", {"seq": 2, "amount": 1})
    forgotten = await player.outcome(2)
    assert (forgotten["code"], forgotten["retryable"]) == ("not_durable", False)
    await player.send("intent.add", {"seq": 3, "amount": 1})
    assert (await player.outcome(3))["status"] == "duplicate", "the snapshot remembers the newest"


async def test_too_fast_is_rate_limited_and_the_next_number_goes_on(serve: Servers, clients: Clients) -> None:
    client = clients(await serve(intent_rate=40, intent_burst=3))
    player = await client.join()
    assert (player.of("event.ack")[0]["intentRate"], player.of("event.ack")[0]["intentBurst"]) == (40, 3)
    outcomes = [await player.outcome(seq) for seq in [await player.add() for _ in range(4)]]
    assert [outcome.get("status") for outcome in outcomes[:3]] == ["applied"] * 3
    assert (outcomes[3]["code"], outcomes[3]["retryable"]) == ("rate_limited", True)
    await player.send("intent.add", {"seq": 2, "amount": 1})
    assert (await player.outcome(2))["status"] == "duplicate", "an answered number is never refused for rate"
    await player.send("intent.add", {"seq": 4, "amount": 1})
    assert (await player.outcome(4))["code"] == "rate_limited"
    while (outcome := await player.act("intent.add", amount=1)).get("code") == "rate_limited":
        pass
    assert outcome["status"] == "applied"


async def test_a_request_is_answered_by_its_response_alone(client: Client) -> None:
    player = await client.join()
    status, body = await player.request(0, "intent.add", {"seq": 1, "amount": 4})
    assert (status, body["status"], body["seq"]) == (0, "applied", 1)
    status, body = await player.request(1, "intent.add", {"seq": 2, "amount": 400})
    assert (status, body["code"], body["seq"]) == (1, "invalid", 2)
    status, body = await player.request(2, "intent.add", {"seq": 1, "amount": 4})
    assert (status, body["status"]) == (0, "duplicate")
    status, body = await player.request(3, "intent.add", {"seq": 9, "amount": 4})
    assert (status, body["code"], body["expectedSeq"]) == (1, "gap", 3)
    status, body = await player.request(4, "intent.fly", {"seq": 3})
    assert (status, body["code"], body["seq"]) == (1, "invalid", None)
    assert [ack["kind"] for ack in player.of("event.ack")] == ["handshake"]
    assert player.of("event.reject") == []


async def test_a_request_that_cannot_be_read_is_answered_too(client: Client) -> None:
    """Else its caller would wait for ten seconds."""
    player = await client.join()
    await player.raw(b"\x15\x07\xaaintent.add\xc1")
    answer: Answer = await player.expect("response 7")
    assert (answer.status, answer.body["code"]) == (1, "invalid")
