"""
Seconds: once a second, and at each change of phase, what the run has come to.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec

from server.tools.bots.result import Phase, Plan, Progress, Second
from server.tools.bots.tally import Tally

SECOND_S = 1.0
#: A second that is shorter is added to the next.
SECOND_S_MIN = 0.1

_now = time.perf_counter


class Mark(msgspec.Struct, frozen=True):
    """Where the counters of the whole run were at a moment."""

    at: float
    cpu_s: float
    frames_in: int
    bytes_in: int
    bytes_out: int
    sent: int
    acked: int

    @classmethod
    def of(cls, tally: Tally) -> "Mark":
        return cls(
            at=_now(),
            cpu_s=time.process_time(),
            frames_in=tally.frames_in,
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            sent=tally.all_sent,
            acked=tally.all_acked,
        )


class Seconds:
    """Runs from its making to `stop`, in the running loop."""

    def __init__(
        self, plan: Plan, tally: Tally, joined: Callable[[], int], on_second: Callable[[Progress], None]
    ) -> None:
        #: Of the measured time.
        self.timeline: list[Second] = []
        self._plan = plan
        self._tally = tally
        self._joined = joined
        self._on_second = on_second
        self._phase: Phase = "joining"
        self._phase_s: float | None = None
        self._phase_mark = self._mark = Mark.of(tally)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(SECOND_S, self._tick)

    def enter(self, phase: Phase, lasts_s: float | None) -> Mark:
        """The phase begins now."""
        self._timer.cancel()
        self._end_second()
        self._phase, self._phase_s = phase, lasts_s
        self._phase_mark = Mark.of(self._tally)
        self._end_second()
        self._timer = self._loop.call_later(SECOND_S, self._tick)
        return self._phase_mark

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self._end_second()
        # Whole seconds of the phase, whatever this took; timers may be early by a little.
        next_s = round((_now() - self._phase_mark.at) / SECOND_S + 1) * SECOND_S
        self._timer = self._loop.call_later(self._phase_mark.at + next_s - _now(), self._tick)

    def _end_second(self) -> None:
        before, mark = self._mark, Mark.of(self._tally)
        took_s = mark.at - before.at
        if took_s >= SECOND_S_MIN:
            self._mark = mark
            at_s = mark.at - self._phase_mark.at
            second = self._tally.end_second(at_s, mark.bytes_in - before.bytes_in)
            if self._phase == "measuring":
                self.timeline.append(second)
        self._on_second(self._progress(before, mark, took_s))

    def _progress(self, before: Mark, mark: Mark, took_s: float) -> Progress:
        tally = self._tally

        def rate(now: int, then: int) -> float:
            return (now - then) / took_s if took_s >= SECOND_S_MIN else 0.0

        return Progress(
            phase=self._phase,
            elapsed_s=mark.at - self._phase_mark.at,
            total_s=self._phase_s,
            joined=self._joined(),
            clients=self._plan.clients,
            sent=tally.all_sent,
            acked=tally.all_acked,
            rejected=tally.all_rejected,
            sent_per_s=rate(mark.sent, before.sent),
            acked_per_s=rate(mark.acked, before.acked),
            bytes_in_per_s=rate(mark.bytes_in, before.bytes_in),
            ack_p50_ms=tally.last.ack_p50_ms,
            ack_p99_ms=tally.last.ack_p99_ms,
            seen_p99_ms=tally.last.seen_p99_ms,
            lost=tally.lost,
            doubled=tally.doubled,
            gaps=tally.gaps,
            reconnects=tally.reconnects,
            errors=dict(tally.errors),
            problem=tally.newest_problem,
        )
