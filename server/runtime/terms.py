"""Terms: what a node may hold and how it plays, as the settings say; and what it tells whoever runs it."""

from collections.abc import Callable

import msgspec

from server.core.faults import Fault, Fenced
from server.core.room import RoomLimits
from server.runtime.runner import Pace


class NodeFull(Exception):
    """This node holds as many rooms, or sessions, as it may."""


class Terms(msgspec.Struct, frozen=True):
    """What the settings say of this node's rooms."""

    room: RoomLimits
    pace: Pace
    durability_budget_s: float
    pending_actions_max: int
    rooms_max: int
    sessions_max: int


class Reports(msgspec.Struct, frozen=True):
    """What the node tells whoever runs it."""

    #: Another has this node's rooms, or may: the process is to end.
    fenced: Callable[[Fenced], None]
    #: A flush of so many actions took so many seconds.
    committed: Callable[[int, float], None]
    #: A flush failed.
    failed: Callable[[Fault], None]
