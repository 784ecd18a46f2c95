"""Admission: whether the next intent is taken now."""

from typing import Final

from contracts.codes import RejectCode
from server.core.reject import Reject
from server.core.room import DEGRADED
from server.runtime.committer import Committer

DRAINING: Final = Reject(RejectCode.TERMINATING, "the server is shutting down; you will be reconnected")
OVERLOADED: Final = Reject(RejectCode.OVERLOADED, "the server is behind with its writes; try again in a moment")


class Admission:
    def __init__(self, committer: Committer, pending_actions_max: int) -> None:
        self.is_draining = False
        self._committer = committer
        self._pending_actions_max = pending_actions_max

    def refusal(self, unsubmitted: int) -> Reject | None:
        """Why not, where as many actions again are not yet the committer's; None as a rule."""
        if self.is_draining:
            return DRAINING
        if self._committer.is_failing:
            return DEGRADED
        return OVERLOADED if self._committer.pending + unsubmitted >= self._pending_actions_max else None
