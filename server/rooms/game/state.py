"""
The state of the `game` room, declared; `contracts.states.GameState` is its form on the wire.

Nothing the rules need lies outside it, as recovery builds a room from its state alone: spawn
tiles have fixed places, and an item's id is made of the roomSeq that put it on the ground.
"""

from typing import Final

from contracts.states import TILE_NAMES
from server.core.state import Grid, Map, State

#: What a tile is, by the number that the grid holds.
GRASS, SAND, FLOOR, WALL, WATER, DOOR_CLOSED, DOOR_OPEN = range(len(TILE_NAMES))
#: The tiles a character can stand on.
OPEN: Final = frozenset({GRASS, SAND, FLOOR, DOOR_OPEN})

At = tuple[int, int]

#: Tiles along each side of the world.
SIZE: Final = 96
MIDDLE: Final = SIZE // 2
#: The plaza in the middle of the world: floor, never anything else, this many tiles from its centre on each side.
PLAZA: Final = 3
#: Where characters enter: the plaza without its rim, so that the eight tiles around each are open as well.
SPAWNS: Final[tuple[At, ...]] = tuple(
    (x, y) for y in range(MIDDLE - PLAZA + 1, MIDDLE + PLAZA) for x in range(MIDDLE - PLAZA + 1, MIDDLE + PLAZA)
)


class Item(State):
    kind: str
    x: int
    y: int


class Character(State):
    player_id: str
    name: str
    x: int
    y: int
    hp: int
    facing: str = "down"
    inventory: Map[int]
    connected: bool = True


class World(State):
    name: str = ""
    width: int = 0
    height: int = 0
    tiles: Grid
    items: Map[Item]


class Scene(State):
    world: World
    players: Map[Character]
