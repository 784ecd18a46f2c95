"""
Sequences: each number one outcome, however often and in whatever order it is sent.
"""

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contracts.codes import RejectCode
from server.core.sequence import Applied, IntentSequence, Look, Refused

REFUSED = Refused(RejectCode.ILLEGAL, "no")
NOT_DURABLE = Refused(RejectCode.NOT_DURABLE, "too late")


def test_the_first_number_is_one_and_what_is_ahead_of_it_a_gap() -> None:
    sequence = IntentSequence(8)
    assert [Look.NEXT, Look.GAP] == [sequence.look(1), sequence.look(2)]


def test_a_number_with_an_outcome_keeps_it() -> None:
    sequence = IntentSequence(8)
    sequence.settle(1, Applied(5))
    sequence.settle(2, REFUSED)
    assert [Applied(5), REFUSED, Look.NEXT] == [sequence.look(seq) for seq in (1, 2, 3)]


def test_outcomes_are_given_in_order_and_once() -> None:
    sequence = IntentSequence(8)
    for seq in (0, 2):
        with pytest.raises(AssertionError):
            sequence.settle(seq, REFUSED)


def test_the_oldest_outcome_is_forgotten_first() -> None:
    sequence = IntentSequence(2)
    for seq in (1, 2, 3):
        sequence.settle(seq, Applied(seq))
    assert [Look.FORGOTTEN, Applied(2), Applied(3)] == [sequence.look(seq) for seq in (1, 2, 3)]
    assert {3: Applied(3)} == sequence.recent(1)
    assert {2: Applied(2), 3: Applied(3)} == sequence.recent(9)


def test_numbers_that_the_journal_skips_are_forgotten_rejects() -> None:
    sequence = IntentSequence(8)
    sequence.found(1, 10)
    sequence.found(4, 11)
    assert [Applied(10), Look.FORGOTTEN, Look.FORGOTTEN, Applied(11)] == [sequence.look(seq) for seq in (1, 2, 3, 4)]
    assert 4 == sequence.last


def test_a_client_can_move_its_sequence_on_and_never_back() -> None:
    sequence = IntentSequence(8)
    sequence.skip_to(3)
    sequence.skip_to(1)
    assert [Look.FORGOTTEN, Look.NEXT] == [sequence.look(3), sequence.look(4)]


def test_what_it_remembers_is_bounded_and_small() -> None:
    """Eight bytes an outcome, and at most twice as many as are remembered; whatever the client claims."""
    tracemalloc.start()
    try:
        sequences = [IntentSequence(512) for _ in range(20)]
        for sequence in sequences:
            for seq in range(1, 2_000):
                sequence.applied(seq, 10**6 + seq)
            for _ in range(100):
                sequence.skip_to(sequence.last + 511)
        each = tracemalloc.get_traced_memory()[0] / len(sequences)
    finally:
        tracemalloc.stop()
    assert each < 12 * 1024


class Resent(RuleBasedStateMachine):
    """A client that sends numbers again and out of order, and a server that forgets and crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = IntentSequence(4)
        #: The truth: by number, its one outcome; those applied are in the journal too.
        self.outcomes: dict[int, Applied | Refused] = {}
        self.effects = 0

    @rule(seq=st.integers(1, 14), is_refused=st.booleans())
    def send(self, seq: int, is_refused: bool) -> None:
        look = self.sequence.look(seq)
        if look is Look.NEXT:
            assert seq not in self.outcomes
            self.effects += not is_refused
            self.outcomes[seq] = REFUSED if is_refused else Applied(self.effects)
            self.sequence.settle(seq, self.outcomes[seq])
        elif look is Look.GAP:
            assert seq - 1 not in self.outcomes
        elif look is Look.FORGOTTEN:
            assert seq in self.outcomes
        else:
            assert self.outcomes[seq] == look

    @rule()
    def crash(self) -> None:
        """The journal knows what was applied, the client what it was answered."""
        self.sequence = IntentSequence(4)
        for seq, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, Applied):
                self.sequence.found(seq, outcome.room_seq)
        self.sequence.skip_to(max(self.outcomes, default=0))

    @rule(back=st.integers(0, 3))
    def roll_back(self, back: int) -> None:
        """The last actions never became durable."""
        self.effects = max(0, self.effects - back)
        self.sequence.roll_back(self.effects, NOT_DURABLE)
        for seq, outcome in self.outcomes.items():
            if isinstance(outcome, Applied) and outcome.room_seq > self.effects:
                self.outcomes[seq] = NOT_DURABLE

    @rule(kept=st.integers(1, 4))
    def restore(self, kept: int) -> None:
        """From a snapshot."""
        self.sequence = IntentSequence(4, self.sequence.last, self.sequence.recent(kept))

    @invariant()
    def the_newest_outcomes_are_remembered(self) -> None:
        assert max(self.outcomes, default=0) == self.sequence.last
        assert len(self.sequence.recent(99)) <= 4


TestResent = Resent.TestCase
TestResent.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
