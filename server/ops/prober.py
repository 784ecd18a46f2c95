"""
The prober: asks each dependency four times a second, so that a loss is known even when nobody plays.

One named task per dependency, so that a stuck one delays no other. A probe that does not answer is cancelled
and waited for, never stacked: asyncpg may need seconds to let go of a stalled connection, and meanwhile each
period counts as one more failure. Others report what they see in passing by `succeeded` and `failed`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog

from contracts.events import Degraded
from server.core.faults import Fault, Reason
from server.ops.dependencies import Dependency, Name

PERIOD_S = 0.25
TIMEOUT_S = 0.4
#: A timer later than this says that our own loop stood still, not that the dependency did.
LATE_S = 0.1

#: Returns None if the dependency does what intents need of it, else the reason; may raise `Fault` or `OSError`.
Probe = Callable[[], Awaitable[Reason | None]]
Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]

log = structlog.get_logger(service="ops")


class Prober:
    """
    Watches the dependencies and calls `announce` with each change of status, on the event loop.

    `spawn(coroutine, name)` starts a task and owns it; cancelling the task ends the watch.
    """

    def __init__(
        self,
        probes: Mapping[Dependency, Probe],
        announce: Callable[[Degraded], None],
        spawn: Spawn,
        *,
        period_s: float = PERIOD_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = probes
        self._dependencies = {dependency.name: dependency for dependency in probes}
        self._announce = announce
        self._spawn = spawn
        self._period_s = period_s
        self._timeout_s = timeout_s
        self._clock = clock

    def start(self) -> None:
        """Starts one task per dependency."""
        for dependency, probe in self._probes.items():
            self._spawn(self._watch(dependency.name, probe), f"prober:{dependency.name}")

    def succeeded(self, name: Name, latency_s: float) -> None:
        """Somebody's call to the dependency did what was asked, in `latency_s`."""
        self._tell(self._dependencies[name].succeeded(self._clock(), latency_s))

    def failed(self, name: Name, reason: Reason) -> None:
        """Somebody's call to the dependency failed for this reason."""
        self._tell(self._dependencies[name].failed(self._clock(), reason))

    async def _watch(self, name: Name, probe: Probe) -> None:
        while True:
            started_s = self._clock()
            task = self._spawn(_reason_from(probe), f"probe:{name}")
            try:
                await self._follow(name, task, started_s)
            finally:
                task.cancel()
            await asyncio.sleep(max(0.0, started_s + self._period_s - self._clock()))

    async def _follow(self, name: Name, task: asyncio.Task[Reason | None], started_s: float) -> None:
        """Reports how one probe goes, until it has ended."""
        is_answered = await _has_ended(task, self._timeout_s)
        if not is_answered and self._clock() - started_s > self._timeout_s + LATE_S:
            is_answered = await _has_ended(task, self._timeout_s)
        if not is_answered:
            task.cancel()
            self.failed(name, "timeout")
            while not await _has_ended(task, self._period_s):
                self.failed(name, "timeout")
        elif reason := task.result():
            self.failed(name, reason)
        else:
            self.succeeded(name, self._clock() - started_s)

    def _tell(self, change: Degraded | None) -> None:
        if change is not None:
            self._announce(change)


async def _reason_from(probe: Probe) -> Reason | None:
    try:
        return await probe()
    except TimeoutError:
        return "timeout"
    except Fault as fault:
        return fault.reason
    except OSError:
        return "refused"
    except Exception:
        log.exception("probe.raised")
        return "error"


async def _has_ended(task: asyncio.Task[Any], within_s: float) -> bool:
    return bool((await asyncio.wait({task}, timeout=within_s))[0])
