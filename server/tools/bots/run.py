"""
Run: bots against a server, from the first join to the result.

    joining --> warm-up --> measuring --> settling: answers, the last deltas, the comparison of states --> leaving

One schedule and one loop for all bots: what has come due is sent in slices of a millisecond.
"""

import asyncio
import resource
import time
from collections.abc import Callable
from typing import Any

from server.runtime.garbage import set_start_aside
from server.runtime.tasks import Tasks
from server.tools.bots.bot import Bot
from server.tools.bots.checking import check
from server.tools.bots.dialect import Dialect, Refused
from server.tools.bots.joining import Joiner
from server.tools.bots.result import Ack, Machine, Plan, Progress, Result
from server.tools.bots.schedule import Schedule
from server.tools.bots.seconds import Seconds
from server.tools.bots.tally import Tally

#: Between the last join and the first intent.
START_S = 0.5
#: How long the last intents may take to be answered and shown.
SETTLE_S = 10.0
#: Timers of the loop count milliseconds.
SLICE_S = 0.001
#: Between two looks at who has something left from the time without a connection.
CATCH_UP_EVERY_S = 0.05

_now = time.perf_counter


class NothingMeasured(Exception):
    """The run was ended before its measured time began."""


async def run(
    plan: Plan,
    dialect: Dialect,
    machine: Machine,
    on_second: Callable[[Progress], None],
    is_over: asyncio.Event,
    acks: list[Ack] | None = None,
) -> Result:
    """
    The whole run; its assertions are the caller's. Setting `is_over` ends the load early, and what was measured counts.
    Every ack, of the warm-up too, is added to `acks`.

    Raises Refused where the server is not there or does not let all bots in, NothingMeasured where it was too early.
    """
    allow_many_files()
    try:
        server = await dialect.version()
    except OSError as problem:
        raise Refused(f"no server answers at {plan.url}: {problem or type(problem).__name__}") from problem
    tasks = Tasks(lambda name, error: is_over.set())
    load = _Load(plan, dialect, tasks, on_second, is_over, acks)
    try:
        await load.join()
        await load.play()
        await load.settle()
    finally:
        load.seconds.stop()
        await tasks.stop()
    return load.result(machine, server)


def allow_many_files() -> None:
    """As many as this process may have: thousands of bots are as many sockets."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Load:
    def __init__(
        self,
        plan: Plan,
        dialect: Dialect,
        tasks: Tasks,
        on_second: Callable[[Progress], None],
        is_over: asyncio.Event,
        acks: list[Ack] | None,
    ) -> None:
        self._plan = plan
        self._dialect = dialect
        self._is_over = is_over
        self._tally = Tally(acks)
        self._joiner = Joiner(plan, dialect, self._tally, tasks, is_over)
        self._bots = self._joiner.bots
        self.seconds = Seconds(plan, self._tally, lambda: len(self._bots), on_second)
        self._started_at_ms = 0
        self._catch_up_at = 0.0

    async def join(self) -> None:
        await self._joiner.join_all()
        self._forbid_nothing_measured()
        # With thousands of bots a look through all of them would stop the load.
        set_start_aside()

    async def play(self) -> None:
        plan, tally = self._plan, self._tally
        start = _now() + START_S
        tally.measured_from = start + plan.warmup_s
        tally.measured_to = tally.measured_from + plan.duration_s
        schedule = Schedule(start, tally.measured_to, len(self._bots), plan.rate_hz)
        self.seconds.enter("warmup", START_S + plan.warmup_s)
        await self._ask_until(tally.measured_from, schedule)
        self._forbid_nothing_measured()
        self._started_at_ms = time.time_ns() // 1_000_000
        self._began = self.seconds.enter("measuring", plan.duration_s)
        await self._ask_until(tally.measured_to, schedule)
        tally.measured_to = min(tally.measured_to, _now())
        self._ended = self.seconds.enter("settling", None)

    async def settle(self) -> None:
        """Wait for what is open, check what there is to check, and go."""
        deadline = _now() + SETTLE_S
        while _now() < deadline and not all(map(_is_at_rest, self._bots)):
            self._catch_up(_now())
            await asyncio.sleep(0.01)
        open_intents = sum(bot.unanswered for bot in self._bots)
        if open_intents:
            self._tally.wrong(f"{open_intents} intents had no outcome {SETTLE_S:g} s after the last was due")
        if self._tally.sent and not self._tally.acked:
            self._tally.wrong("nothing was acked")
        await check(self._bots, self._dialect, self._tally)
        await self._joiner.leave_all()
        self.seconds.enter("settling", None)

    def result(self, machine: Machine, server: dict[str, Any] | None) -> Result:
        tally, began, ended = self._tally, self._began, self._ended
        seconds = ended.at - began.at
        bytes_in = ended.bytes_in - began.bytes_in
        tally.end_second(seconds, 0)  # what came while settling
        return Result(
            plan=self._plan,
            machine=machine,
            server=server,
            started_at=self._started_at_ms,
            seconds=seconds,
            sent=tally.sent,
            acked=tally.acked,
            duplicates=tally.duplicates,
            unanswered=tally.sent - tally.acked - tally.rejected.total() + sum(bot.behind for bot in self._bots),
            acked_per_s=tally.acked / seconds,
            rejected=dict(tally.rejected),
            errors=dict(tally.errors),
            ack_ms=tally.ack_ms.spread(),
            seen_ms=tally.seen_ms.spread(),
            late_ms=tally.late_ms.spread(),
            lost=tally.lost,
            doubled=tally.doubled,
            gaps=tally.gaps,
            diverged=tally.diverged,
            reconnects=tally.reconnects,
            frames_in=ended.frames_in - began.frames_in,
            bytes_in=bytes_in,
            bytes_out=ended.bytes_out - began.bytes_out,
            bytes_in_per_client_s=bytes_in / seconds / self._plan.clients,
            bots_cpu_s=ended.cpu_s - began.cpu_s,
            timeline=self.seconds.timeline,
            problems=tally.problems,
            problem_count=tally.problem_count,
            assertions=[],
        )

    async def _ask_until(self, end: float, schedule: Schedule) -> None:
        while not self._is_over.is_set():
            now = _now()
            for turn in schedule.take(min(now, end)):
                self._bots[turn.place].turn(turn.due, now)
            self._catch_up(now)
            if now >= end:
                return
            await asyncio.sleep(max(SLICE_S, min(schedule.next_due, end) - _now()))

    def _catch_up(self, now: float) -> None:
        # Who was never disconnected has nothing left over.
        if now < self._catch_up_at or not self._tally.errors:
            return
        self._catch_up_at = now + CATCH_UP_EVERY_S
        for bot in self._bots:
            if bot.queue:
                bot.catch_up(now)

    def _forbid_nothing_measured(self) -> None:
        if self._is_over.is_set():
            raise NothingMeasured


def _is_at_rest(bot: Bot) -> bool:
    """Nothing is expected of it any more, nor by it."""
    if bot.ended is not None:
        return True
    has_all = not bot.unanswered and not bot.unseen
    return bot.is_live and has_all and (bot.stand.room_seq < 0 or bot.stand.room_seq >= bot.room.acked_to)
