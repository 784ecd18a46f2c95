"""
Sequence: the numbers of one session's intents, each with exactly one outcome.

    look(seq)     NEXT        the one number that may be judged and applied
                  GAP         ahead of it; consumes nothing
                  an outcome  answered before (or applied and not yet durable): the same answer again
                  FORGOTTEN   answered, but no longer remembered here: the journal knows

It is looked at before anything else, so that a resent number can never be refused for rate or
load, sent again under a new one by its client, and take effect twice.
"""

from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from itertools import islice

import msgspec

from contracts.codes import RejectCode


class Applied(msgspec.Struct, frozen=True):
    room_seq: int


class Refused(msgspec.Struct, frozen=True):
    code: RejectCode
    message: str


Outcome = Applied | Refused


class Look(Enum):
    NEXT = 1
    GAP = 2
    FORGOTTEN = 3


class IntentSequence:
    """`last` is the highest number that has an outcome; at most `outcomes_max` outcomes are remembered."""

    __slots__ = ("_outcomes", "_outcomes_max", "last")

    def __init__(self, outcomes_max: int, last: int = 0, outcomes: Mapping[int, Outcome] | None = None) -> None:
        self.last = last
        self._outcomes_max = outcomes_max
        #: Ordered, for a plain dict is slow to say which of its entries is the oldest once many have gone.
        self._outcomes: OrderedDict[int, Outcome] = OrderedDict(outcomes or {})

    def look(self, seq: int) -> Look | Outcome:
        """What `seq` (at least 1) is. Changes nothing."""
        if seq == self.last + 1:
            return Look.NEXT
        if seq > self.last:
            return Look.GAP
        return self._outcomes.get(seq) or Look.FORGOTTEN

    def settle(self, seq: int, outcome: Outcome) -> None:
        """Give the next number its outcome."""
        assert seq == self.last + 1, "outcomes are given in order"
        self.last = seq
        self._outcomes[seq] = outcome
        if len(self._outcomes) > self._outcomes_max:
            self._outcomes.popitem(last=False)

    def found(self, seq: int, room_seq: int) -> None:
        """The journal holds `seq` at `room_seq`; told in the journal's order. Numbers skipped were rejects."""
        self.last = seq - 1
        self.settle(seq, Applied(room_seq))

    def roll_back(self, room_seq: int, outcome: Refused) -> None:
        """What was applied after `room_seq` never became durable: that is its outcome now; nobody was told another."""
        for seq, told in self._outcomes.items():
            if isinstance(told, Applied) and told.room_seq > room_seq:
                self._outcomes[seq] = outcome

    def overrule(self, seq: int, outcome: Refused) -> None:
        """The same for a number whose reject rested on what never became durable."""
        if seq in self._outcomes:
            self._outcomes[seq] = outcome

    def skip_to(self, last: int) -> None:
        """The client holds outcomes up to `last`, which a crash may have made us forget."""
        self.last = max(self.last, last)

    def recent(self, count: int) -> dict[int, Outcome]:
        """The newest outcomes, oldest first."""
        newest = list(islice(reversed(self._outcomes.items()), count))
        return dict(reversed(newest))
