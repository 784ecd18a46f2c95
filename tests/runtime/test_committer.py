"""The group committer: what goes into a flush, who is told what, and what becomes of a flush that failed."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

from contracts import limits
from server.core.faults import Fault, Fenced, OutcomeUnknown, Poisoned, TookTooLong, Unavailable
from server.core.journal import Entry
from server.runtime.committer import FLUSH_EVERY_S, STUCK_S, Committer, Lane
from tests.runtime.desk import NOTHING, Desk, Told, committing, entries, entry
from tests.runtime.virtual_time import in_virtual_time

ROWS_MAX = limits.FLUSH_ROWS_MAX


# -- groups -------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_what_comes_while_a_flush_is_in_flight_goes_together_into_the_next() -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        first = await desk.begun()
        for room_seq in range(2, 12):
            desk.committer.submit(room, [entry(room_seq)])
        assert (room.all_told, desk.committer.pending) == (NOTHING, 11)
        first.succeed()
        await desk.flushed()
        await desk.nothing_happens()
        assert [flush.seqs for flush in desk.flushes] == [[1], list(range(2, 12))]
        assert (room.seqs, desk.commits, desk.committer.pending) == ([1, 11], [1, 10], 0)


@in_virtual_time
async def test_what_is_to_come_before_a_flush_is_called_at_once_when_none_is_near() -> None:
    async with committing() as desk:
        room, calls = Told(), list[float]()
        began = time.monotonic()
        desk.committer.before_flush(lambda: calls.append(time.monotonic() - began))
        await asyncio.sleep(0.001)
        assert calls == pytest.approx([0])
        desk.committer.before_flush(lambda: desk.committer.submit(room, [entry(1)]))
        await desk.flushed()
        assert time.monotonic() - began < 2 * FLUSH_EVERY_S


@in_virtual_time
async def test_what_came_by_the_time_a_flush_begins_goes_with_it() -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        first = await desk.begun()
        await asyncio.sleep(2 * FLUSH_EVERY_S)
        desk.committer.submit(room, [entry(2)])
        desk.committer.before_flush(lambda: desk.committer.submit(room, [entry(3)]))
        first.succeed()
        assert (await desk.begun()).seqs == [2, 3]


@in_virtual_time
async def test_a_long_flush_holds_up_no_calls_and_they_come_no_closer_together() -> None:
    async with committing() as desk:
        desk.committer.submit(Told(), [entry(1)])
        await desk.begun()
        calls: list[float] = []
        while len(calls) < 20:
            before = len(calls)
            desk.committer.before_flush(lambda: calls.append(time.monotonic()))
            async with asyncio.timeout(2 * FLUSH_EVERY_S):
                while len(calls) == before:
                    await asyncio.sleep(0.0005)
        assert min(later - earlier for earlier, later in pairwise(calls)) > 0.99 * FLUSH_EVERY_S


@in_virtual_time
async def test_each_room_is_told_its_own_last_number_and_once() -> None:
    async with committing() as desk:
        one, other = Told(), Told()
        desk.committer.submit(one, entries("a", 1, 2))
        desk.committer.submit(other, entries("b", 7))
        desk.committer.submit(one, entries("a", 3))
        await desk.flushed()
        await desk.nothing_happens()
        assert (one.seqs, other.seqs) == ([3], [7])


@in_virtual_time
async def test_a_flush_is_bounded_in_rows_and_keeps_the_order() -> None:
    async with committing() as desk:
        count = 2 * ROWS_MAX + 5
        desk.committer.submit(Told(), entries("r", *range(1, count + 1)))
        flushes = await desk.flushed(3)
        assert [len(flush.rows) for flush in flushes] == [ROWS_MAX, ROWS_MAX, 5]
        assert [seq for flush in flushes for seq in flush.seqs] == list(range(1, count + 1))


@in_virtual_time
async def test_a_flush_is_bounded_in_bytes_by_at_most_one_entry() -> None:
    async with committing() as desk:
        patch = b"x" * (limits.FLUSH_BYTES_MAX // 2)
        desk.committer.submit(Told(), [entry(room_seq, patch=patch) for room_seq in range(1, 6)])
        assert [len(flush.rows) for flush in await desk.flushed(3)] == [2, 2, 1]


@in_virtual_time
async def test_a_room_that_always_has_more_than_fits_starves_nobody() -> None:
    async with committing() as desk:
        busy, others = Told(), [Told() for _ in range(3)]
        for round_no in range(4):
            desk.committer.submit(
                busy, entries("busy", *(2 * ROWS_MAX * round_no + n + 1 for n in range(2 * ROWS_MAX)))
            )
            for room in others:
                desk.committer.submit(room, entries(f"room {others.index(room)}", round_no + 1))
            await desk.flushed(2)
        assert [room.seqs for room in others] == [[1, 2, 3, 4]] * 3


@in_virtual_time
async def test_a_room_that_is_forgotten_is_not_written_and_told_nothing() -> None:
    async with committing() as desk:
        gone, other = Told(), Told()
        desk.committer.submit(gone, entries("gone", 1))
        flush = await desk.begun()
        desk.committer.submit(gone, entries("gone", 2))
        desk.committer.submit(other, entries("other", 1))
        desk.committer.forget(gone)
        assert (desk.committer.has_pending(gone), desk.committer.pending) == (False, 1)
        flush.succeed()
        assert [flush.rows for flush in await desk.flushed()] == [[("other", 1)]]
        await desk.nothing_happens()
        assert (gone.all_told, desk.committer.pending) == (NOTHING, 0)


# -- surely not written -------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_flush_that_surely_did_not_happen_is_tried_again_and_nobody_is_told_before() -> None:
    async with committing() as desk:
        room, faults = Told(), [Unavailable(), Unavailable()]
        desk.committer.submit(room, entries("r", 1, 2))
        for fault in faults:
            (await desk.begun()).fail(fault)
            assert room.all_told == NOTHING
        desk.committer.submit(room, entries("r", 3))
        await desk.flushed()
        await desk.nothing_happens()
        assert [flush.seqs for flush in desk.flushes] == [[1, 2], [1, 2], [1, 2, 3]]
        assert (room.seqs, desk.faults, desk.settlements) == ([3], faults, 0)


@in_virtual_time
async def test_tries_of_what_just_failed_come_ever_more_slowly_but_never_much() -> None:
    loop = asyncio.get_running_loop()
    async with committing(budget_s=1000) as desk:
        desk.committer.submit(Told(), [entry(1)])
        times: list[float] = []
        for _ in range(20):
            (await desk.begun()).fail(Unavailable())
            times.append(loop.time())
        assert times[1] - times[0] < 0.1
        assert 0.2 < times[-1] - times[-2] < 0.6


@in_virtual_time
async def test_a_room_that_holds_up_others_waits_alone() -> None:
    async with committing() as desk:
        locked, innocent, newcomer = Told(), Told(), Told()
        desk.committer.submit(locked, entries("locked", 1))
        desk.committer.submit(innocent, entries("innocent", 1))
        (await desk.begun()).fail(TookTooLong())
        waits = await desk.begun()
        assert (waits.lane, waits.rows) == (Lane.APART, [("locked", 1)])
        desk.committer.submit(newcomer, entries("newcomer", 1))
        (flush,) = await desk.flushed()
        assert (flush.lane, flush.rows) == (Lane.MAIN, [("newcomer", 1)])
        waits.fail(TookTooLong())
        (flush,) = await desk.flushed()
        assert (flush.lane, flush.rows) == (Lane.APART, [("innocent", 1)]), "before the locked one is tried again"
        waits = await desk.begun()
        assert (waits.lane, waits.rows) == (Lane.APART, [("locked", 1)])
        desk.committer.submit(innocent, entries("innocent", 2))
        (flush,) = await desk.flushed()
        assert (flush.lane, flush.rows) == (Lane.MAIN, [("innocent", 2)])
        waits.succeed()
        desk.committer.submit(locked, entries("locked", 2))
        (flush,) = await desk.flushed()
        assert (flush.lane, flush.rows) == (Lane.MAIN, [("locked", 2)]), "it is back with the others"
        await desk.nothing_happens()
        assert (locked.seqs, innocent.seqs, newcomer.seqs) == ([1, 2], [1, 2], [1])
        assert (desk.faults, desk.committer.is_failing) == ([], False), "PostgreSQL is well"


@in_virtual_time
async def test_what_fails_alone_is_halved_down_to_one_and_all_goes_on_once_that_is_through() -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, entries("r", *range(1, 9)))
        sizes = []
        for _ in range(5):
            flush = await desk.begun()
            sizes.append(len(flush.rows))
            flush.fail(TookTooLong())
        assert sizes == [8, 4, 2, 1, 1]
        one, rest = await desk.flushed(2)
        assert (one.lane, one.seqs, rest.lane, rest.seqs) == (Lane.APART, [1], Lane.MAIN, list(range(2, 9)))
        await desk.nothing_happens()
        assert (room.seqs, desk.committer.pending) == ([1, 8], 0)


@in_virtual_time
async def test_what_comes_while_its_room_is_flushed_apart_is_written_though_nobody_else_says_a_word() -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        (await desk.begun()).fail(TookTooLong())
        apart = await desk.begun()
        desk.committer.submit(room, [entry(2)])
        apart.succeed()
        await desk.flushed()
        await desk.nothing_happens()
        assert room.seqs == [1, 2]


# -- poison -------------------------------------------------------------------------------------------------------


async def judge(desk: Desk, bad: tuple[str, int]) -> list[tuple[str, int]]:
    """Refuse each flush that holds the bad entry, let the others succeed; returns what was written."""
    written: list[tuple[str, int]] = []
    while desk.committer.pending:
        flush = await desk.begun()
        if bad in flush.rows:
            flush.fail(Poisoned())
        else:
            written += flush.rows
            flush.succeed()
        await asyncio.sleep(1)
    return written


@pytest.mark.parametrize("seq", [1, 5, 8, 9])
@in_virtual_time
async def test_a_bad_entry_is_found_whoever_stands_around_it_and_ends_only_its_room(seq: int) -> None:
    async with committing(budget_s=1000) as desk:
        rooms = {name: Told() for name in "abc"}
        for name, room in rooms.items():
            desk.committer.submit(room, entries(name, *range(1, 10)))
        written = await judge(desk, ("b", seq))
        for name in "ac":
            assert [row for row in written if row[0] == name] == [(name, n) for n in range(1, 10)]
            assert (rooms[name].seqs[-1], rooms[name].given_up_after, rooms[name].poison) == (9, [], [])
        assert [row for row in written if row[0] == "b"] == [("b", n) for n in range(1, seq)], "none after it"
        assert len(rooms["b"].poison) == 1
        assert rooms["b"].seqs[-1:] == ([seq - 1] if seq > 1 else [])
        await desk.nothing_happens()
        assert (desk.faults, desk.settlements, desk.committer.is_failing) == ([], 0, False)


@in_virtual_time
async def test_a_bad_entry_that_is_all_there_is_leaves_the_node_taking_intents() -> None:
    """After it nothing might be left to write, and so to show that writes succeed."""
    async with committing(budget_s=1) as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        (await desk.begun()).fail(Unavailable())
        (await desk.begun()).fail(Poisoned())
        await asyncio.sleep(10)
        assert (len(room.poison), desk.committer.is_failing) == (1, False)


# -- doubt --------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_in_doubt_nothing_is_flushed_told_or_given_up_of_what_was_sent() -> None:
    async with committing(budget_s=1) as desk:
        room, other = Told(), Told()
        desk.committer.submit(room, entries("r", 1, 2, 3))
        flush = await desk.begun()
        desk.committer.submit(room, entries("r", 4))
        flush.fail(OutcomeUnknown())
        ends = await desk.settling()
        assert desk.committer.is_in_doubt
        desk.committer.submit(room, entries("r", 5))
        desk.committer.submit(other, entries("other", 1))
        await desk.nothing_happens()
        desk.committer.give_up_late()
        assert (room.all_told, desk.committer.pending) == (([], [3], []), 3), "4 and 5 were never sent"
        assert other.all_told == ([], [0], [])
        ends.set_result({room: 2})
        (again,) = await desk.flushed()
        await desk.nothing_happens()
        assert (again.rows, room.seqs, desk.committer.pending) == ([("r", 3)], [2, 3], 0)
        assert not desk.committer.is_in_doubt
        assert room.given_up_after == [3]


@in_virtual_time
async def test_what_is_in_the_journal_is_durable_and_the_rest_is_sent_again_in_order() -> None:
    async with committing() as desk:
        landed, half, lost = Told(), Told(), Told()
        rooms = {landed: 3, half: 1, lost: 0}
        for name, room in zip(("landed", "half", "lost"), rooms, strict=True):
            desk.committer.submit(room, entries(name, 1, 2, 3))
        (await desk.begun()).fail(OutcomeUnknown())
        ends = await desk.settling()
        desk.committer.submit(landed, entries("landed", 4))
        ends.set_result(rooms)
        (again,) = await desk.flushed()
        await desk.nothing_happens()
        assert sorted(again.rows) == [("half", 2), ("half", 3), ("landed", 4), ("lost", 1), ("lost", 2), ("lost", 3)]
        assert (landed.seqs, half.seqs, lost.seqs) == ([3, 4], [1, 3], [3])


@pytest.mark.parametrize("verdict", [None, OutcomeUnknown(), Unavailable()], ids=["written", "in doubt", "not written"])
@in_virtual_time
async def test_a_doubt_is_settled_once_and_not_before_the_other_lanes_flush_is_over(verdict: Fault | None) -> None:
    async with committing() as desk:
        locked, other = Told(), Told()
        desk.committer.submit(locked, entries("locked", 1))
        (await desk.begun()).fail(TookTooLong())
        apart = await desk.begun()
        desk.committer.submit(other, entries("other", 1))
        (await desk.begun()).fail(OutcomeUnknown())
        desk.committer.submit(other, entries("other", 2))
        await desk.nothing_happens()
        assert desk.settlements == 0
        if verdict is None:
            apart.succeed()
        else:
            apart.fail(verdict)
        ends = await desk.settling()
        await desk.nothing_happens()
        ends.set_result({locked: 1 if verdict is None else 0, other: 1})
        await desk.flushed(1 if verdict is None else 2)
        await desk.nothing_happens()
        assert (locked.seqs, other.seqs, desk.settlements) == ([1], [1, 2], 1)


@in_virtual_time
async def test_rooms_that_the_settlement_does_not_name_are_lost_or_were_not_sent() -> None:
    async with committing() as desk:
        lost, meanwhile = Told(), Told()
        desk.committer.submit(lost, entries("lost", 1))
        (await desk.begun()).fail(OutcomeUnknown())
        ends = await desk.settling()
        desk.committer.submit(meanwhile, entries("meanwhile", 1))
        desk.committer.forget(lost)
        ends.set_result({})
        assert [flush.rows for flush in await desk.flushed()] == [[("meanwhile", 1)]]
        await desk.nothing_happens()
        assert (lost.all_told, meanwhile.seqs, desk.committer.pending) == (NOTHING, [1], 0)


@in_virtual_time
async def test_an_entry_that_fells_postgresql_whenever_it_is_sent_does_not_go_round_for_ever() -> None:
    async with committing(budget_s=5) as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        for _ in range(1000):
            if not desk.committer.pending:
                break
            (await desk.begun()).fail(OutcomeUnknown())
            (await desk.settling()).set_result({room: 0})
            await asyncio.sleep(0.001)
            desk.committer.give_up_late()
        assert room.all_told == ([], [0], [])
        assert len(desk.flushes) < 50


# -- too late -----------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_what_waits_for_too_long_is_given_up_from_its_first_on() -> None:
    async with committing(budget_s=1) as desk:
        room, prompt = Told(), Told()
        desk.committer.submit(room, entries("r", 5, 6))
        (await desk.begun()).fail(Unavailable())
        while desk.committer.pending == 2:
            (await desk.begun()).fail(Unavailable())
            await asyncio.sleep(0.3)
            desk.committer.give_up_late()
        assert (room.all_told, desk.committer.pending) == (([], [4], []), 0)
        assert not desk.committer.has_pending(room)
        desk.committer.submit(prompt, entries("prompt", 1))
        desk.committer.give_up_late()
        (await desk.begun()).succeed()
        await desk.nothing_happens()
        assert prompt.all_told == ([1], [], [])


@in_virtual_time
async def test_what_is_in_flight_is_not_given_up_but_what_waits_behind_it_is() -> None:
    async with committing(budget_s=1) as desk:
        room = Told()
        desk.committer.submit(room, entries("r", 1, 2))
        flush = await desk.begun()
        desk.committer.submit(room, entries("r", 3, 4))
        await asyncio.sleep(2)
        desk.committer.give_up_late()
        desk.committer.give_up_late()
        assert (room.all_told, desk.committer.pending) == (([], [2], []), 2)
        flush.succeed()
        await desk.nothing_happens()
        assert (room.seqs, desk.committer.pending) == ([2], 0)


@in_virtual_time
async def test_what_was_in_flight_and_surely_failed_is_given_up_after_what_was_behind_it() -> None:
    async with committing(budget_s=1) as desk:
        room = Told()
        desk.committer.submit(room, entries("r", 1, 2))
        flush = await desk.begun()
        desk.committer.submit(room, entries("r", 3))
        await asyncio.sleep(2)
        desk.committer.give_up_late()
        flush.fail(Unavailable())
        await asyncio.sleep(0.001)
        desk.committer.give_up_late()
        assert (room.given_up_after, desk.committer.pending) == ([2, 0], 0)
        await desk.nothing_happens()


@in_virtual_time
async def test_writes_that_fail_for_longer_than_the_budget_are_told_until_one_succeeds() -> None:
    async with committing(budget_s=1) as desk:
        desk.committer.submit(Told(), [entry(1)])
        (await desk.begun()).fail(Unavailable())
        flush = await desk.begun()
        assert not desk.committer.is_failing
        await asyncio.sleep(2)
        assert desk.committer.is_failing
        flush.succeed()
        await desk.nothing_happens()
        assert not desk.committer.is_failing


@in_virtual_time
async def test_that_nothing_gets_through_is_told_though_nothing_fails_until_something_does() -> None:
    async with committing() as desk:
        desk.committer.submit(Told(), [entry(1)])
        flush = await desk.begun()
        desk.committer.submit(Told(), [entry(1, "other")])
        desk.committer.report_stuck()
        assert [] == desk.faults
        await asyncio.sleep(STUCK_S)
        desk.committer.report_stuck()
        assert ["timeout"] == [fault.reason for fault in desk.faults]
        flush.succeed()
        await desk.begun()
        desk.committer.report_stuck()
        assert 1 == len(desk.faults)


@in_virtual_time
async def test_somebody_elses_write_shows_as_well_that_writes_succeed() -> None:
    """When all that waited was given up, no flush will."""
    async with committing(budget_s=1) as desk:
        desk.committer.submit(Told(), [entry(1)])
        (await desk.begun()).fail(Unavailable())
        await asyncio.sleep(2)
        assert desk.committer.is_failing
        desk.committer.writes_succeed()
        assert not desk.committer.is_failing


# -- the end ------------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_fence_ends_the_lane_and_nobody_is_told() -> None:
    async with committing() as desk:
        room, fault = Told(), Fenced("me")
        desk.committer.submit(room, [entry(1)])
        (await desk.begun()).fail(fault)
        desk.committer.submit(room, [entry(2)])
        await desk.nothing_happens()
        assert (desk.fences, room.all_told) == ([fault], NOTHING)


@in_virtual_time
async def test_a_flush_in_flight_outlives_the_committer() -> None:
    """What was sent cannot be taken back: cancelling who waits for it must not cut it."""
    finished, go_on, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def flush(flushed: Sequence[Entry], lane: Lane) -> None:
        begun.set()
        await go_on.wait()
        finished.set()

    desk = Desk(5.0)
    committer = Committer(flush, desk._settle, 5.0, desk.fences.append, lambda actions, seconds: None, print)
    running = asyncio.create_task(committer.run(Lane.MAIN))
    committer.submit(Told(), [entry(1)])
    await begun.wait()
    running.cancel()
    await asyncio.wait([running])
    go_on.set()
    await asyncio.wait_for(finished.wait(), 5)
