"""
Dependencies: whether PostgreSQL and Redis serve us, and when to say so.

            a failure, or 2 slow answers            2 failures in a row
        OK -----------------------------> DEGRADED ---------------------> UNAVAILABLE
         ^                                    | |                              |
         `---- 3 good answers in a row, ------' `------------------------------'
               and no trouble for QUIET_S            3 slow answers in a row: DEGRADED again

Bad news is told at once (within a second of the loss: promise P7), good news after a pause, so that a flapping
dependency, or one that answers probes while it refuses writes, makes one announcement and not a stream of them.
All sources feed one machine: the prober, flushes, presence calls. Time enters as an argument.
"""

from typing import Literal

from contracts.events import Degraded
from server.core.faults import Reason

Name = Literal["postgres", "redis"]
Status = Literal["ok", "degraded", "unavailable"]

SLOW_S = 0.25
QUIET_S = 2.0
FAILURES_TO_UNAVAILABLE = 2
SLOW_TO_DEGRADED = 2
GOOD_TO_OK = 3


class Dependency:
    """
    One dependency's health. `succeeded` and `failed` return the change to announce, if there is one.

    `now_s` is any steady clock in seconds; `unix_offset_s` added to it gives Unix time, for `since`.
    """

    def __init__(self, name: Name, unix_offset_s: float) -> None:
        self.name = name
        self.status: Status = "ok"
        #: Of the present trouble; of the last one while `ok`; None before any.
        self.reason: Reason | None = None
        self._unix_offset_s = unix_offset_s
        self._trouble_since_s = 0.0
        self._trouble_last_s = 0.0
        self._failures = 0
        self._slow = 0
        self._good = 0

    @property
    def is_writable(self) -> bool:
        """True while it does what is asked, be it slowly."""
        return self.status == "ok" or (self.status == "degraded" and self.reason == "slow")

    @property
    def trouble(self) -> Degraded | None:
        """What a client that arrives now must be told; None while all is well."""
        return None if self.status == "ok" else self._announcement(self.status, self._trouble_since_s)

    def succeeded(self, now_s: float, latency_s: float) -> Degraded | None:
        """It did what was asked, in `latency_s`."""
        self._failures = 0
        # Once in trouble, half the threshold: an answer time near it would flap.
        if latency_s >= (SLOW_S if self.status == "ok" else SLOW_S / 2):
            return self._answered_slowly(now_s)
        self._slow = 0
        self._good += 1
        if self.status == "ok" or self._good < GOOD_TO_OK or now_s - self._trouble_last_s < QUIET_S:
            return None
        self.status = "ok"
        return self._announcement("recovered", now_s)

    def failed(self, now_s: float, reason: Reason) -> Degraded | None:
        """It did not do what was asked, or nobody knows."""
        self._good = self._slow = 0
        self._failures += 1
        self._note_trouble(now_s)
        if self._failures >= FAILURES_TO_UNAVAILABLE:
            return self._changed("unavailable", reason)
        return self._changed("unavailable" if self.status == "unavailable" else "degraded", reason)

    def _answered_slowly(self, now_s: float) -> Degraded | None:
        self._good = 0
        self._slow += 1
        if self.status == "ok" and self._slow < SLOW_TO_DEGRADED:
            return None
        self._note_trouble(now_s)
        # After a failure, slow answers must first show that they are the whole trouble that is left.
        if self.status != "ok" and self._slow < GOOD_TO_OK:
            return None
        return self._changed("degraded", "slow")

    def _note_trouble(self, now_s: float) -> None:
        if self.status == "ok":
            self._trouble_since_s = now_s
        self._trouble_last_s = now_s

    def _changed(self, status: Literal["degraded", "unavailable"], reason: Reason) -> Degraded | None:
        """The status is the news; a new reason under the same status shows in `/readyz` only."""
        self.reason = reason
        if self.status == status:
            return None
        self.status = status
        return self._announcement(status, self._trouble_since_s)

    def _announcement(self, status: Literal["degraded", "unavailable", "recovered"], since_s: float) -> Degraded:
        assert self.reason is not None
        since = float(round((since_s + self._unix_offset_s) * 1000))
        return Degraded(dependency=self.name, status=status, reason=self.reason, since=since)
