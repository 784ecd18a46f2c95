"""
The committer under random faults, in virtual time: whatever PostgreSQL does, and whenever its answers get lost.

PostgreSQL is a journal that takes each flush whole or not, may do so late, and may not say. Rooms go on as real ones
do: set back, they stand still until nothing of theirs is pending, and then go on from the journal.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.faults import Fault, OutcomeUnknown, Poisoned, TookTooLong, Unavailable
from server.core.journal import Entry
from server.runtime.committer import Committer, Journaled, Lane
from tests.runtime.desk import entry
from tests.runtime.virtual_time import in_virtual_time

BUDGET_S = 1.0
BAD = b"what PostgreSQL refuses"
FAULTS: tuple[type[Fault], ...] = (Unavailable, TookTooLong, OutcomeUnknown)


class Postgres:
    """Journals of rooms, and the fate of flushes; well once `is_well`."""

    def __init__(self, chance: random.Random, trouble: float) -> None:
        self.journals: dict[str, list[int]] = {}
        self.is_well = False
        self._chance = chance
        self._trouble = trouble
        #: Sent, of unknown outcome, and not fenced yet.
        self._at_large: list[Sequence[Entry]] = []
        self._in_flight = dict.fromkeys(Lane, False)

    def end(self, room_id: str) -> int:
        return len(self.journals.setdefault(room_id, []))

    async def flush(self, entries: Sequence[Entry], lane: Lane) -> None:
        assert not self._in_flight[lane], "one at a time in each lane"
        assert not self._at_large, "nothing is sent while something is in doubt"
        self._in_flight[lane] = True
        try:
            await asyncio.sleep(self._chance.choice((0.0, 0.001, 0.01, 0.3)))
            if any(sent.patch == BAD for sent in entries):
                raise Poisoned
            fault = self._fate()
            if fault is OutcomeUnknown and self._chance.random() < 0.5:
                self._at_large.append(entries)
            elif fault is None or fault is OutcomeUnknown:
                self._write(entries)
            if fault is not None:
                raise fault
        finally:
            self._in_flight[lane] = False

    def _fate(self) -> type[Fault] | None:
        is_troubled = not self.is_well and self._chance.random() < self._trouble
        return self._chance.choice(FAULTS) if is_troubled else None

    def fence(self) -> None:
        """What is at large lands now, or never will."""
        landing, self._at_large = self._at_large, []
        for entries in landing:
            if self._chance.random() < 0.5:
                self._write(entries)

    def _write(self, entries: Sequence[Entry]) -> None:
        for written in entries:
            assert written.room_seq == self.end(written.room_id) + 1, "no gap, no duplicate"
            self.journals[written.room_id].append(written.room_seq)


class Player:
    """A room that is played in."""

    def __init__(self, room_id: str, postgres: Postgres, committer: Committer) -> None:
        self.room_id = room_id
        self.applied = self.durable = 0
        self.is_still = self.is_over = False
        self._postgres = postgres
        self._committer = committer

    def act(self, count: int, is_bad: bool) -> None:
        self.go_on()
        if self.is_over or self.is_still:
            return
        seqs = range(self.applied + 1, self.applied + count + 1)
        patch = BAD if is_bad else None
        self._committer.submit(self, [entry(seq, self.room_id, patch if seq == seqs[-1] else None) for seq in seqs])
        self.applied = seqs[-1]

    def go_on(self) -> None:
        """If it stands still and may be rebuilt: claimed, and read from its journal."""
        if self.is_still and not self.is_over and not self._committer.has_pending(self):
            self._committer.writes_succeed()
            self.is_still = False
            self.applied = self.durable = self._postgres.end(self.room_id)

    def committed(self, room_seq: int) -> None:
        assert self.durable < room_seq <= self.applied
        assert room_seq <= self._postgres.end(self.room_id), "told before it is durable"
        self.durable = room_seq

    def given_up(self, room_seq: int) -> None:
        assert self.durable <= room_seq < self.applied
        self.applied = room_seq
        self.is_still = True

    def poisoned(self, fault: Poisoned) -> None:
        self.applied = self.durable
        self.is_over = True


async def play(chance: random.Random, trouble: float, poison: float) -> None:
    postgres = Postgres(chance, trouble)
    players: list[Player] = []

    async def settle() -> Mapping[Journaled, int]:
        await asyncio.sleep(chance.choice((0.0, 0.01, 2.0)))
        postgres.fence()
        ends: dict[Journaled, int] = {}
        for player in players:
            if chance.random() < 0.05:
                player.is_over = True
                committer.forget(player)
            else:
                ends[player] = postgres.end(player.room_id)
        return ends

    async def sweep() -> None:
        while True:
            await asyncio.sleep(0.25)
            committer.give_up_late()

    committer = Committer(postgres.flush, settle, BUDGET_S, _never, lambda actions, seconds: None, lambda fault: None)
    running = [asyncio.create_task(task) for task in (sweep(), *(committer.run(lane) for lane in Lane))]
    players += [Player(f"room {n}", postgres, committer) for n in range(4)]
    for _ in range(chance.randrange(5, 60)):
        chance.choice(players).act(chance.choice((1, 1, 2, 9)), chance.random() < poison)
        await asyncio.sleep(chance.choice((0.0, 0.0, 0.003, 0.1, 0.7)))
    postgres.is_well = True
    await asyncio.sleep(60)
    for player in players:
        player.go_on()
        assert not committer.has_pending(player)
        assert player.is_over or player.durable == player.applied == postgres.end(player.room_id)
        assert player.durable <= postgres.end(player.room_id)
    assert (committer.pending, committer.is_failing) == (0, False)
    assert [task for task in running if task.done()] == []
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _never(fault: Fault) -> None:
    raise AssertionError("nobody fenced it")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((0.0, 0.2, 0.6, 0.95)), st.sampled_from((0.0, 0.05)))
def test_every_room_is_told_exactly_what_is_in_its_journal(seed: int, trouble: float, poison: float) -> None:
    in_virtual_time(play)(random.Random(seed), trouble, poison)
