"""Reject: the answer to an intent, or a join, that has no effect. A value; it is returned, never raised."""

import msgspec

from contracts.codes import RETRYABLE, RejectCode


class Reject(msgspec.Struct, frozen=True):
    code: RejectCode
    #: A sentence for the player.
    message: str

    @property
    def is_retryable(self) -> bool:
        """Whether the same intent is worth sending again, under a new number."""
        return self.code in RETRYABLE


def illegal(message: str) -> Reject:
    """The rules of the room say no, and why."""
    return Reject(RejectCode.ILLEGAL, message)
