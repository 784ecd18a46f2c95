"""The state of a room in the form that Holdfast's `game` has on the wire, with merge patches (RFC 7386)."""

import copy
import json
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

_LAND = json.loads((Path(__file__).parents[1] / "world.json").read_text())
#: What a tile is, by its number.
GRASS, SAND, FLOOR, WALL, WATER, DOOR_CLOSED, DOOR_OPEN = range(7)
OPEN = frozenset({GRASS, SAND, FLOOR, DOOR_OPEN})
HP_MAX = 10
SIZE: int = _LAND["width"]
CHUNK = 16
_MIDDLE = SIZE // 2
#: Where characters enter: the plaza without its rim.
SPAWNS = [(x, y) for y in range(_MIDDLE - 2, _MIDDLE + 3) for x in range(_MIDDLE - 2, _MIDDLE + 3)]


def fresh_state() -> Tree:
    rows = [[int(tile) for tile in row] for row in _LAND["tiles"]]
    tiles = {
        f"{left // CHUNK},{top // CHUNK}": {str(row): rows[top + row][left : left + CHUNK] for row in range(CHUNK)}
        for top in range(0, SIZE, CHUNK)
        for left in range(0, SIZE, CHUNK)
    }
    world = {key: _LAND[key] for key in ("name", "width", "height")}
    return {"world": {**world, "tiles": tiles, "items": copy.deepcopy(_LAND["items"])}, "players": {}}


def note(patch: Tree, path: tuple[str, ...], changes: Tree) -> None:
    """Add what changed at `path` to a merge patch."""
    for key in path:
        patch = patch.setdefault(key, {})
    patch.update(changes)


def merge(state: Tree, patch: Tree) -> None:
    for key, value in patch.items():
        if value is None:
            state.pop(key, None)
        elif isinstance(value, dict):
            merge(state.setdefault(key, {}), value)
        else:
            state[key] = value


class World:
    """The state, with the changes since the last delta and, if they are kept, those of the action being applied."""

    def __init__(self, state: Tree, room_seq: int, is_kept: bool) -> None:
        self.state = state
        self.players: dict[str, Tree] = state["players"]
        self.items: dict[str, Tree] = state["world"]["items"]
        #: The number of the last action that it shows.
        self.room_seq = room_seq
        self.unsent: Tree = {}
        self.unkept: Tree | None = {} if is_kept else None

    def tile(self, x: int, y: int) -> int | None:
        """None outside the world."""
        if 0 <= x < SIZE and 0 <= y < SIZE:
            tile: int = self.state["world"]["tiles"][f"{x // CHUNK},{y // CHUNK}"][str(y % CHUNK)][x % CHUNK]
            return tile
        return None

    def set_tile(self, x: int, y: int, tile: int) -> None:
        path = ("world", "tiles", f"{x // CHUNK},{y // CHUNK}")
        row = self.state["world"]["tiles"][path[-1]][str(y % CHUNK)]
        self.change(path, {str(y % CHUNK): [*row[: x % CHUNK], tile, *row[x % CHUNK + 1 :]]})

    def change(self, path: tuple[str, ...], changes: Tree) -> None:
        """Set fields of what lies at `path`; None removes one."""
        note(self.unsent, path, changes)
        if self.unkept is not None:
            note(self.unkept, path, changes)
        here = self.state
        for key in path:
            here = here[key]
        for key, value in changes.items():
            if value is None:
                here.pop(key, None)
            else:
                # The patches are changed as well, so what lies in them may not be what lies here.
                here[key] = copy.deepcopy(value) if isinstance(value, dict) else value
