"""Facts about the prober, with real tasks and short times: it waits for conditions, never for a duration."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from contracts.events import Degraded
from server.core.faults import Reason, Unavailable
from server.ops.dependencies import Dependency
from server.ops.prober import Probe, Prober

PERIOD_S = 0.001
TIMEOUT_S = 0.005


class Stage:
    """Runs probers and keeps what they announced; ends all their tasks."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []
        self.announced: list[Degraded] = []
        self.changed = asyncio.Event()

    def watch(self, *probes: Probe) -> Prober:
        names = ("postgres", "redis")
        dependencies = {Dependency(names[n], 0.0): probe for n, probe in enumerate(probes)}  # type: ignore[arg-type]
        prober = Prober(dependencies, self.announce, self.spawn, period_s=PERIOD_S, timeout_s=TIMEOUT_S)
        prober.start()
        return prober

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.create_task(work, name=name))
        self.changed.set()
        return self.tasks[-1]

    def announce(self, change: Degraded) -> None:
        self.announced.append(change)
        self.changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    def told(self) -> list[tuple[str, str, str]]:
        return [(change.dependency, change.status, change.reason) for change in self.announced]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    for task in stage.tasks:
        task.cancel()
    await asyncio.gather(*stage.tasks, return_exceptions=True)


async def good() -> Reason | None:
    return None


async def read_only() -> Reason | None:
    return "read_only"


async def stuck() -> Reason | None:
    await asyncio.Event().wait()
    return None


async def test_a_probe_that_reports_a_reason_is_announced_with_it(stage: Stage) -> None:
    stage.watch(read_only)
    await stage.until(lambda: len(stage.announced) == 2)
    assert stage.told() == [("postgres", "degraded", "read_only"), ("postgres", "unavailable", "read_only")]


async def test_a_probe_that_does_not_answer_is_a_timeout(stage: Stage) -> None:
    stage.watch(stuck)
    await stage.until(lambda: len(stage.announced) == 2)
    assert stage.told() == [("postgres", "degraded", "timeout"), ("postgres", "unavailable", "timeout")]


async def test_a_probe_that_does_not_answer_is_cancelled_before_the_next(stage: Stage) -> None:
    stage.watch(stuck)
    await stage.until(lambda: len(stage.tasks) >= 3)
    _, first, second, *_ = stage.tasks
    assert (first.cancelled(), second.get_name()) == (True, "probe:postgres")


async def test_a_stuck_dependency_delays_no_other(stage: Stage) -> None:
    stage.watch(stuck, read_only)
    await stage.until(lambda: len(stage.announced) == 4)
    assert {"postgres", "redis"} == {change.dependency for change in stage.announced}


async def test_a_probe_that_cannot_be_cancelled_is_not_stacked_and_fails_on(stage: Stage) -> None:
    running = 0
    may_end = asyncio.Event()

    async def stubborn() -> Reason | None:
        nonlocal running
        running += 1
        assert running == 1
        try:
            while not may_end.is_set():
                try:
                    await may_end.wait()
                except asyncio.CancelledError:
                    continue
            return None
        finally:
            running -= 1

    stage.watch(stubborn)
    await stage.until(lambda: len(stage.announced) == 2)
    assert running == 1
    may_end.set()
    assert stage.told()[-1] == ("postgres", "unavailable", "timeout")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("never shown", "read_only"), "read_only"),
        (ConnectionRefusedError("never shown"), "refused"),
        (TimeoutError("never shown"), "timeout"),
        (RuntimeError("never shown"), "error"),
    ],
)
async def test_whatever_a_probe_raises_becomes_a_typed_reason(stage: Stage, error: Exception, reason: str) -> None:
    async def raising() -> Reason | None:
        raise error

    stage.watch(raising)
    await stage.until(lambda: len(stage.announced) == 2)
    assert {reason} == {change.reason for change in stage.announced}


async def test_what_others_see_in_passing_counts(stage: Stage) -> None:
    prober = stage.watch(good)
    prober.failed("postgres", "disk_full")
    assert stage.told() == [("postgres", "degraded", "disk_full")]


async def test_our_own_standing_still_is_not_the_dependencys_fault(stage: Stage) -> None:
    """The clock jumps while the probe waits, as it does when a handler blocks the loop; then the answer is there."""
    now_s = 0.0
    answers = 0

    async def answered_late() -> Reason | None:
        nonlocal now_s, answers
        waiting = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(TIMEOUT_S * 1.5, waiting.set_result, None)
        now_s += 1.0
        await waiting
        now_s -= 1.0
        answers += 1
        stage.changed.set()
        return None

    dependency = Dependency("postgres", 0.0)
    probes: dict[Dependency, Probe] = {dependency: answered_late}
    Prober(probes, stage.announce, stage.spawn, period_s=PERIOD_S, timeout_s=TIMEOUT_S, clock=lambda: now_s).start()
    await stage.until(lambda: answers >= 3)
    assert stage.told() == []


async def test_the_tasks_are_named_and_cancelling_the_watch_ends_the_probe_too(stage: Stage) -> None:
    stage.watch(stuck)
    await stage.until(lambda: len(stage.tasks) >= 2)
    watch, probe = stage.tasks[:2]
    assert (watch.get_name(), probe.get_name()) == ("prober:postgres", "probe:postgres")
    await asyncio.sleep(0)
    watch.cancel()
    await asyncio.gather(watch, probe, return_exceptions=True)
    assert (watch.cancelled(), probe.cancelled()) == (True, True)
