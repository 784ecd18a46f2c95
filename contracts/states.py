"""The state of each room as clients see it: what a snapshot's `state` holds and patches change."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Facing = Literal["up", "down", "left", "right"]

#: What a tile is, by the small integer that `World.tiles` holds.
TILE_NAMES: tuple[str, ...] = ("grass", "sand", "floor", "wall", "water", "door_closed", "door_open")

#: A character's full health.
HP_MAX = 10


class Tree(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One object of a state."""


class ItemState(Tree, frozen=True, kw_only=True):
    """An item lying on a tile."""

    kind: str
    x: int
    y: int


class PlayerState(Tree, frozen=True, kw_only=True):
    """A session's character in the world. `inventory` counts items by kind."""

    player_id: str
    name: str
    x: int
    y: int
    hp: int
    facing: Facing
    inventory: dict[str, int]
    connected: bool


class WorldState(Tree, frozen=True, kw_only=True):
    """The tiles lie in chunks of 16 x 16: `tiles["cx,cy"]["row"]` is a row of tile numbers (see TILE_NAMES)."""

    name: str
    width: int
    height: int
    tiles: Annotated[dict[str, dict[str, list[int]]], Meta(description='by chunk "cx,cy", then by row in the chunk')]
    items: dict[str, ItemState]


class GameState(Tree, frozen=True, kw_only=True):
    """The `game` room: a tile world and who is in it, by session."""

    world: WorldState
    players: dict[str, PlayerState]


class CounterState(Tree, frozen=True, kw_only=True):
    """The `counter` room: a total, and how much each session here added to it. `last`, a name, is volatile."""

    total: int
    added: dict[str, int]
    last: str | None = None


class WalkerState(Tree, frozen=True, kw_only=True):
    """A session on the plaza."""

    name: str
    x: int
    y: int
    connected: bool


class PlazaState(Tree, frozen=True, kw_only=True):
    """The `plaza` room, as far as a client gets it: of `players`, by session, those in the nine chunks around it."""

    width: int
    height: int
    players: dict[str, WalkerState]


#: The contract of each room's state, by the room's name.
STATES: dict[str, type[Tree]] = {"game": GameState, "counter": CounterState, "plaza": PlazaState}
