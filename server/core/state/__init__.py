"""Declared state that records its changes (`State`, `Map`, `Grid`, `Volatile`), and the merge patches made from it."""

from server.core.state.grid import Grid
from server.core.state.kinds import GridKind, Kind, Leaf, MapOf, Nested
from server.core.state.map import Map
from server.core.state.merge import apply, apply_in_place, compose, merge
from server.core.state.root import clear, has_changes, load, plain, take_patch, take_volatile, volatile_values
from server.core.state.state import Field, State, Volatile, fields_of
from server.core.state.values import StateError

__all__ = [
    "Field",
    "Grid",
    "GridKind",
    "Kind",
    "Leaf",
    "Map",
    "MapOf",
    "Nested",
    "State",
    "StateError",
    "Volatile",
    "apply",
    "apply_in_place",
    "clear",
    "compose",
    "fields_of",
    "has_changes",
    "load",
    "merge",
    "plain",
    "take_patch",
    "take_volatile",
    "volatile_values",
]
