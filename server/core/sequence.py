"""
Sequence: the numbers of one session's intents, each with exactly one outcome.

    look(seq)     NEXT        the one number that may be judged and applied
                  GAP         ahead of it; consumes nothing
                  an outcome  answered before (or applied and not yet durable): the same answer again
                  FORGOTTEN   answered, but no longer remembered here: the journal knows

It is looked at before anything else, so that a resent number can never be refused for rate or
load, sent again under a new one by its client, and take effect twice.

Nearly all outcomes are roomSeqs, so these are kept as numbers in a row: eight bytes each, where a node has thousands of
sessions with hundreds of outcomes each.
"""

from array import array
from collections.abc import Mapping
from enum import Enum

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
    """`last` is the highest number that has an outcome; those of the newest `outcomes_max` numbers are remembered."""

    __slots__ = ("_forget_at", "_outcomes_max", "_refused", "_room_seqs", "last")

    def __init__(self, outcomes_max: int, last: int = 0, outcomes: Mapping[int, Outcome] | None = None) -> None:
        """`outcomes` in the order of their numbers."""
        self._outcomes_max = outcomes_max
        #: Of `last` and the numbers before it, where each was applied, the oldest first; 0 for one that was not.
        self._room_seqs = array("q")
        self._refused: dict[int, Refused] = {}
        self.last = min(outcomes) - 1 if outcomes else last
        self._forget_at = self.last + 2 * outcomes_max
        for seq, outcome in (outcomes or {}).items():
            self.skip_to(seq - 1)
            self.settle(seq, outcome)
        self.skip_to(last)

    def look(self, seq: int) -> Look | Outcome:
        """What `seq` (at least 1) is. Changes nothing."""
        if seq == self.last + 1:
            return Look.NEXT
        if seq > self.last:
            return Look.GAP
        if seq not in self._remembered():
            return Look.FORGOTTEN
        return self._outcome(seq) or Look.FORGOTTEN

    def settle(self, seq: int, outcome: Outcome) -> None:
        """Give the next number its outcome."""
        if isinstance(outcome, Applied):
            self.applied(seq, outcome.room_seq)
        else:
            self.applied(seq, 0)
            self._refused[seq] = outcome

    def applied(self, seq: int, room_seq: int) -> None:
        """The next number was applied there; a roomSeq is at least 1."""
        assert seq == self.last + 1, "outcomes are given in order"
        self.last = seq
        self._room_seqs.append(room_seq)
        if seq >= self._forget_at:
            self._forget()

    def found(self, seq: int, room_seq: int) -> None:
        """The journal holds `seq` at `room_seq`; told in the journal's order. Numbers skipped were rejects."""
        if seq > self.last + 1:
            self.skip_to(seq - 1)
        self.applied(seq, room_seq)

    def roll_back(self, room_seq: int, outcome: Refused) -> None:
        """What was applied after `room_seq` never became durable: that is its outcome now; nobody was told another."""
        for seq in self._remembered():
            if self._room_seqs[seq - self.last - 1] > room_seq:
                self._overrule(seq, outcome)

    def overrule(self, seq: int, outcome: Refused) -> None:
        """The same for a number whose reject rested on what never became durable."""
        if seq in self._remembered() and self._outcome(seq) is not None:
            self._overrule(seq, outcome)

    def skip_to(self, last: int) -> None:
        """The client holds outcomes up to `last`, which a crash may have made us forget."""
        skipped = last - self.last
        if skipped >= self._outcomes_max:
            del self._room_seqs[:]
            self._refused.clear()
        elif skipped > 0:
            self._room_seqs.extend([0] * skipped)
        self.last = max(self.last, last)
        if last >= self._forget_at:
            self._forget()

    def recent(self, count: int) -> dict[int, Outcome]:
        """The newest outcomes, oldest first."""
        outcomes = ((seq, self._outcome(seq)) for seq in self._remembered()[-count:])
        return {seq: outcome for seq, outcome in outcomes if outcome is not None}

    def _remembered(self) -> range:
        """The numbers whose outcomes are remembered, if they have any."""
        return range(self.last + 1 - min(len(self._room_seqs), self._outcomes_max), self.last + 1)

    def _outcome(self, seq: int) -> Outcome | None:
        """Of a number that is remembered."""
        room_seq = self._room_seqs[seq - self.last - 1]
        return Applied(room_seq) if room_seq else self._refused.get(seq)

    def _overrule(self, seq: int, outcome: Refused) -> None:
        self._room_seqs[seq - self.last - 1] = 0
        self._refused[seq] = outcome

    def _forget(self) -> None:
        """Now and then, many at once: only those that count as remembered are looked at anyway."""
        del self._room_seqs[: -self._outcomes_max]
        oldest = self.last - self._outcomes_max
        self._refused = {seq: outcome for seq, outcome in self._refused.items() if seq > oldest}
        self._forget_at = self.last + self._outcomes_max
