"""
Faults: what the world did to us, in the forms the runtime can act on.

Raised only by `storage` and `presence`, always `from` the vendor's error. What a
player did wrong is a reject (a value, see `contracts`); what we did wrong is an assertion.
"""

from typing import Literal

#: Why, in a word that clients and operators may see.
Reason = Literal["timeout", "refused", "read_only", "disk_full", "out_of_memory", "slow", "error"]


class Fault(Exception):
    """The database, Redis or the network failed; nobody's intent was at fault."""

    def __init__(self, message: str = "", reason: Reason = "error") -> None:
        super().__init__(message)
        self.reason: Reason = reason


class Unavailable(Fault):
    """Definitely did not happen, and may be tried again: refused, read-only, out of space, not connected."""


class TookTooLong(Unavailable):
    """PostgreSQL itself gave it up, for a lock or for its time: fewer at a time, or without what is locked, may do."""


class OutcomeUnknown(Fault):
    """Was sent and may or may not have happened, now or later; only fencing settles it (never a retry)."""


class Fenced(Fault):
    """The row of node `node_id` is fenced: another may have its rooms, and nothing of it will ever be written again."""

    def __init__(self, node_id: str = "") -> None:
        super().__init__(f"node {node_id} is fenced")
        self.node_id = node_id


class Poisoned(Fault):
    """Definitely did not happen, and never will: something in what was to be written is refused whoever writes it."""
