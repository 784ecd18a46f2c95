"""A room's runner: when deltas go out, and what waits for PostgreSQL. In virtual time, so exactly."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from server.core.faults import Fault, Unavailable
from server.core.history import History
from server.core.journal import Entry
from server.core.recovery import Recovery, RoomSnapshot
from server.core.room import Room
from server.runtime.clock import unix_ms
from server.runtime.committer import Committer, Journaled, Lane
from server.runtime.runner import Pace, RoomRunner, Upkeep
from tests.games import Duet, Fragile
from tests.runtime.parts import UNPACED, Tape, add, metrics, seat, send_add
from tests.runtime.virtual_time import in_virtual_time

BUDGET_S = 5.0
PACE = Pace(patch_rate_s=0.05, freshness_s=0.1, snapshot_every=1000)


class Stage:
    """A runner whose flushes a test may hold back, and what it asks of its node."""

    def __init__(self, pace: Pace = PACE, game: type[Duet] | type[Fragile] = Duet) -> None:
        self.metrics = metrics()
        self.journal: list[Entry] = []
        self.saved: list[RoomSnapshot] = []
        self.changed: list[str] = []
        self.broken = self.still = self.failed = 0
        self.may_show = True
        #: Set while PostgreSQL answers; what it answers each flush with, where that is not that it is done.
        self.open = asyncio.Event()
        self.open.set()
        self.fault: Fault | None = None
        self.committer = Committer(
            self._flush, self._settle, BUDGET_S, self._never, lambda actions, seconds: None, lambda fault: None
        )
        self._committing = [asyncio.create_task(self.committer.run(lane)) for lane in Lane]
        self._game = game
        self.runner = RoomRunner(
            Room("r", 1, game(), History(0, 1, 100, 10**6), UNPACED),
            self.committer,
            pace,
            Upkeep(
                refusal=lambda unsubmitted: None,
                seats_changed=lambda runner, session_ids: self.changed.extend(session_ids),
                look_up=lambda runner, question: None,
                recall=lambda runner, question: None,
                save=lambda snapshot: self.saved.append(snapshot),
                broken=self._broke,
                still=self._stands_still,
                failed=self._failed,
                may_show=lambda: self.may_show,
            ),
            self.metrics,
            unix_ms,
            random.Random(1),
            0,
            {},
        )
        self.runner.step(lambda room: room.create({}, unix_ms(), self.runner.random))

    async def _flush(self, entries: Sequence[Entry], lane: Lane) -> None:
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        self.journal.extend(entries)

    async def _settle(self) -> Mapping[Journaled, int]:
        raise AssertionError("nothing here is in doubt")

    def _never(self, fault: Fault) -> None:
        raise AssertionError("nor is anybody fenced")

    def _failed(self, runner: RoomRunner) -> None:
        self.failed += 1
        runner.release()

    def _broke(self, runner: RoomRunner) -> None:
        self.broken += 1

    def _stands_still(self, runner: RoomRunner) -> None:
        self.still += 1

    async def drained(self) -> None:
        """Until all is durable, or given up."""
        while self.committer.pending:
            await asyncio.sleep(0.0001)

    async def settle(self) -> None:
        """Until all is durable and every delta is out."""
        await self.drained()
        await asyncio.sleep(1)

    async def give_up(self) -> None:
        """Let PostgreSQL refuse everything until the budget is over."""
        self.fault = Unavailable("the disk is full", "disk_full")
        while self.committer.pending:
            await asyncio.sleep(0.25)
            self.committer.give_up_late()
        self.fault = None

    def rebuild(self) -> None:
        """The room as its journal has it goes on, in its second epoch."""
        self.runner.go_on(Recovery("r", 2, self._game(), UNPACED, None, unix_ms()).fold(self.journal).room())

    async def end(self) -> None:
        for lane in self._committing:
            lane.cancel()
        await asyncio.gather(*self._committing, return_exceptions=True)


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_change_after_a_quiet_time_goes_out_at_once_and_the_next_at_the_patch_rate() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    began = now()
    add(stage.runner, link, 1)
    await stage.drained()
    add(stage.runner, link, 2)
    await stage.drained()
    add(stage.runner, link, 3)
    await stage.settle()
    times = [at - began for at in link.times("event.state_delta", kind="delta")]
    assert times == pytest.approx([0, 0.05], abs=0.01)
    assert [delta["roomSeq"] for delta in link.of("event.state_delta", kind="delta")] == [3, 5]
    assert stage.metrics.freshness.count() == 0
    await stage.end()


@in_virtual_time
async def test_a_tick_that_was_late_makes_none_after_it_late() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    began = now()
    for seq, pause_s in ((1, 0.06), (2, 0.03), (3, 0)):
        add(stage.runner, link, seq)
        await stage.drained()
        await asyncio.sleep(pause_s)
    await stage.settle()
    times = [at - began for at in link.times("event.state_delta", kind="delta")]
    assert times == pytest.approx([0, 0.06, 0.1], abs=0.005)
    await stage.end()


@in_virtual_time
async def test_a_change_never_waits_longer_than_the_freshness_bound() -> None:
    stage = Stage(Pace(patch_rate_s=0.5, freshness_s=0.1, snapshot_every=1000))
    link = seat(stage.runner, "s")
    await stage.settle()
    add(stage.runner, link, 1)
    await stage.drained()
    began = now()
    for seq in (2, 3):
        add(stage.runner, link, seq)
        await stage.drained()
        await asyncio.sleep(0.06)
    await stage.settle()
    times = [at - began for at in link.times("event.state_delta", kind="delta")]
    assert times == pytest.approx([0, 0.1], abs=0.01)
    assert stage.metrics.freshness.count() == 1
    await stage.end()


@in_virtual_time
async def test_the_bound_counts_from_when_the_change_was_durable() -> None:
    """A slow flush is not stale state: nobody could have been told earlier."""
    stage = Stage(Pace(patch_rate_s=0.5, freshness_s=0.1, snapshot_every=1000))
    link = seat(stage.runner, "s")
    await stage.settle()
    add(stage.runner, link, 1)
    await stage.drained()
    stage.open.clear()
    add(stage.runner, link, 2)
    await asyncio.sleep(0.3)
    durable_at = now()
    stage.open.set()
    await stage.settle()
    assert link.times("event.state_delta", kind="delta")[-1] - durable_at == pytest.approx(0.1, abs=0.01)
    await stage.end()


@in_virtual_time
async def test_at_a_patch_rate_of_zero_each_commit_is_a_delta() -> None:
    stage = Stage(Pace(patch_rate_s=0, freshness_s=0.1, snapshot_every=1000))
    link = seat(stage.runner, "s")
    await stage.drained()
    for seq in (1, 2, 3):
        add(stage.runner, link, seq)
        await stage.drained()
    deltas = link.of("event.state_delta", kind="delta")
    assert [(delta["baseSeq"], delta["roomSeq"]) for delta in deltas] == [(2, 3), (3, 4), (4, 5)]
    await stage.end()


@in_virtual_time
async def test_changes_within_a_tick_are_one_delta_for_everyone() -> None:
    stage = Stage()
    tapes = [seat(stage.runner, "s"), seat(stage.runner, "t")]
    await stage.settle()
    began = now()
    for seq in range(1, 22):
        add(stage.runner, tapes[0], seq)
        await stage.drained()
    await stage.settle()
    for tape in tapes:
        times = [at for at in tape.times("event.state_delta", kind="delta") if at >= began]
        assert all(later - earlier >= 0.049 for earlier, later in pairwise(times))
        assert tape.of("event.state_delta", kind="delta")[-1]["patches"] == [{"total": 21}]
    await stage.end()


@in_virtual_time
async def test_nothing_goes_out_and_nobody_hears_of_a_seat_before_it_is_durable() -> None:
    stage = Stage()
    stage.open.clear()
    link = seat(stage.runner, "s")
    add(stage.runner, link, 1)
    waiting = asyncio.create_task(stage.runner.durable())
    await asyncio.sleep(3)
    assert (link.heard, stage.changed, waiting.done(), stage.runner.is_durable) == ([], ["s"], False, False)
    stage.changed.clear()
    stage.open.set()
    await waiting
    assert stage.changed == ["s"]
    assert [kind for _, kind, _ in link.heard][:3] == ["event.ack", "event.state_delta", "event.ack"]
    await stage.end()


@in_virtual_time
async def test_a_snapshot_is_taken_in_time_and_saved_only_when_it_is_durable() -> None:
    stage = Stage(Pace(patch_rate_s=0.05, freshness_s=0.1, snapshot_every=5))
    link = seat(stage.runner, "s")
    await stage.settle()
    stage.open.clear()
    for seq in range(1, 5):
        add(stage.runner, link, seq)
    await asyncio.sleep(1)
    assert stage.saved == []
    stage.open.set()
    await stage.settle()
    assert [snapshot.room_seq for snapshot in stage.saved] == [5]
    assert stage.saved[0].state == b'{"total":3}', "of the moment it was taken"
    await stage.end()


@in_virtual_time
async def test_a_room_that_broke_is_handed_back_once_all_it_did_is_durable() -> None:
    stage = Stage(game=Fragile)
    link, other = seat(stage.runner, "s"), seat(stage.runner, "t")
    await stage.settle()
    stage.open.clear()
    add(stage.runner, link, 1, 4)
    add(stage.runner, link, 2, 13)
    add(stage.runner, other, 1, 1)
    await asyncio.sleep(1)
    assert (stage.broken, link.closed, stage.runner.takes_input) == (0, None, False)
    stage.open.set()
    await stage.settle()
    assert stage.broken == 1
    assert [ack["seq"] for ack in link.of("event.ack", kind="intent")] == [1]
    assert [reject["code"] for reject in link.of("event.reject")] == ["internal"]
    for tape in (link, other):
        assert tape.closed == (4010, "the room is rebuilt")
        assert tape.of("event.session") == [{"status": "terminating", "reason": "rebuilding"}]
    assert [e.seq for e in stage.journal if e.kind == "intent.add"] == [1], "what raised is not in the journal"
    await stage.end()


@in_virtual_time
async def test_a_released_room_sends_no_delta_and_takes_no_drop() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    add(stage.runner, link, 1)
    await stage.drained()
    add(stage.runner, link, 2)
    await stage.drained()
    before = len(link.of("event.state_delta"))
    stage.runner.release()
    stage.runner.drop(link)
    await asyncio.sleep(1)
    assert len(link.of("event.state_delta")) == before
    assert stage.committer.pending == 0
    await stage.end()


@in_virtual_time
async def test_ack_times_are_counted_once_for_each_intent() -> None:
    stage = Stage()
    link: Tape = seat(stage.runner, "s")
    for seq in range(1, 8):
        add(stage.runner, link, seq)
    add(stage.runner, link, 1)
    await stage.settle()
    page = stage.metrics.render()[0].decode()
    assert "holdfast_ack_seconds_count 7.0" in page
    assert 'holdfast_intents_total{outcome="duplicate",type="intent.add"} 1.0' in page
    await stage.end()


class Cursed(Tape):
    """A link of a bug: it cannot be sent an ack."""

    def send(self, frame: bytes) -> None:
        if b"intent" in frame:
            raise RuntimeError("a bug")
        super().send(frame)


@in_virtual_time
async def test_a_bug_in_what_a_commit_leads_to_ends_its_room_and_not_the_committer() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    link.__class__ = Cursed
    add(stage.runner, link, 1)
    await stage.drained()
    await asyncio.sleep(1)
    assert (stage.failed, stage.runner.is_over) == (1, True)
    assert not any(lane.done() for lane in stage._committing), "the committer goes on"
    await stage.end()


@in_virtual_time
async def test_frames_that_come_together_are_one_turn_and_one_flush_in_their_order() -> None:
    stage = Stage()
    one, other = seat(stage.runner, "one"), seat(stage.runner, "other")
    await stage.settle()
    for seq in (1, 2, 3):
        send_add(stage.runner, one, seq)
        send_add(stage.runner, other, seq)
    assert stage.runner.room.room_seq == 3, "nothing is applied before its turn"
    await stage.settle()
    assert [ack["roomSeq"] for ack in one.of("event.ack", kind="intent")] == [4, 6, 8]
    assert [ack["roomSeq"] for ack in other.of("event.ack", kind="intent")] == [5, 7, 9]
    assert len({*one.times("event.ack", kind="intent"), *other.times("event.ack", kind="intent")}) == 1
    await stage.end()


@in_virtual_time
async def test_a_connection_that_ends_ends_after_what_it_sent() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    send_add(stage.runner, link, 1)
    send_add(stage.runner, link, 2)
    stage.runner.drop(link)
    await stage.settle()
    assert [entry.kind for entry in stage.journal[-3:]] == ["intent.add", "intent.add", "session.drop"]
    await stage.end()


@in_virtual_time
async def test_a_room_that_is_over_takes_in_nothing() -> None:
    stage = Stage()
    link = seat(stage.runner, "s")
    await stage.settle()
    send_add(stage.runner, link, 1)
    stage.runner.release()
    await stage.settle()
    assert stage.runner.room.room_seq == len(stage.journal) == 2
    await stage.end()
