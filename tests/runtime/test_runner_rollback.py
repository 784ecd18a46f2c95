"""A room's runner when actions cannot be written, or nothing may be shown. In virtual time, so exactly."""

import asyncio

import pytest

from contracts import limits
from server.core.faults import Poisoned, Unavailable
from server.runtime.runner import Pace
from tests.runtime.parts import Tape, add, seat, send_add
from tests.runtime.test_runner import BUDGET_S, Stage
from tests.runtime.virtual_time import in_virtual_time


def heard_since(link: Tape, mark: int) -> list[str]:
    return [kind for _, kind, _ in link.heard[mark:]]


async def rolled_back(stage: Stage) -> tuple[Tape, Tape]:
    """Two sessions; of the first one's three adds the last two were given up."""
    link, other = seat(stage.runner, "s"), seat(stage.runner, "t")
    add(stage.runner, link, 1, 5)
    await stage.settle()
    for seq in (2, 3):
        add(stage.runner, link, seq)
    await stage.give_up()
    return link, other


@in_virtual_time
async def test_what_was_not_written_in_time_is_rejected_at_once_and_the_room_stands_still() -> None:
    stage = Stage()
    link, other = await rolled_back(stage)
    assert [(r["seq"], r["code"]) for r in link.of("event.reject")] == [(2, "not_durable"), (3, "not_durable")]
    assert [ack["seq"] for ack in link.of("event.ack", kind="intent")] == [1]
    assert (stage.still, stage.runner.room.is_still, stage.runner.is_durable) == (1, True, True)
    assert (link.closed, other.closed) == (None, None)
    marks = len(link.heard), len(other.heard)
    add(stage.runner, link, 4)
    await asyncio.sleep(3)
    assert [(r["seq"], r["code"], r["retryable"]) for r in link.of("event.reject")[2:]] == [(4, "degraded", True)]
    assert (heard_since(link, marks[0]), heard_since(other, marks[1])) == (["event.reject"], [])
    assert "holdfast_rollbacks_total 1.0" in stage.metrics.render()[0].decode()
    await stage.end()


@in_virtual_time
async def test_what_waits_for_its_turn_is_not_applied_on_top_of_what_is_set_back() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    stage.fault = Unavailable("the disk is full", "disk_full")
    add(stage.runner, link, 1)
    await asyncio.sleep(BUDGET_S + 0.1)
    send_add(stage.runner, link, 2)
    stage.committer.give_up_late()
    assert (stage.runner.room.is_still, stage.committer.pending) == (True, 0)
    await asyncio.sleep(1)
    assert stage.committer.pending == 0, "nothing of a gap's other side waits to be written"
    assert [(r["seq"], r["code"]) for r in link.of("event.reject")] == [(1, "not_durable"), (2, "degraded")]
    await stage.end()


@in_virtual_time
async def test_each_of_more_numbers_than_are_remembered_gets_its_reject() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    count = limits.OUTCOMES_MAX + 50
    stage.open.clear()
    for seq in range(1, count + 1):
        add(stage.runner, link, seq)
    stage.open.set()
    await stage.give_up()
    rejects = [(reject["seq"], reject["code"]) for reject in link.of("event.reject")]
    assert rejects == [(seq, "not_durable") for seq in range(1, count + 1)]
    await stage.end()


@in_virtual_time
async def test_a_rebuilt_room_goes_on_with_everyone_and_shows_each_a_snapshot_of_what_is_durable() -> None:
    stage = Stage()
    link, other = await rolled_back(stage)
    marks = len(link.heard), len(other.heard)
    stage.rebuild()
    await stage.settle()
    for tape, mark in zip((link, other), marks, strict=True):
        assert heard_since(tape, mark) == ["event.state_delta"]
        snapshot = tape.of("event.state_delta", kind="snapshot")[-1]
        assert (snapshot["roomSeq"], snapshot["epoch"], snapshot["state"]) == (4, 1, {"total": 5})
    add(stage.runner, link, 4, 10)
    add(stage.runner, link, 3)
    await stage.settle()
    assert [(ack["seq"], ack["roomSeq"]) for ack in link.of("event.ack", kind="intent")] == [(1, 4), (4, 5)]
    assert link.of("event.reject")[-1]["code"] == "not_durable", "a number has one outcome"
    assert other.of("event.state_delta", kind="delta")[-1]["patches"] == [{"total": 15}]
    assert (link.closed, other.closed) == (None, None)
    await stage.end()


@in_virtual_time
async def test_whose_join_was_not_durable_is_sent_away_to_come_again() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    stage.open.clear()
    newcomer = seat(stage.runner, "t")
    stage.open.set()
    await stage.give_up()
    stage.changed.clear()
    stage.rebuild()
    await stage.settle()
    assert newcomer.of("event.ack") == []
    assert newcomer.closed is not None
    assert (newcomer.closed[0], link.closed) == (4010, None)
    assert sorted(stage.changed) == ["s", "t"], "also that there is no such session"
    assert [s.session_id for s in stage.runner.room.seats] == ["s"]
    await stage.end()


@in_virtual_time
async def test_a_socket_that_is_lost_while_the_room_stands_still_is_a_drop_once_it_goes_on() -> None:
    stage = Stage()
    link, other = await rolled_back(stage)
    stage.runner.drop(other)
    stage.rebuild()
    await stage.settle()
    assert [(e.kind, e.session_id, e.epoch) for e in stage.journal[-1:]] == [("session.drop", "t", 2)]
    assert link.of("event.state_delta", kind="snapshot")[-1]["state"] == {"total": 5}
    await stage.end()


@in_virtual_time
async def test_who_waits_for_all_to_be_durable_learns_that_some_was_given_up() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    stage.open.clear()
    add(stage.runner, link, 1)
    waiting = asyncio.create_task(stage.runner.durable())
    await asyncio.sleep(0)
    stage.open.set()
    await stage.give_up()
    with pytest.raises(Unavailable):
        await waiting
    await stage.runner.durable()
    await stage.end()


@in_virtual_time
async def test_who_waits_for_all_to_be_durable_learns_that_the_room_was_released() -> None:
    stage = Stage()
    stage.open.clear()
    seat(stage.runner, "s")
    waiting = asyncio.create_task(stage.runner.durable())
    await asyncio.sleep(0)
    stage.committer.forget(stage.runner)
    stage.runner.release()
    with pytest.raises(Unavailable):
        await waiting
    await stage.end()


@in_virtual_time
async def test_a_snapshot_of_what_was_given_up_is_not_saved_and_the_next_one_is() -> None:
    stage = Stage(Pace(patch_rate_s=0.05, freshness_s=0.1, snapshot_every=4))
    link = seat(stage.runner, "s")
    await stage.settle()
    stage.fault = Unavailable()
    for seq in (1, 2):
        add(stage.runner, link, seq, 100)
    await stage.give_up()
    stage.rebuild()
    for seq in range(3, 9):
        add(stage.runner, link, seq)
    await stage.settle()
    assert [(snapshot.room_seq, snapshot.state) for snapshot in stage.saved] == [(4, b'{"total":2}')]
    await stage.end()


@in_virtual_time
async def test_what_was_given_up_counts_in_no_time_of_acks() -> None:
    stage = Stage()
    link, _ = await rolled_back(stage)
    stage.rebuild()
    add(stage.runner, link, 4)
    await stage.settle()
    assert "holdfast_ack_seconds_count 2.0" in stage.metrics.render()[0].decode()
    await stage.end()


@in_virtual_time
async def test_a_room_whose_entry_nobody_can_write_is_set_back_and_nobody_is_sent_away() -> None:
    stage = Stage()
    link, other = seat(stage.runner, "s"), seat(stage.runner, "t")
    await stage.settle()
    stage.fault = Poisoned()
    add(stage.runner, link, 1)
    await stage.drained()
    stage.fault = None
    await stage.settle()
    assert [(reject["seq"], reject["code"]) for reject in link.of("event.reject")] == [(1, "internal")]
    assert (stage.broken, stage.still, stage.runner.takes_input) == (0, 1, False)
    assert (link.closed, other.closed) == (None, None)
    await stage.end()


@in_virtual_time
async def test_without_a_lease_only_what_says_nothing_of_the_room_is_shown_and_then_all_in_order() -> None:
    stage = Stage()
    link, other = seat(stage.runner, "s"), seat(stage.runner, "t")
    await stage.settle()
    marks = len(link.heard), len(other.heard)
    stage.may_show = False
    add(stage.runner, link, 1, 5)
    add(stage.runner, link, 2, 6)
    add(stage.runner, link, 9)
    await stage.settle()
    stage.runner.sweep()
    assert (heard_since(link, marks[0]), heard_since(other, marks[1])) == (["event.reject"], [])
    assert link.of("event.reject")[-1]["code"] == "gap"
    assert stage.committer.pending == 0, "it is durable all the same"
    stage.may_show = True
    await stage.settle()
    assert heard_since(link, marks[0])[1:] == ["event.ack", "event.ack", "event.state_delta"]
    assert [ack["seq"] for ack in link.of("event.ack", kind="intent")] == [1, 2]
    assert other.of("event.state_delta", kind="delta")[-1]["patches"] == [{"total": 11}]
    await stage.end()


@in_virtual_time
async def test_without_a_lease_a_newcomer_waits_too() -> None:
    stage = Stage()
    await stage.settle()
    stage.may_show = False
    link = seat(stage.runner, "s")
    await stage.settle()
    assert link.heard == []
    stage.may_show = True
    stage.runner.sweep()
    assert heard_since(link, 0) == ["event.ack", "event.state_delta"]
    await stage.end()
