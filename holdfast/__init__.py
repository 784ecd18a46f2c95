"""
What a game developer imports.

    from holdfast import Intent, Map, Room, State, Step, handles
"""

from contracts.message import Intent
from server.core.interest import Interest
from server.core.permissions import ACT, CHAT
from server.core.reject import Reject, illegal
from server.core.state import Grid, Map, State, Volatile
from server.core.step import Step
from server.rooms.base import Room, handles

__all__ = [
    "ACT",
    "CHAT",
    "Grid",
    "Intent",
    "Interest",
    "Map",
    "Reject",
    "Room",
    "State",
    "Step",
    "Volatile",
    "handles",
    "illegal",
]
