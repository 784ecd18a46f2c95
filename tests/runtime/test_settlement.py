"""Writes in doubt and writes too late, at a node on real databases, whose link to PostgreSQL a test may hurt."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from contracts import limits
from contracts.codes import CloseCode
from server.core.faults import Unavailable
from server.embedded import Urls
from server.runtime.clock import unix_ms
from server.runtime.runner import RoomRunner
from server.tools.chaos.proxy import Proxy, proxy_before, through
from tests.runtime.parts import Station, Tape, add, seat, station, until
from tests.storage.parts import backend

#: No action can be written, as when the disk is full; nor anything of rooms, or of nodes.
ACTIONS_FULL = """
    CREATE FUNCTION fail_as_full() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION USING ERRCODE = ''53100''; END';
    CREATE TRIGGER full_actions BEFORE INSERT ON actions FOR EACH ROW EXECUTE FUNCTION fail_as_full();
"""
ROOMS_FULL = """
    CREATE TRIGGER full_rooms BEFORE UPDATE ON rooms FOR EACH ROW EXECUTE FUNCTION fail_as_full();
"""
NODES_FULL = "CREATE TRIGGER full_nodes BEFORE UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION fail_as_full()"
FREED = "DROP FUNCTION fail_as_full CASCADE"


@pytest.fixture
async def link(urls: Urls) -> AsyncIterator[Proxy]:
    """A link to PostgreSQL."""
    async with proxy_before(urls.database_url) as link:
        yield link


def by_way_of(link: Proxy, urls: Urls) -> Urls:
    return Urls(through(urls.database_url, link), urls.redis_url)


@pytest.fixture
async def here(link: Proxy, urls: Urls) -> AsyncIterator[Station]:
    """A node whose link to PostgreSQL is `link`."""
    async with station(by_way_of(link, urls)) as here:
        yield here
        assert (here.ends, here.crashes) == ([], [])


async def table(here: Station) -> tuple[RoomRunner, Tape]:
    """A room with one who plays in it, at roomSeq 3, all of it durable."""
    runner = await here.node.create("duet", {})
    tape = seat(runner, "s")
    add(runner, tape, 1)
    await runner.durable()
    return runner, tape


async def rows(operator: asyncpg.Connection, runner: RoomRunner) -> list[tuple[int, int, int | None]]:
    """The room's journal: roomSeq, epoch and number of each entry."""
    found = await operator.fetch(
        "SELECT room_seq, epoch, seq FROM actions WHERE room_id = $1 ORDER BY room_seq", runner.room.room_id
    )
    return [tuple(row) for row in found]


async def until_there_are(count: int, operator: asyncpg.Connection, runner: RoomRunner) -> None:
    async with asyncio.timeout(10):
        while len(await rows(operator, runner)) < count:
            await asyncio.sleep(0.002)


def acked(tape: Tape) -> list[int]:
    return [ack["seq"] for ack in tape.of("event.ack", kind="intent")]


async def lose_reply(link: Proxy, operator: asyncpg.Connection, runner: RoomRunner, tape: Tape, seq: int) -> None:
    """An add whose flush arrives, and the answer to which never comes."""
    link.hold_replies()
    count = len(await rows(operator, runner)) + 1
    add(runner, tape, seq)
    await until_there_are(count, operator, runner)
    link.cut()


# -- in doubt -----------------------------------------------------------------------------------------------------


async def test_a_flush_whose_reply_is_lost_is_acked_once_and_stays_where_it_is_under_a_new_identity(
    here: Station, link: Proxy, operator: asyncpg.Connection
) -> None:
    runner, tape = await table(here)
    former_id = here.node.node_id
    await lose_reply(link, operator, runner, tape, 2)
    assert acked(tape) == [1]
    link.let_go()
    await runner.durable()
    assert acked(tape) == [1, 2]
    assert here.node.node_id != former_id
    add(runner, tape, 3)
    await runner.durable()
    assert (await rows(operator, runner))[2:] == [(3, 1, 1), (4, 1, 2), (5, 2, 3)]
    assert (acked(tape), tape.closed, tape.of("event.reject")) == ([1, 2, 3], None, [])
    row = await here.stores.rooms.get(runner.room.room_id)
    assert row is not None
    assert (row.owner, row.epoch) == (here.node.node_id, 2)


async def test_a_deserted_room_that_is_in_doubt_is_left_alone_until_it_is_not(here: Station, link: Proxy) -> None:
    """Or each sweep would leave one more task to wait, for as long as PostgreSQL is away."""
    runner, tape = await table(here)
    link.hold_replies()
    assert tape.seat is not None
    runner.step(lambda room: room.leave(tape.seat, CloseCode.CONSENTED, "", unix_ms(), runner.random))
    runner.empty_since_ms = 0
    with capture_logs() as logs:
        await until(lambda: any(entry["event"] == "a flush failed" for entry in logs))
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert f"hibernate {runner.room.room_id}" not in names
    link.cut()
    link.let_go()
    await until(lambda: runner not in here.node.rooms)


async def test_a_flush_that_never_arrived_is_sent_again(
    here: Station, link: Proxy, operator: asyncpg.Connection
) -> None:
    runner, tape = await table(here)
    former_id = here.node.node_id
    link.hold_requests()
    add(runner, tape, 2)
    await link.held()
    link.cut()
    assert (len(await rows(operator, runner)), acked(tape)) == (3, [1])
    link.let_go()
    await runner.durable()
    assert (await rows(operator, runner))[2:] == [(3, 1, 1), (4, 1, 2)]
    assert (acked(tape), tape.closed, here.node.node_id == former_id) == ([1, 2], None, False)


async def test_a_statement_that_is_still_at_large_is_waited_for(
    here: Station, link: Proxy, operator: asyncpg.Connection, urls: Urls
) -> None:
    """Its client is gone, but PostgreSQL still works on it: read back now, its entry would not be there."""
    runner, tape = await table(here)
    room_id = runner.room.room_id
    holder = await asyncpg.connect(urls.database_url)
    held = holder.transaction()
    await held.start()
    await holder.execute("LOCK TABLE actions IN SHARE MODE")
    add(runner, tape, 2)
    await backend(operator, application_name=here.node.node_id, wait_event_type="Lock")
    link.cut()
    await held.rollback()
    await holder.close()
    await runner.durable()
    assert (await rows(operator, runner))[3:] == [(4, 1, 2)]
    assert (acked(tape), [r.room.room_id for r in here.node.rooms]) == ([1, 2], [room_id])


async def test_a_room_that_another_node_claimed_in_between_is_lost_and_no_other(
    here: Station, link: Proxy, operator: asyncpg.Connection, urls: Urls
) -> None:
    (lost, its_tape), (kept, tape) = await table(here), await table(here)
    holder = await asyncpg.connect(urls.database_url)
    async with holder.transaction():
        await holder.execute("INSERT INTO nodes (node_id, address) VALUES ('another', 'there')")
        await holder.execute(
            "UPDATE rooms SET owner = 'another', epoch = epoch + 1 WHERE room_id = $1", lost.room.room_id
        )
        await lose_reply(link, operator, kept, tape, 2)
        link.let_go()
        await kept.durable()
    await holder.close()
    await until(lambda: its_tape.closed is not None)
    assert its_tape.closed == (CloseCode.MAY_RECONNECT, "the room is elsewhere")
    assert (lost.is_over, here.node.rooms) == (True, [kept])
    add(kept, tape, 3)
    await kept.durable()
    assert (acked(tape), tape.closed) == ([1, 2, 3], None)


async def test_a_room_whose_row_is_locked_while_all_is_in_doubt_is_lost_and_makes_no_other_wait(
    here: Station, link: Proxy, operator: asyncpg.Connection, urls: Urls
) -> None:
    runner, tape = await table(here)
    other, spectator = await table(here)
    locker = await asyncpg.connect(urls.database_url)
    async with locker.transaction():
        await locker.execute("SELECT FROM rooms WHERE room_id = $1 FOR UPDATE", other.room.room_id)
        await lose_reply(link, operator, runner, tape, 2)
        link.let_go()
        async with asyncio.timeout(1.5):
            await runner.durable()
        assert acked(tape) == [1, 2]
        assert spectator.closed is not None
        assert spectator.closed[0] == CloseCode.MAY_RECONNECT
    await locker.close()
    assert (await here.runner(other.room.room_id)).room.rules.state.total == 1


async def test_a_journal_that_lacks_what_was_acked_loses_its_room_and_no_other(
    here: Station, link: Proxy, operator: asyncpg.Connection
) -> None:
    (lost, its_tape), (kept, tape) = await table(here), await table(here)
    await lose_reply(link, operator, kept, tape, 2)
    await operator.execute("DELETE FROM actions WHERE room_id = $1 AND room_seq = 3", lost.room.room_id)
    link.let_go()
    await kept.durable()
    await until(lambda: its_tape.closed is not None)
    assert its_tape.closed == (CloseCode.MAY_RECONNECT, "the room cannot go on")
    assert (acked(tape), here.node.rooms) == ([1, 2], [kept])
    again = await here.runner(lost.room.room_id)
    assert again.room.room_seq == 3, "2, and the drop of who was in it"


async def test_one_doubt_after_the_other_is_settled(here: Station, link: Proxy, operator: asyncpg.Connection) -> None:
    runner, tape = await table(here)
    for seq in (2, 4, 6):
        await lose_reply(link, operator, runner, tape, seq)
        link.let_go()
        add(runner, tape, seq + 1)
        await runner.durable()
    assert acked(tape) == [1, 2, 3, 4, 5, 6, 7]
    epochs = [epoch for _, epoch, _ in await rows(operator, runner)]
    assert (epochs, runner.room.epoch) == ([1, 1, 1, 1, 1, 2, 2, 3, 3], 4)
    assert await operator.fetchval("SELECT count(*) FROM nodes WHERE NOT fenced") == 1


async def test_a_drain_while_in_doubt_waits_for_the_truth_and_hands_all_over(
    here: Station, link: Proxy, operator: asyncpg.Connection
) -> None:
    runner, tape = await table(here)
    await lose_reply(link, operator, runner, tape, 2)
    draining = asyncio.create_task(here.node.drain(CloseCode.MAY_RECONNECT, "the server goes"))
    await asyncio.sleep(0)
    assert tape.closed is None
    link.let_go()
    async with asyncio.timeout(20):
        await draining
    assert (acked(tape), tape.closed) == ([1, 2], (CloseCode.MAY_RECONNECT, "the server goes"))
    row = await operator.fetchrow("SELECT owner, status FROM rooms WHERE room_id = $1", runner.room.room_id)
    assert tuple(row) == (None, "dormant")
    assert await operator.fetchval("SELECT count(*) FROM nodes WHERE NOT fenced") == 0


async def test_a_drain_that_cannot_be_written_down_closes_everyone_all_the_same(
    here: Station, operator: asyncpg.Connection
) -> None:
    _, tape = await table(here)
    await operator.execute(ACTIONS_FULL + ROOMS_FULL + NODES_FULL)
    await here.node.drain(CloseCode.MAY_RECONNECT, "the server goes")
    assert (tape.closed, here.node.rooms) == ((CloseCode.MAY_RECONNECT, "the server goes"), [])


async def test_without_a_lease_a_node_is_mute_and_with_it_again_it_says_what_it_kept(link: Proxy, urls: Urls) -> None:
    async with station(by_way_of(link, urls), lease_s=1.0) as here:
        runner, tape = await table(here)
        link.stall()
        await until(lambda: not here.node.is_lease_held)
        mark = len(tape.heard)
        add(runner, tape, 1)
        add(runner, tape, 9)
        assert [body.get("code") for _, _, body in tape.heard[mark:]] == ["gap"], "which says nothing of the room"
        link.let_go()
        await until(lambda: here.node.is_lease_held)
        await until(lambda: len(acked(tape)) == 2)
        assert tape.of("event.ack", kind="intent")[-1]["status"] == "duplicate"
        assert (tape.closed, here.ends, here.crashes) == (None, [], [])


async def test_who_asks_for_an_old_number_that_cannot_be_looked_up_is_closed_and_asks_again(
    here: Station, link: Proxy
) -> None:
    """Silence would leave the number without an outcome for as long as the connection lives."""
    runner, tape = await table(here)
    for seq in range(2, limits.OUTCOMES_MAX + 3):
        add(runner, tape, seq)
    await runner.durable()
    link.stall()
    add(runner, tape, 1)
    await until(lambda: tape.closed is not None)
    link.cut()
    link.let_go()
    assert tape.closed == (CloseCode.MAY_RECONNECT, "try again in a moment")


async def test_who_asks_for_more_old_numbers_than_may_wait_is_closed(here: Station) -> None:
    """They are read by the connections that the node's lease is renewed by."""
    (runner, tape), (other, its_tape) = await table(here), await table(here)
    for seq in range(2, limits.OUTCOMES_MAX + 3):
        add(runner, tape, seq)
    await runner.durable()
    for _ in range(limits.LOOK_UPS_MAX + 1):
        add(runner, tape, 1)
    await until(lambda: tape.closed is not None)
    add(other, its_tape, 2)
    await other.durable()
    assert (tape.closed, its_tape.closed) == ((CloseCode.MAY_RECONNECT, "try again in a moment"), None)


async def test_a_room_whose_row_another_session_locks_waits_alone(here: Station, urls: Urls) -> None:
    (locked, its_tape), (other, tape) = await table(here), await table(here)
    holder = await asyncpg.connect(urls.database_url)
    held = holder.transaction()
    await held.start()
    await holder.execute(
        "INSERT INTO actions (room_id, room_seq, epoch, kind, at) VALUES ($1, 4, 1, '', 0)", locked.room.room_id
    )
    add(locked, its_tape, 2)
    for seq in range(2, 12):
        add(other, tape, seq)
        await other.durable()
    assert (acked(tape), acked(its_tape)) == (list(range(1, 12)), [1])
    await held.rollback()
    await holder.close()
    await locked.durable()
    assert (acked(its_tape), its_tape.closed) == ([1, 2], None)


# -- too late -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def impatient(urls: Urls) -> AsyncIterator[Station]:
    """A node whose actions wait for a moment only."""
    async with station(urls, budget_s=0.3) as here:
        yield here
        assert (here.ends, here.crashes) == ([], [])


async def test_a_room_set_back_is_rebuilt_in_place_as_soon_as_postgresql_lets_it(
    impatient: Station, operator: asyncpg.Connection
) -> None:
    runner, tape = await table(impatient)
    room_id = runner.room.room_id
    await operator.execute(ACTIONS_FULL + ROOMS_FULL)
    add(runner, tape, 2)
    await until(lambda: bool(tape.of("event.reject", code="not_durable")))
    with pytest.raises(Unavailable):
        await impatient.node.room(room_id)
    mark = len(tape.heard)
    await operator.execute(FREED)
    await until(lambda: runner.takes_input)
    await until(lambda: len(tape.heard) > mark)
    assert tape.heard[mark][2]["state"] == {"total": 1}
    assert await impatient.node.room(room_id) is runner
    add(runner, tape, 3)
    await runner.durable()
    assert (await rows(operator, runner))[2:] == [(3, 1, 1), (4, 2, 3)]
    assert (acked(tape), tape.closed) == ([1, 3], None)


async def test_a_room_whose_journal_cannot_be_loaded_is_given_up_and_the_others_play_on(
    impatient: Station, operator: asyncpg.Connection
) -> None:
    (lost, its_tape), (kept, tape) = await table(impatient), await table(impatient)
    await operator.execute(ACTIONS_FULL + ROOMS_FULL)
    add(lost, its_tape, 2)
    await until(lambda: bool(its_tape.of("event.reject", code="not_durable")))
    await operator.execute("UPDATE actions SET patch = '{\"total\":[]}' WHERE room_id = $1", lost.room.room_id)
    await operator.execute(FREED)
    await until(lambda: its_tape.closed is not None)
    assert (lost.is_over, impatient.node.rooms) == (True, [kept])
    add(kept, tape, 2)
    await kept.durable()
    assert acked(tape) == [1, 2], "writes are known to succeed"


async def test_a_room_set_back_again_and_again_loses_nothing_that_was_acked(
    impatient: Station, operator: asyncpg.Connection
) -> None:
    runner, tape = await table(impatient)
    seq = 1
    for _ in range(3):
        await operator.execute(ACTIONS_FULL + ROOMS_FULL)
        seq += 1
        add(runner, tape, seq, 100)
        await until(lambda seq=seq: bool(tape.of("event.reject", seq=seq, code="not_durable")))
        await operator.execute(FREED)
        await until(lambda: runner.takes_input)
        seq += 1
        add(runner, tape, seq)
        await runner.durable()
    assert acked(tape) == [1, 3, 5, 7]
    assert runner.room.rules.state.total == 4
    assert [room_seq for room_seq, _, _ in await rows(operator, runner)] == [1, 2, 3, 4, 5, 6]
    assert (runner.room.epoch, tape.closed) == (4, None)


async def test_a_room_set_back_once_more_while_others_are_rebuilt_is_rebuilt_once_more(
    impatient: Station, operator: asyncpg.Connection, urls: Urls
) -> None:
    """One of the others has to wait for a lock, and they are rebuilt together."""
    *quick, (slow, its_tape) = [await table(impatient) for _ in range(3)]
    holder = await asyncpg.connect(urls.database_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM rooms WHERE room_id = $1 FOR UPDATE", slow.room.room_id)
        await operator.execute(ACTIONS_FULL)
        for runner, tape in [*quick, (slow, its_tape)]:
            add(runner, tape, 2)
        for seq in (2, 3):
            for runner, tape in quick:
                await until(lambda tape=tape, seq=seq: bool(tape.of("event.reject", seq=seq, code="not_durable")))
                await until(lambda runner=runner: runner.takes_input)
                if seq == 2:
                    add(runner, tape, 3)
        await operator.execute(FREED)
        assert slow.room.is_still
    await holder.close()
    await until(lambda: slow.takes_input)
    for runner, tape in quick:
        await until(lambda runner=runner: runner.takes_input)
        add(runner, tape, 4)
        await runner.durable()
        assert (acked(tape), tape.closed) == ([1, 4], None)


async def test_in_doubt_nothing_of_any_room_is_shown(here: Station, link: Proxy, operator: asyncpg.Connection) -> None:
    """From the fence of the old id on another node may have taken the room."""
    (doubted, its_tape), (other, tape) = await table(here), await table(here)
    await lose_reply(link, operator, doubted, its_tape, 2)
    link.hold_requests()
    await link.held()
    mark = len(tape.heard)
    add(other, tape, 1)
    add(other, tape, 9)
    other.sweep()
    assert [body.get("code") for _, _, body in tape.heard[mark:]] == ["gap"]
    link.let_go()
    await doubted.durable()
    await until(lambda: len(acked(tape)) == 2)
    assert (acked(its_tape), tape.closed) == ([1, 2], None)
