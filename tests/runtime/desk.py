"""A group committer whose flushes a test judges, and rooms that note what they are told."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from server.core.faults import Fault, Fenced, Poisoned
from server.core.journal import Entry
from server.runtime.committer import Committer, Journaled, Lane
from tests.runtime.virtual_time import patience


def entry(room_seq: int, room_id: str = "r", patch: bytes | None = None) -> Entry:
    return Entry(room_id=room_id, room_seq=room_seq, epoch=1, kind="intent.add", at=0, patch=patch)


def entries(room_id: str, *room_seqs: int) -> list[Entry]:
    return [entry(room_seq, room_id) for room_seq in room_seqs]


class Told:
    """A room that notes what it is told."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.given_up_after: list[int] = []
        self.poison: list[Poisoned] = []

    def committed(self, room_seq: int) -> None:
        self.seqs.append(room_seq)

    def given_up(self, room_seq: int) -> None:
        self.given_up_after.append(room_seq)

    def poisoned(self, fault: Poisoned) -> None:
        self.poison.append(fault)

    @property
    def all_told(self) -> tuple[list[int], list[int], list[Poisoned]]:
        return self.seqs, self.given_up_after, self.poison


NOTHING: tuple[list[int], list[int], list[Poisoned]] = ([], [], [])


class Flush:
    """One that waits for its verdict."""

    def __init__(self, flushed: Sequence[Entry], lane: Lane) -> None:
        self.entries = flushed
        self.lane = lane
        self.verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def rows(self) -> list[tuple[str, int]]:
        return [(e.room_id, e.room_seq) for e in self.entries]

    @property
    def seqs(self) -> list[int]:
        return [e.room_seq for e in self.entries]

    def succeed(self) -> None:
        self.verdict.set_result(None)

    def fail(self, fault: Fault) -> None:
        self.verdict.set_exception(fault)


class Desk:
    """The committer, and everything it asks for."""

    def __init__(self, budget_s: float) -> None:
        self.flushes: list[Flush] = []
        self.commits: list[int] = []
        self.faults: list[Fault] = []
        self.fences: list[Fenced] = []
        self.settlements = 0
        self._begun: asyncio.Queue[Flush] = asyncio.Queue()
        self._settling: asyncio.Queue[asyncio.Future[Mapping[Journaled, int]]] = asyncio.Queue()
        self.committer = Committer(
            self._flush,
            self._settle,
            budget_s,
            self.fences.append,
            lambda actions, seconds: self.commits.append(actions),
            self.faults.append,
        )

    async def _flush(self, flushed: Sequence[Entry], lane: Lane) -> None:
        flush = Flush(list(flushed), lane)
        self.flushes.append(flush)
        self._begun.put_nowait(flush)
        await flush.verdict

    async def _settle(self) -> Mapping[Journaled, int]:
        self.settlements += 1
        ends: asyncio.Future[Mapping[Journaled, int]] = asyncio.get_running_loop().create_future()
        self._settling.put_nowait(ends)
        return await ends

    async def begun(self) -> Flush:
        """The next flush, which is in flight by now."""
        return await patience(self._begun.get())

    async def settling(self) -> "asyncio.Future[Mapping[Journaled, int]]":
        """A settlement, which has begun, and is to be answered."""
        return await patience(self._settling.get())

    async def flushed(self, count: int = 1) -> list[Flush]:
        """The next flushes, each of which succeeds."""
        done = []
        for _ in range(count):
            done.append(await self.begun())
            done[-1].succeed()
        return done

    async def nothing_happens(self) -> None:
        """For a good while nothing is flushed, and nothing settled."""
        before = len(self.flushes), self.settlements
        await asyncio.sleep(60)
        assert before == (len(self.flushes), self.settlements)


@asynccontextmanager
async def committing(budget_s: float = 5.0) -> AsyncIterator[Desk]:
    desk = Desk(budget_s)
    running = [asyncio.create_task(desk.committer.run(lane)) for lane in Lane]
    yield desk
    for lane in running:
        lane.cancel()
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert [] == [error for error in ended if isinstance(error, Exception)]
