"""A bare world for facts about the game room, and what to read off a character."""

from typing import Any

from server.rooms.game import Game
from server.rooms.game.room import ITEMS
from server.rooms.game.state import DOOR_CLOSED, FLOOR, GRASS, SIZE, SPAWNS, WALL, WATER
from tests.rooms.table import Sitting, Table, set_table

#: A house wall from (10, 4) to (14, 4) with a door in it, water behind, all else grass.
WALLS = [(10, 4), (11, 4), (13, 4), (14, 4)]
DOOR = (12, 4)
POND = (12, 8)


def arena(items: dict[str, Any] | None = None, seed: int = 1) -> Table:
    """A bare world with one wall, one door and one pond."""
    grid = [[GRASS] * SIZE for _ in range(SIZE)]
    for x, y in WALLS:
        grid[y][x] = WALL
    grid[DOOR[1]][DOOR[0]] = DOOR_CLOSED
    grid[POND[1]][POND[0]] = WATER
    for x, y in SPAWNS:
        grid[y][x] = FLOOR
    tiles = {
        f"{cx},{cy}": {str(row): grid[cy * 16 + row][cx * 16 : cx * 16 + 16] for row in range(16)}
        for cx in range(SIZE // 16)
        for cy in range(SIZE // 16)
    }
    # Far away, so that a join finds enough and scatters nothing.
    far = {f"far{n}": {"kind": "shell", "x": 90, "y": n} for n in range(ITEMS)}
    world = {"name": "Arena", "width": SIZE, "height": SIZE, "tiles": tiles, "items": {**far, **(items or {})}}
    return set_table(Game(), {"world": world, "players": {}}, seed)


def at(sitting: Sitting) -> tuple[int, int]:
    return sitting.own.x, sitting.own.y


def held_by(sitting: Sitting) -> dict[str, int]:
    return dict(sitting.own.inventory)
