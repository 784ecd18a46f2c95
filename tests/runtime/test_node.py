"""A node: its rooms come, go, fail and come back, on real databases."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts import limits
from contracts.codes import CloseCode
from server.core.faults import Unavailable
from server.embedded import Urls
from server.runtime.runner import RoomRunner
from server.runtime.terms import NodeFull
from server.storage.rooms import OwnedBy
from tests.games import Duet
from tests.runtime.parts import Station, add, seat, send_add, station, until


@pytest.fixture
async def here(urls: Urls) -> AsyncIterator[Station]:
    async with station(urls) as here:
        yield here


async def dormant(here: Station, total: int = 7) -> str:
    """A room that has been played in, and released."""
    runner = await here.node.create("duet", {})
    add(runner, seat(runner, "s"), 1, total)
    await runner.durable()
    runner.step(lambda room: room.leave(next(iter(room.seats)), CloseCode.CONSENTED, "", 0, runner.random))
    await hibernated(here, runner)
    return runner.room.room_id


async def hibernated(here: Station, runner: RoomRunner) -> None:
    runner.empty_since_ms = 0
    await until(lambda: runner not in here.node.rooms)
    async with asyncio.timeout(10):
        while not await is_dormant(here, runner.room.room_id):
            await asyncio.sleep(0.002)


async def is_dormant(here: Station, room_id: str) -> bool:
    row = await here.stores.rooms.get(room_id)
    assert row is not None
    return row.status == "dormant"


async def test_of_a_hundred_calls_at_once_one_activates_the_room(here: Station) -> None:
    room_id = await dormant(here)
    runners = await asyncio.gather(*(here.node.room(room_id) for _ in range(100)))
    assert len({id(runner) for runner in runners}) == 1
    row = await here.stores.rooms.get(room_id)
    assert row is not None
    assert (row.owner, row.epoch, row.status) == (here.node.node_id, 2, "active")


async def test_of_two_nodes_at_once_one_has_the_room(here: Station, urls: Urls) -> None:
    room_id = await dormant(here)
    async with station(urls) as there:
        found = await asyncio.gather(*(node.room(room_id) for node in (here.node, there.node) for _ in range(20)))
        owners = [runner for runner in found if isinstance(runner, RoomRunner)]
        others = [runner for runner in found if isinstance(runner, OwnedBy)]
        assert (len({id(runner) for runner in owners}), len(owners), len(others)) == (1, 20, 20)


async def test_a_journal_of_several_pages_is_read_to_its_end(here: Station, urls: Urls) -> None:
    actions = 2 * limits.JOURNAL_PAGE_ROWS_MAX
    runner = await here.node.create("duet", {})
    link = seat(runner, "s")
    for seq in range(1, actions + 1):
        add(runner, link, seq)
    await runner.durable()
    runner.step(lambda room: room.leave(next(iter(room.seats)), CloseCode.CONSENTED, "", 0, runner.random))
    await hibernated(here, runner)
    operator = await asyncpg.connect(urls.database_url)
    await operator.execute("DELETE FROM snapshots")
    await operator.close()
    again = await here.runner(runner.room.room_id)
    # Its creation, a join and a leave beside them.
    assert (again.room.rules.state.total, again.room.room_seq) == (actions, actions + 3)


async def test_a_deserted_room_sleeps_and_returns_as_it_was(here: Station) -> None:
    room_id = await dormant(here, total=7)
    assert here.node.rooms == []
    snapshot = await here.stores.snapshots.latest(room_id)
    assert snapshot is not None
    assert snapshot.state == b'{"total":7}'
    runner = await here.runner(room_id)
    assert (runner.room.rules.state.total, runner.room.room_seq, runner.room.epoch) == (7, snapshot.room_seq, 2)
    add(runner, seat(runner, "t"), 1, 3)
    await runner.durable()
    assert runner.room.rules.state.total == 10


async def test_a_room_with_a_held_seat_does_not_sleep(here: Station) -> None:
    runner = await here.node.create("duet", {})
    link = seat(runner, "s")
    await runner.durable()
    runner.drop(link)
    await runner.durable()
    assert runner.empty_since_ms is None


async def test_a_room_whose_step_raised_is_rebuilt_as_it_was_before(here: Station) -> None:
    runner = await here.node.create("fragile", {})
    room_id, link = runner.room.room_id, seat(runner, "s")
    add(runner, link, 1, 5)
    await runner.durable()
    add(runner, link, 2, 13)
    assert not runner.takes_input
    rebuilt = await here.runner(room_id)
    assert rebuilt is not runner
    assert (rebuilt.room.rules.state.total, rebuilt.room.epoch) == (5, 2)
    assert link.closed == (4010, "the room is rebuilt")
    assert [reject["code"] for reject in link.of("event.reject")] == ["internal"]
    assert [s.held_until_ms is not None for s in rebuilt.room.seats] == [True], "its hold starts now"
    await rebuilt.durable()
    assert (here.ends, here.crashes) == ([], [])


async def test_a_rebuilt_room_is_there_without_anyone_asking_twice(here: Station) -> None:
    """Many who come back at once to a room that breaks get the same one."""
    runner = await here.node.create("fragile", {})
    add(runner, seat(runner, "s"), 1, 13)
    found = await asyncio.gather(*(here.runner(runner.room.room_id) for _ in range(20)))
    assert len({id(rebuilt) for rebuilt in found}) == 1
    assert found[0].takes_input


async def test_a_room_that_its_game_cannot_create_has_ended(here: Station, operator: asyncpg.Connection) -> None:
    with pytest.raises(RuntimeError):
        await here.node.create("fragile", {"broken": True})
    assert here.node.rooms == []
    assert await operator.fetchval("SELECT status FROM rooms") == "ended"
    assert await here.stores.rooms.find_claimable("fragile", {}) is None


async def test_a_room_whose_journal_cannot_be_read_is_nobodys_and_can_be_mended(
    here: Station, operator: asyncpg.Connection
) -> None:
    room_id = await dormant(here)
    kept = await operator.fetchval("SELECT state FROM snapshots WHERE room_id = $1", room_id)
    await operator.execute("UPDATE snapshots SET state = $1", b'{"total":"seven"}')
    for _ in range(2):
        with pytest.raises(Exception, match="total"):
            await here.node.room(room_id)
    assert await is_dormant(here, room_id)
    await operator.execute("UPDATE snapshots SET state = $1", kept)
    assert (await here.runner(room_id)).room.rules.state.total == 7
    assert (here.ends, here.crashes) == ([], [])


async def test_a_room_of_a_game_unknown_here_is_left_to_others(here: Station, operator: asyncpg.Connection) -> None:
    room_id = await dormant(here)
    await operator.execute("UPDATE rooms SET name = 'yesterday'")
    assert await here.node.room(room_id) is None
    assert await is_dormant(here, room_id)


async def test_a_room_that_wakes_with_a_held_seat_is_not_deserted(here: Station) -> None:
    """Else it would sleep again before the hold ends, and the session with it, for ever."""
    runner = await here.node.create("duet", {})
    runner.drop(seat(runner, "s"))
    await runner.durable()
    await hibernated(here, runner)
    woken = await here.runner(runner.room.room_id)
    assert woken.empty_since_ms is None


@pytest.mark.parametrize("room_id", ["nobody", "", "x" * 65, "a b", "a\0b", "ä", "../x"])
async def test_a_room_that_never_was_is_none(here: Station, room_id: str) -> None:
    assert await here.node.room(room_id) is None


async def test_a_node_holds_so_many_rooms_and_no_more(urls: Urls) -> None:
    async with station(urls, rooms_max=2) as here:
        first = await here.node.create("duet", {})
        await here.node.create("duet", {})
        with pytest.raises(NodeFull):
            await here.node.create("duet", {})
        assert await here.node.room(first.room.room_id) is first, "those it has go on"
        await first.durable()
        await hibernated(here, first)
        assert await here.node.create("duet", {})


async def test_a_drain_releases_every_room_also_those_on_their_way(here: Station, urls: Urls) -> None:
    sleeping = await dormant(here)
    played = await here.node.create("duet", {})
    add(played, link := seat(played, "s"), 1, 4)
    creating = [asyncio.create_task(here.node.create("duet", {})) for _ in range(10)]
    activating = asyncio.create_task(here.node.room(sleeping))
    await asyncio.sleep(0)
    await here.node.drain(CloseCode.MAY_RECONNECT, "drain")
    outcomes = await asyncio.gather(*creating, activating, return_exceptions=True)
    assert all(isinstance(outcome, RoomRunner | Unavailable) for outcome in outcomes)
    assert here.node.rooms == []
    assert link.closed == (4010, "drain")
    for runner in [played, *(outcome for outcome in outcomes if isinstance(outcome, RoomRunner))]:
        assert await is_dormant(here, runner.room.room_id)
    with pytest.raises(Unavailable):
        await here.node.room(sleeping)
    with pytest.raises(Unavailable):
        await here.node.create("duet", {})
    assert (here.ends, here.crashes) == ([], [])
    async with station(urls) as there:
        assert (await there.runner(played.room.room_id)).room.rules.state.total == 4


async def test_what_waits_for_its_turn_when_a_drain_begins_is_answered(here: Station) -> None:
    runner = await here.node.create("duet", {})
    link = seat(runner, "s")
    add(runner, link, 1)
    await runner.durable()
    send_add(runner, link, 2)  # just after a flush, so the room's turn is some milliseconds away
    await here.node.drain(CloseCode.MAY_RECONNECT, "drain")
    assert [(reject["seq"], reject["code"]) for reject in link.of("event.reject")] == [(2, "terminating")]
    assert link.closed == (4010, "drain")


async def test_a_fenced_node_is_told_of_its_end(here: Station) -> None:
    runner = await here.node.create("duet", {})
    link = seat(runner, "s")
    await runner.durable()
    await here.stores.nodes.fence(here.node.node_id)
    add(runner, link, 1)
    await until(lambda: bool(here.ends))
    assert link.of("event.ack", kind="intent") == []


async def test_an_old_number_is_looked_up_in_the_journal(here: Station) -> None:
    runner = await here.node.create("duet", {})
    link = seat(runner, "s")
    for seq in range(1, limits.OUTCOMES_MAX + 10):
        add(runner, link, seq)
    await runner.durable()
    acked = {ack["seq"]: ack["roomSeq"] for ack in link.of("event.ack", kind="intent")}
    link.heard.clear()
    add(runner, link, 3, 50)
    await until(lambda: bool(link.of("event.ack", seq=3)))
    [again] = link.of("event.ack", seq=3)
    assert (again["status"], again["roomSeq"]) == ("duplicate", acked[3])


async def test_a_game_is_what_the_node_was_given(urls: Urls) -> None:
    async with station(urls, games={"duet": Duet}) as here:
        assert await here.node.create("duet", {})
        with pytest.raises(KeyError):
            await here.node.create("fragile", {})
