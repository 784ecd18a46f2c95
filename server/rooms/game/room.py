"""
The rules of the `game` room.

Characters walk over open tiles; nothing but walls, water, closed doors and the world's edge is
in their way. What they do they do to the tile they face, or to what their target names. A character
whose session is held stands in the world, and cannot be struck. One that falls drops what it
carries, and wakes on the plaza.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

import numpy as np

from contracts.intents import Action, Chat, Move
from contracts.states import HP_MAX
from server.core import permissions
from server.core.reject import Reject, illegal
from server.core.state import Grid, Map
from server.core.step import Step
from server.rooms.base import Room, handles
from server.rooms.game.land import make_land, name_land, places_for_items
from server.rooms.game.state import (
    DOOR_CLOSED,
    DOOR_OPEN,
    OPEN,
    SIZE,
    SPAWNS,
    WATER,
    At,
    Character,
    Item,
    Scene,
    World,
)

#: What one strike takes away.
DAMAGE: Final = (1, 3)
#: How many things a character can carry.
CARRIED_MAX: Final = 64
#: Things on the ground of a fresh world; when less than half are left, a join brings them back.
ITEMS: Final = 40
#: Things on the ground past which no more can be put down.
ITEMS_MAX: Final = 1_000
ITEM_KINDS: Final = ("apple", "berry", "coin", "flower", "key", "potion", "shield", "shell")
_WAYS: Final[Mapping[str, At]] = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}


class Game(Room):
    name = "game"
    max_clients = 1_000
    takes_characters = True
    state: Scene

    # -- the room's life ------------------------------------------------------------------------------------------

    def on_create(self, step: Step, options: Mapping[str, Any]) -> None:
        """Any integer as option `seed` makes one world, always the same; without one, chance does."""
        seed = options.get("seed")
        chance = _chance(seed % 2**64 if type(seed) is int else step.random.getrandbits(64))
        tiles = Grid(SIZE, SIZE)
        tiles.fill_from(make_land(chance))
        self.state.world = World(name=name_land(chance), width=SIZE, height=SIZE, tiles=tiles)
        self._scatter(step, chance)

    def on_join(self, step: Step, options: Mapping[str, Any]) -> None:
        rest = step.character or {"hp": HP_MAX, "inventory": {}}
        x, y = step.random.choice(SPAWNS)
        self.state.players[step.session_id] = Character(
            player_id=step.player.player_id,
            name=step.player.name,
            x=x,
            y=y,
            hp=min(max(rest["hp"], 1), HP_MAX),
            inventory=Map(rest["inventory"]),
        )
        if len(self.state.world.items) < ITEMS // 2:
            self._scatter(step, _chance(step.random.getrandbits(64)))

    def on_drop(self, step: Step) -> None:
        self.state.players[step.session_id].connected = False

    def on_reconnect(self, step: Step) -> None:
        self.state.players[step.session_id].connected = True

    def on_leave(self, step: Step) -> None:
        """What a character carries goes with it."""
        own = self.state.players.pop(step.session_id)
        step.character = {"name": own.name, "hp": own.hp, "inventory": dict(own.inventory)}

    # -- intents --------------------------------------------------------------------------------------------------

    @handles(Move)
    def move(self, step: Step, intent: Move) -> Reject | None:
        own = self.state.players[step.session_id]
        x, y = own.x + intent.dx, own.y + intent.dy
        tile = self._tile(x, y)
        if tile not in OPEN:
            return illegal(_OBSTACLES.get(tile, "A wall is in the way."))
        own.x, own.y = x, y
        own.facing = _FACING[intent.dx, intent.dy]
        return None

    @handles(Chat, permissions.CHAT)
    def chat(self, step: Step, intent: Chat) -> None:
        step.chat(intent.text)

    @handles(Action)
    def act(self, step: Step, intent: Action) -> Reject | None:
        action = self._actions.get(intent.action)
        if action is None:
            return illegal(f"Nobody here can {intent.action!r}: it is {', '.join(self._actions)}.")
        return action(self, step, self.state.players[step.session_id], intent.target)

    # -- actions: `target` is None for the tile faced -------------------------------------------------------------

    def _open(self, step: Step, own: Character, target: str | None) -> Reject | None:
        """Open a door, or close it; a target is "x,y"."""
        at = _faced(own) if target is None else _place(target)
        if at is None or not _is_near(own, *at):
            return illegal("Only a door next to you can be opened.")
        tile = self._tile(*at)
        if tile == DOOR_CLOSED:
            self.state.world.tiles[at] = DOOR_OPEN
        elif tile != DOOR_OPEN:
            return illegal("There is no door.")
        elif any((other.x, other.y) == at for other in self.state.players.values()):
            return illegal("Someone stands in the doorway.")
        else:
            self.state.world.tiles[at] = DOOR_CLOSED
        return None

    def _take(self, step: Step, own: Character, target: str | None) -> Reject | None:
        """Pick up a thing underfoot, else on the tile faced; a target is the id of one within reach."""
        item_id = self._item_before(own) if target is None else target
        if item_id is None:
            return illegal("There is nothing to take.")
        item = self.state.world.items.get(item_id)
        if item is None:
            return illegal("That is not there any more.")
        if not _is_near(own, item.x, item.y):
            return illegal("That is too far away.")
        if sum(own.inventory.values()) >= CARRIED_MAX:
            return illegal("You cannot carry any more.")
        del self.state.world.items[item_id]
        own.inventory[item.kind] = own.inventory.get(item.kind, 0) + 1
        return None

    def _drop(self, step: Step, own: Character, target: str | None) -> Reject | None:
        """Put down what was first picked up; a target is a kind."""
        kind = next(iter(own.inventory), None) if target is None else target
        if kind is None:
            return illegal("You carry nothing.")
        if kind not in own.inventory:
            return illegal("You do not carry that.")
        if len(self.state.world.items) >= ITEMS_MAX:
            return illegal("Too much lies around already.")
        self._put_down(step, own, [kind])
        return None

    def _strike(self, step: Step, own: Character, target: str | None) -> Reject | None:
        """Hit the character on the tile faced; a target is the session id of one within reach."""
        other = self._character_before(own) if target is None else self.state.players.get(target)
        if other is None:
            return illegal("Nobody is there.")
        if other is own:
            return illegal("You cannot strike yourself.")
        if not _is_near(own, other.x, other.y):
            return illegal(f"{other.name} is out of reach.")
        if not other.connected:
            return illegal(f"{other.name} is away and cannot be struck.")
        hp = other.hp - step.random.randint(*DAMAGE)
        if hp > 0:
            other.hp = hp
        else:
            self._fall(step, other)
        return None

    _actions: ClassVar[Mapping[str, Callable[["Game", Step, Character, str | None], Reject | None]]] = {
        "open": _open,
        "take": _take,
        "drop": _drop,
        "strike": _strike,
    }

    # -- the world ------------------------------------------------------------------------------------------------

    def _tile(self, x: int, y: int) -> int | None:
        """None outside the world."""
        world = self.state.world
        return world.tiles[x, y] if 0 <= x < world.width and 0 <= y < world.height else None

    def _item_before(self, own: Character) -> str | None:
        items = self.state.world.items.items()
        for at in ((own.x, own.y), _faced(own)):
            for item_id, item in items:
                if (item.x, item.y) == at:
                    return item_id
        return None

    def _character_before(self, own: Character) -> Character | None:
        """Someone on the tile faced, who can be struck if anyone there can."""
        at = _faced(own)
        there = [other for other in self.state.players.values() if (other.x, other.y) == at]
        return max(there, key=lambda other: other.connected, default=None)

    def _fall(self, step: Step, fallen: Character) -> None:
        """What the ground has no room for stays with its owner."""
        carried = [kind for kind, count in fallen.inventory.items() for _ in range(count)]
        self._put_down(step, fallen, carried[: ITEMS_MAX - len(self.state.world.items)])
        fallen.x, fallen.y = step.random.choice(SPAWNS)
        fallen.hp = HP_MAX

    def _put_down(self, step: Step, own: Character, kinds: Iterable[str]) -> None:
        for n, kind in enumerate(kinds):
            own.inventory[kind] -= 1
            if not own.inventory[kind]:
                del own.inventory[kind]
            self.state.world.items[_item_id(step, n)] = Item(kind=kind, x=own.x, y=own.y)

    def _scatter(self, step: Step, chance: np.random.Generator) -> None:
        """Bring the things on the ground back to what a fresh world has."""
        items = self.state.world.items
        places = places_for_items(self.state.world.tiles.array, chance, ITEMS - len(items))
        for n, (x, y) in enumerate(places):
            kind = ITEM_KINDS[chance.integers(len(ITEM_KINDS))]
            items[_item_id(step, n)] = Item(kind=kind, x=x, y=y)


_OBSTACLES: Final[Mapping[int | None, str]] = {
    None: "The world ends here.",
    WATER: "The water is too deep.",
    DOOR_CLOSED: "The door is closed.",
}
_FACING: Final[Mapping[At, str]] = {
    (dx, dy): ("left" if dx < 0 else "right") if dx else ("up" if dy < 0 else "down")
    for dx in (-1, 0, 1)
    for dy in (-1, 0, 1)
}


def _chance(seed: int) -> np.random.Generator:
    """Arrays of chance, from a number that came as an argument."""
    return np.random.default_rng(seed)


def _item_id(step: Step, n: int) -> str:
    """The room's n-th thing put on the ground at this roomSeq, so never the id of another."""
    return f"i{step.room_seq}-{n}"


def _faced(own: Character) -> At:
    dx, dy = _WAYS[own.facing]
    return own.x + dx, own.y + dy


def _is_near(own: Character, x: int, y: int) -> bool:
    """On the character's own tile or one of the eight around it."""
    return abs(x - own.x) <= 1 and abs(y - own.y) <= 1


def _place(target: str) -> At | None:
    """The tile that "x,y" names."""
    x, _, y = target.partition(",")
    try:
        return int(x), int(y)
    except ValueError:
        return None
