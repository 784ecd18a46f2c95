"""
Tally: what all bots of a run saw, counted as they see it.

Times are of `time.perf_counter`. What is measured is what was due in the measured time; what was done wrong counts
whenever it was. Once a second the times of that second go into the histograms and a `Second` comes out, so what is kept
does not grow with the run.
"""

from collections import Counter

from server.tools.bots.result import PROBLEMS_MAX, Ack, Second
from server.tools.bots.spread import Histogram, percentile


class Tally:
    def __init__(self, acks: list[Ack] | None = None) -> None:
        """Every ack is added to `acks`; without it none is kept."""
        self.acks = acks
        #: What is due in [from, to) is measured.
        self.measured_from = float("inf")
        self.measured_to = float("inf")

        # Of the whole run.
        self.frames_in = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.all_sent = 0
        self.all_acked = 0
        self.all_rejected = 0
        self.lost = 0
        self.doubled = 0
        self.gaps = 0
        self.diverged = 0
        self.reconnects = 0
        self.errors: Counter[str] = Counter()
        self.problems: list[str] = []
        self.problem_count = 0
        self.newest_problem: str | None = None

        # Of the measured time.
        self.sent = 0
        self.acked = 0
        self.duplicates = 0
        self.rejected: Counter[str] = Counter()
        self.ack_ms = Histogram()
        self.seen_ms = Histogram()
        self.late_ms = Histogram()

        #: The last whole second.
        self.last = Second(0.0, 0, 0, 0, 0.0, 0.0, 0.0, 0)
        # Of the one that goes on.
        self._acks: list[float] = []
        self._seens: list[float] = []
        self._lates: list[float] = []
        self._measured = [0, 0, 0]

    def is_measured(self, due: float) -> bool:
        return self.measured_from <= due < self.measured_to

    # -- what bots tell -----------------------------------------------------------------------------------------------

    def asked(self, due: float, now: float | None) -> None:
        """`now`: when it is sent; None if it can't be yet, which is not the bots' lateness."""
        self.all_sent += 1
        if self.measured_from <= due < self.measured_to:
            self.sent += 1
            if now is not None:
                self._lates.append((now - due) * 1000)

    def told_ack(self, due: float, now: float, *, is_duplicate: bool) -> None:
        self.all_acked += 1
        if self.measured_from <= due < self.measured_to:
            self.acked += 1
            self.duplicates += is_duplicate
            self._acks.append((now - due) * 1000)

    def told_reject(self, due: float, code: str) -> None:
        self.all_rejected += 1
        if self.measured_from <= due < self.measured_to:
            self.rejected[code] += 1

    def saw(self, due: float, now: float) -> None:
        if self.measured_from <= due < self.measured_to:
            self._seens.append((now - due) * 1000)

    def wrong(self, problem: str) -> None:
        self.problem_count += 1
        self.newest_problem = problem
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    # -- once a second ------------------------------------------------------------------------------------------------

    def end_second(self, at_s: float, bytes_in: int) -> Second:
        """What was measured since the last call; `bytes_in` of the same time."""
        acks, seens, lates = self._acks, self._seens, self._lates
        self._acks, self._seens, self._lates = [], [], []
        self.ack_ms.add(acks)
        self.seen_ms.add(seens)
        self.late_ms.add(lates)
        measured = [self.sent, self.acked, self.rejected.total()]
        sent, acked, rejected = (now - before for now, before in zip(measured, self._measured, strict=True))
        self._measured = measured
        self.last = Second(
            at_s=at_s,
            sent=sent,
            acked=acked,
            rejected=rejected,
            ack_p50_ms=percentile(acks, 0.5),
            ack_p99_ms=percentile(acks, 0.99),
            seen_p99_ms=percentile(seens, 0.99),
            bytes_in=bytes_in,
        )
        return self.last
