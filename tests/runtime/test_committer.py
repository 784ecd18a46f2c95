"""The group committer: what goes into a flush, who is told, and what ends it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from contracts import limits
from server.core.faults import Fault, Fenced, OutcomeUnknown, Poisoned, Unavailable
from server.core.journal import Entry
from server.runtime.committer import Committer


def entry(room_seq: int, room_id: str = "r", patch: bytes | None = None) -> Entry:
    return Entry(room_id=room_id, room_seq=room_seq, epoch=1, kind="intent.add", at=0, patch=patch)


class Told:
    """A room that notes what it is told."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def committed(self, room_seq: int) -> None:
        self.seqs.append(room_seq)


class Table:
    """Takes flushes: each waits for its verdict, None or a fault."""

    def __init__(self) -> None:
        self.flushes: list[list[Entry]] = []
        self._begun = asyncio.Event()
        self._verdicts: asyncio.Queue[Fault | None] = asyncio.Queue()

    async def flush(self, entries: Sequence[Entry]) -> None:
        self.flushes.append(list(entries))
        self._begun.set()
        fault = await self._verdicts.get()
        if fault is not None:
            raise fault

    def answer(self, *verdicts: Fault | None) -> None:
        for verdict in verdicts:
            self._verdicts.put_nowait(verdict)

    async def begun(self) -> None:
        """Wait for the next flush."""
        await asyncio.wait_for(self._begun.wait(), 5)
        self._begun.clear()


class Desk:
    def __init__(self, budget_s: float) -> None:
        self.table = Table()
        self.doubts: list[Fault] = []
        self.doubted = asyncio.Event()
        self.commits: list[int] = []
        self.committer = Committer(
            self.table.flush, budget_s, self._doubt, lambda actions, seconds: self.commits.append(actions)
        )

    def _doubt(self, fault: Fault) -> None:
        self.doubts.append(fault)
        self.doubted.set()


@asynccontextmanager
async def committing(budget_s: float = 5.0) -> AsyncIterator[Desk]:
    desk = Desk(budget_s)
    running = asyncio.create_task(desk.committer.run())
    yield desk
    running.cancel()
    await asyncio.wait([running])


async def test_what_comes_while_a_flush_is_in_flight_goes_together_into_the_next() -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        await desk.table.begun()
        for room_seq in range(2, 12):
            desk.committer.submit(room, [entry(room_seq)])
        assert (room.seqs, desk.committer.pending) == ([], 11)
        desk.table.answer(None, None)
        await desk.committer.drained()
        assert [[e.room_seq for e in flush] for flush in desk.table.flushes] == [[1], list(range(2, 12))]
        assert room.seqs == [1, 11]
        assert (desk.commits, desk.committer.pending) == ([1, 10], 0)


async def test_each_room_is_told_its_own_last_number_and_once() -> None:
    async with committing() as desk:
        one, other = Told(), Told()
        desk.committer.submit(one, [entry(1, "a"), entry(2, "a")])
        desk.committer.submit(other, [entry(7, "b")])
        desk.committer.submit(one, [entry(3, "a")])
        desk.table.answer(None)
        await desk.committer.drained()
        assert len(desk.table.flushes) == 1
        assert (one.seqs, other.seqs) == ([3], [7])


async def test_a_flush_is_bounded_in_rows_and_keeps_the_order() -> None:
    async with committing() as desk:
        count = 2 * limits.FLUSH_ROWS_MAX + 5
        desk.committer.submit(Told(), [entry(room_seq) for room_seq in range(1, count + 1)])
        desk.table.answer(None, None, None)
        await desk.committer.drained()
        assert [len(flush) for flush in desk.table.flushes] == [limits.FLUSH_ROWS_MAX, limits.FLUSH_ROWS_MAX, 5]
        assert [e.room_seq for flush in desk.table.flushes for e in flush] == list(range(1, count + 1))


async def test_a_flush_is_bounded_in_bytes_by_at_most_one_entry() -> None:
    async with committing() as desk:
        patch = b"x" * (limits.FLUSH_BYTES_MAX // 2)
        desk.committer.submit(Told(), [entry(room_seq, patch=patch) for room_seq in range(1, 6)])
        desk.table.answer(None, None, None)
        await desk.committer.drained()
        assert [len(flush) for flush in desk.table.flushes] == [2, 2, 1]


async def test_a_flush_that_surely_did_not_happen_is_tried_again_and_nobody_is_told_before() -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, [entry(1), entry(2)])
        desk.table.answer(Unavailable(), Unavailable())
        for _ in range(3):
            await desk.table.begun()
            assert room.seqs == []
        desk.committer.submit(room, [entry(3)])
        desk.table.answer(None, None)
        await desk.committer.drained()
        assert [[e.room_seq for e in flush] for flush in desk.table.flushes] == [[1, 2]] * 3 + [[3]]
        assert (room.seqs, desk.doubts) == ([2, 3], [])


@pytest.mark.parametrize("fault", [OutcomeUnknown(), Fenced(), Poisoned()], ids=lambda fault: type(fault).__name__)
async def test_any_doubt_ends_it_and_nobody_is_told(fault: Fault) -> None:
    async with committing() as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        await desk.table.begun()
        desk.committer.submit(room, [entry(2)])
        desk.table.answer(fault, None, None)
        await asyncio.wait_for(desk.doubted.wait(), 5)
        desk.committer.submit(room, [entry(3)])
        await asyncio.sleep(0)
        assert (desk.doubts, room.seqs, len(desk.table.flushes)) == ([fault], [], 1)


async def test_past_the_budget_a_refusal_is_a_doubt() -> None:
    async with committing(budget_s=0) as desk:
        room = Told()
        desk.committer.submit(room, [entry(1)])
        desk.table.answer(Unavailable())
        await asyncio.wait_for(desk.doubted.wait(), 5)
        assert (room.seqs, len(desk.table.flushes)) == ([], 1)


async def test_a_flush_in_flight_outlives_the_committer() -> None:
    """What was sent cannot be taken back: cancelling who waits for it must not cut it."""
    finished = asyncio.Event()
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def flush(entries: Sequence[Entry]) -> None:
        begun.set()
        await go_on.wait()
        finished.set()

    committer = Committer(flush, 5.0, lambda fault: None, lambda actions, seconds: None)
    running = asyncio.create_task(committer.run())
    committer.submit(Told(), [entry(1)])
    await begun.wait()
    running.cancel()
    await asyncio.wait([running])
    go_on.set()
    await asyncio.wait_for(finished.wait(), 5)
