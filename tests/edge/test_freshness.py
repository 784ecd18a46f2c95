"""How soon a durable change is sent: at the patch rate, and never later than the freshness bound."""

import time

import pytest

from tests.serving import Servers
from tests.wire import Clients, Connection


async def staleness_s(connection: Connection, amount: int) -> float:
    """From the ack of an addition to the delta that covers it."""
    room_seq = await connection.added(amount)
    acked = time.monotonic()
    await connection.caught_up(room_seq)
    return time.monotonic() - acked


async def test_a_change_goes_out_at_the_freshness_bound_though_the_patch_rate_is_slow(
    serve: Servers, clients: Clients
) -> None:
    server = await serve(patch_rate_ms=500, freshness_ms=100)
    player = await clients(server).join("counter")
    await staleness_s(player, 1)
    counted = await server.metric("holdfast_freshness_total")
    stale = [await staleness_s(player, amount) for amount in (2, 3, 4)]
    assert 0.05 < sum(stale) / len(stale) < 0.15
    assert max(stale) < 0.2
    assert await server.metric("holdfast_freshness_total") >= counted + 3


async def test_changes_within_a_tick_are_one_delta(serve: Servers, clients: Clients) -> None:
    server = await serve(patch_rate_ms=90, freshness_ms=100, intent_rate=1000, intent_burst=1000)
    player = await clients(server).join("counter")
    seqs = [await player.add(1) for _ in range(50)]
    room_seq = (await player.outcome(seqs[-1]))["roomSeq"]
    assert (await player.caught_up(room_seq))["total"] == 50
    deltas = [body for body in player.of("event.state_delta") if body["kind"] == "delta"]
    assert len(deltas) <= 5
    assert all(len(delta["patches"]) == 1 for delta in deltas)


async def test_at_a_patch_rate_of_zero_each_commit_is_sent(serve: Servers, clients: Clients) -> None:
    player = await clients(await serve(patch_rate_ms=0)).join("counter")
    for amount in (1, 2, 3):
        assert await staleness_s(player, amount) < 0.05
    deltas = [body for body in player.of("event.state_delta") if body["kind"] == "delta"]
    assert [delta["roomSeq"] - delta["baseSeq"] for delta in deltas] == [1, 1, 1]


@pytest.mark.parametrize("name", ["counter", "game"])
async def test_a_volatile_change_reaches_everyone_and_is_no_part_of_the_journal(
    serve: Servers, clients: Clients, name: str
) -> None:
    client = clients(await serve())
    player = await client.join(name)
    if name == "counter":
        await player.added(1)
        assert (await player.expect("event.state_delta", kind="volatile"))["patches"]
    newcomer = await client.join_by_id(player)
    assert "last" not in newcomer.state
